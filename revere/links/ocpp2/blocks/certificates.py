"""Blocks A and M: a station's own certificate signed anew, roots in it, what it asks of the world of ISO 15118.

We relay no OCSP and no contract certificates yet: what was asked is kept, a station hears that plainly, and does not
wait for more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from revere.core.errors import Refused
from revere.core.orders import CertificateUse, DeleteCertificate, InstallCertificate, ListCertificates
from revere.links.ocpp2.blocks.later import keep
from revere.links.ocpp2.blocks.routes import Orders, Route, Routes, reason
from revere.links.ocpp2.wire import v21 as wire
from revere.links.ocppj import signing
from revere.links.ocppj.files import hash_fields, hash_text
from revere.links.ocppj.line import Answered

if TYPE_CHECKING:
    from collections.abc import Mapping

    from revere.core.commands import Answer
    from revere.links.ocpp2.dialog import Dialog

NOT_RELAYED: Final = wire.StatusInfo(reasonCode="NotSupported", additionalInfo="not relayed by this system")
_ROOTS: Final[Mapping[CertificateUse, wire.InstallCertificateUseEnum]] = {
    "csms-root": "CSMSRootCertificate",
    "manufacturer-root": "ManufacturerRootCertificate",
    "v2g-root": "V2GRootCertificate",
    "mo-root": "MORootCertificate",
    "oem-root": "OEMRootCertificate",
}
_USES: Final[Mapping[CertificateUse, wire.GetCertificateIdUseEnum]] = {**_ROOTS, "v2g-chain": "V2GCertificateChain"}
_WORDS: Final[Mapping[str, CertificateUse]] = {theirs: ours for ours, theirs in _USES.items()}


async def install(dialog: Dialog, order: InstallCertificate) -> Answer:
    """M05: a root that the station shall trust."""
    if order.use not in _ROOTS:
        raise Refused("only roots are installed this way", got=order.use, expected=", ".join(_ROOTS))
    request = wire.InstallCertificateRequest(certificateType=_ROOTS[order.use], certificate=order.certificate)
    reply = await dialog.ask("InstallCertificate", request, wire.InstallCertificateResponse)
    return dialog.line.answer(reply.value.status, reason(reply.value.statusInfo), reply.sent_wall_s)


def hash_data(text: str) -> wire.CertificateHashData:
    """An order's certificate in the standard's words."""
    return msgspec.convert(hash_fields(text), wire.CertificateHashData)


async def list_installed(dialog: Dialog, order: ListCertificates) -> Answer:
    """M03: which certificates it holds, (use, hashes); none of a use is no fault."""
    request = wire.GetInstalledCertificateIdsRequest(certificateType=tuple(_USES[use] for use in order.uses) or None)
    reply = await dialog.ask("GetInstalledCertificateIds", request, wire.GetInstalledCertificateIdsResponse)
    details: list[tuple[str, str]] = []
    for chain in reply.value.certificateHashDataChain or ():
        use = _WORDS[chain.certificateType]
        details.append((use, hash_text(chain.certificateHashData)))
        details += [(f"{use}, below", hash_text(child)) for child in chain.childCertificateHashData or ()]
    status = reply.value.status
    why = "it holds none of these" if status == "NotFound" else reason(reply.value.statusInfo)
    return dialog.line.answer(status, why, reply.sent_wall_s, also=("NotFound",), details=tuple(details))


async def delete(dialog: Dialog, order: DeleteCertificate) -> Answer:
    """M04: by the hashes that the station itself has told."""
    request = wire.DeleteCertificateRequest(certificateHashData=hash_data(order.certificate))
    reply = await dialog.ask("DeleteCertificate", request, wire.DeleteCertificateResponse)
    return dialog.line.answer(reply.value.status, reason(reply.value.statusInfo), reply.sent_wall_s)


async def _ocsp(dialog: Dialog, request: wire.GetCertificateStatusRequest) -> Answered:
    await keep(dialog, "GetCertificateStatus", request)
    return Answered(wire.GetCertificateStatusResponse(status="Failed", statusInfo=NOT_RELAYED))


async def _chain(dialog: Dialog, request: wire.GetCertificateChainStatusRequest) -> Answered:
    await keep(dialog, "GetCertificateChainStatus", request)
    now = dialog.line.clock.now()
    unknown = tuple(
        wire.CertificateStatus(
            certificateHashData=one.certificateHashData, source=one.source, status="Failed", nextUpdate=now
        )
        for one in request.certificateStatusRequests
    )
    return Answered(wire.GetCertificateChainStatusResponse(certificateStatus=unknown))


async def _contract(dialog: Dialog, request: wire.Get15118EVCertificateRequest) -> Answered:
    await keep(dialog, "Get15118EVCertificate", request)
    return Answered(wire.Get15118EVCertificateResponse(status="Failed", statusInfo=NOT_RELAYED, exiResponse=""))


async def _sign(dialog: Dialog, request: wire.SignCertificateRequest) -> Answered:
    line = dialog.line
    try:
        if request.certificateType not in (None, "ChargingStationCertificate"):
            raise Refused("only a station's own certificate is signed here", got=request.certificateType)
        signed = signing.sign(line, request.csr)
    except Refused as error:
        await line.record(signing.refusal_facts(line, error))
        info = wire.StatusInfo(reasonCode="InvalidCSR", additionalInfo=error.what[:1024])
        return Answered(wire.SignCertificateResponse(status="Rejected", statusInfo=info))
    await line.record(signing.signed_facts(line, signed))
    chain = wire.CertificateSignedRequest(
        certificateChain=signed.chain, certificateType="ChargingStationCertificate", requestId=request.requestId
    )

    async def give() -> str:
        return (await dialog.ask("CertificateSigned", chain, wire.CertificateSignedResponse)).value.status

    answer = wire.SignCertificateResponse(status="Accepted")
    return Answered(answer, beside=lambda: signing.deliver(line, signed, give))


ROUTES: Final[Routes] = {
    "SignCertificate": Route(wire.SignCertificateRequest, _sign),
    "GetCertificateStatus": Route(wire.GetCertificateStatusRequest, _ocsp),
    "GetCertificateChainStatus": Route(wire.GetCertificateChainStatusRequest, _chain),
    "Get15118EVCertificate": Route(wire.Get15118EVCertificateRequest, _contract),
}
ORDERS: Final[Orders] = {
    InstallCertificate: install,
    ListCertificates: list_installed,
    DeleteCertificate: delete,
}
