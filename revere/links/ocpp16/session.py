"""One 1.6J charge point's session: core profile and smart charging.

It charges only, unless its model takes a limit below 0 as discharging. The same habits as for 2.1: nothing is
answered before its facts are committed, what is set is read back, the fallback lies beneath every setpoint. A setpoint
is a lease by ``validTo``, since 1.6 knows no offline duration; control renews it by giving it again.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from math import inf
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from revere.core.assets import Authorization
from revere.core.commands import Answer
from revere.core.device_model import DeviceVariable, kind_of_variable
from revere.core.errors import Refused, RevereError
from revere.core.facts import Fact
from revere.core.ids import SessionId
from revere.core.orders import kind_of
from revere.links.ocpp16 import files, local_list, translate, wire
from revere.links.ocpp16.abreast import Abreast
from revere.links.ocpp16.orders import ORDERS
from revere.links.ocppj import registration, security, signing
from revere.links.ocppj.calls import CallOverflow, CallRefused, CallTimedOut, Reply
from revere.links.ocppj.framing import Call, CallFailed
from revere.links.ocppj.line import (
    NO_DEFAULT,
    NOT_CONTROLLABLE,
    RATE_MARGIN_S,
    Answered,
    Line,
    session_id_of,
    transaction_id_of,
)
from revere.links.ocppj.moments import moment_after
from revere.links.ocppj.payload import PayloadReader
from revere.links.ocppj.samples import EXPORT_POWER, EXPORT_REGISTER, IMPORT_POWER, IMPORT_REGISTER, SOC
from revere.links.ocppj.setpoints import DAY_S, check_setpoint, give_in_turn, local_midnight, watts

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from revere.core.commands import ReportingCommand, SetpointCommand
    from revere.core.orders import OrderBase
    from revere.links.models import DataTransfer

T = TypeVar("T")

START, STOP = 0, 1
"""A 1.6 transaction's two ends, in the place of sequence numbers."""
SAMPLE_INTERVAL: Final = "MeterValueSampleInterval"


class Session16:
    """The behaviour of a 1.6J connection (``links.ocppj.line.Session``)."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.booted = False
        self._abreast = Abreast(line)

    # What the charge point says --------------------------------------------------------------------

    async def handle(self, call: Call) -> Answered:
        """Record what the call says, then answer. Raises ``CallFailed`` or a ``RevereError`` of the sink."""
        route = _ROUTES.get(call.action)
        if route is None:
            self.line.counters.unknown_actions += 1
            if call.action in wire.CALLS:
                raise CallFailed("NotSupported", f"{call.action} is not for us to answer")
            raise CallFailed("NotImplemented", f"{call.action} is not known here")
        if call.action != "BootNotification":
            registration.check_admitted(self.line)
        began_s, took_s = asyncio.get_running_loop().time(), inf
        try:
            answered = await route(self, call.payload)
            took_s = asyncio.get_running_loop().time() - began_s
        finally:
            self._abreast.waited(took_s)
        return answered

    async def hear(self, _call: Call) -> None:
        """1.6 has no message that nobody answers: dropped and counted."""
        self.line.counters.dropped_sends += 1

    async def _boot(self, request: wire.BootNotification) -> Answered:
        now = self.line.clock.now()
        booted = translate.booted(self.line.config, request, now)
        self.line.recognise(booted.vendor, booted.model, booted.firmware)
        verdict = registration.judge(self.line, booted)
        await self.line.record(verdict.facts)
        memory = self.line.memory
        if verdict.standing == "Accepted":
            memory.watch.restart()
            self.line.booted_anew()
            memory.provisioned = False
        answer = wire.BootNotificationResponse(
            status=verdict.standing, currentTime=self.line.clock.now(), interval=verdict.interval_s
        )

        def answered() -> None:
            memory.standing = verdict.standing
            self.booted = verdict.standing == "Accepted"

        return Answered(answer, then=answered)

    async def _heartbeat(self, _request: wire.Heartbeat) -> Answered:
        return Answered(wire.HeartbeatResponse(currentTime=self.line.clock.now()))

    async def _status(self, request: wire.StatusNotification) -> Answered:
        now = self.line.clock.now()
        facts: list[Fact] = [] if request.timestamp is None else self.line.observe(request.timestamp, now)
        await self.line.record([*facts, translate.status_reported(self.line.config, request, now)])
        return Answered(wire.StatusNotificationResponse())

    def _judge(self, tag: str) -> tuple[Authorization, list[Fact]]:
        """What is known of a tag, and what to tell of one that belongs to another station."""
        found = self.line.directory.authorize(tag, self.line.config.station_id, self.line.clock.now())
        return found, self.line.foreign_token(tag) if found.status == "not_here" else []

    async def _authorize(self, request: wire.Authorize) -> Answered:
        found, facts = self._judge(request.idTag)
        await self.line.record(facts)
        return Answered(wire.AuthorizeResponse(idTagInfo=translate.tag_info(found)))

    async def _start(self, request: wire.StartTransaction) -> Answered:
        now = self.line.clock.now()
        config = self.line.config
        number = translate.transaction_number(config.station_id, request)
        known = self.line.memory.transaction(str(number), request.connectorId)
        found, facts = self._judge(request.idTag)
        if found.accepted and found.group and found.group == config.master_group:
            found = Authorization(status="unknown")  # it ends any session, and starts none
        answer = wire.StartTransactionResponse(idTagInfo=translate.tag_info(found), transactionId=number)
        if START in known.seen:
            self.line.counters.duplicates += 1
            return Answered(answer)
        readings = translate.register_reading(
            config,
            request.connectorId,
            request.meterStart,
            request.timestamp,
            begin=True,
            at=now,
            session_id=SessionId(session_id_of(config.station_id, number)),
            counters=self.line.counters,
        )
        told = (request.connectorId, number)
        if found.accepted:  # the vehicle of a refused tag is none of ours
            facts.append(translate.session_started(config, request, number, now))
        await self.line.record([*facts, *self._abreast.judge(told, request.timestamp, readings, now)])
        self._abreast.taken(told, request.timestamp, now)
        known.seen.add(START)
        return Answered(answer)

    async def _stop(self, request: wire.StopTransaction) -> Answered:
        now = self.line.clock.now()
        config = self.line.config
        found, facts = (None, []) if request.idTag is None else self._judge(request.idTag)
        answer = wire.StopTransactionResponse(idTagInfo=None if found is None else translate.tag_info(found))
        if self.line.is_foreign(str(request.transactionId)):
            await self.line.record([*facts, *self.line.foreign_transaction(str(request.transactionId))])
            return Answered(answer)
        known = self.line.memory.transaction(str(request.transactionId), None)
        if STOP in known.seen:
            self.line.counters.duplicates += 1
            return Answered(answer)
        session_id = SessionId(session_id_of(config.station_id, request.transactionId))
        readings = translate.readings(
            config,
            known.evse_id,
            request.transactionData or (),
            at=now,
            session_id=session_id,
            counters=self.line.counters,
        )
        readings += translate.register_reading(
            config,
            known.evse_id,
            request.meterStop,
            request.timestamp,
            begin=False,
            at=now,
            session_id=session_id,
            counters=self.line.counters,
        )
        told = (known.evse_id, request.transactionId)
        facts += self._abreast.judge(told, request.timestamp, readings, now)
        ended = translate.session_ended(config, request, now)
        signed = translate.signed_values(config, known.evse_id, request.transactionData or (), now, session_id)
        await self.line.record([*facts, *signed, ended])
        known.seen.add(STOP)
        wanted = self.line.memory.wanted.get(known.evse_id)
        if wanted is not None and wanted.session_id == session_id:  # our profile was that transaction's
            self.line.memory.given_kw.pop(known.evse_id, None)
        return Answered(answer)

    async def _meter_values(self, request: wire.MeterValues) -> Answered:
        now = self.line.clock.now()
        config = self.line.config
        number = request.transactionId
        if number is not None and self.line.is_foreign(str(number)):
            await self.line.record(self.line.foreign_transaction(str(number)))
            return Answered(wire.MeterValuesResponse())
        session_id = None if number is None else SessionId(session_id_of(config.station_id, number))
        readings = translate.readings(
            config,
            request.connectorId,
            request.meterValue,
            at=now,
            session_id=session_id,
            counters=self.line.counters,
        )
        told, stamp = (request.connectorId, number), max(value.timestamp for value in request.meterValue)
        facts = self._abreast.judge(told, stamp, readings, now)
        signed = translate.signed_values(config, request.connectorId, request.meterValue, now, session_id)
        await self.line.record([*facts, *signed])
        self._abreast.taken(told, stamp, now)
        return Answered(wire.MeterValuesResponse())

    async def _security(self, request: wire.SecurityEventNotification) -> Answered:
        now = self.line.clock.now()
        facts = security.told(self.line.config, request.type, request.timestamp, request.techInfo or "", now)
        await self.line.record(facts)
        return Answered(wire.SecurityEventNotificationResponse())

    async def _sign(self, request: wire.SignCertificate) -> Answered:
        try:
            signed = signing.sign(self.line, request.csr)
        except Refused as error:
            await self.line.record(signing.refusal_facts(self.line, error))
            return Answered(wire.SignCertificateResponse(status="Rejected"))
        await self.line.record(signing.signed_facts(self.line, signed))

        async def give() -> str:
            chain = wire.CertificateSigned(certificateChain=signed.chain)
            return (await self.ask("CertificateSigned", chain, wire.CertificateSignedResponse)).value.status

        answer = wire.SignCertificateResponse(status="Accepted")
        return Answered(answer, beside=lambda: signing.deliver(self.line, signed, give))

    async def _data(self, _request: wire.DataTransfer) -> Answered:
        return Answered(wire.DataTransferResponse(status="UnknownVendorId"))

    # What we ask of the charge point ---------------------------------------------------------------

    async def ask(
        self, action: str, payload: msgspec.Struct, answer: type[T], *, hurry: bool = False, first: bool = False
    ) -> Reply[T]:
        """Ask the charge point and wait for its answer; ``first`` where that is how a discharge ends."""
        reply = await self.line.calls.call(action, payload, answer, hurry=hurry, setpoint=first)
        assert reply is not None  # only a call that may be unwanted comes back empty
        return reply

    async def provision(self) -> None:
        """Install the fallback, set what must be sampled, read the configuration back."""
        memory = self.line.memory
        found = memory.inspection
        if found is None:
            problems = await self._all_of(self._ensure_default, self._apply_settings, self._read_back, self._keep_list)
        else:
            problems = [*await self._all_of(self._ensure_default, self._keep_list), *found]
        await self.line.record_provisioned([*self.line.model_problems(), *problems])
        memory.provisioned, memory.inspection = True, None

    async def _keep_list(self) -> list[str]:
        return await local_list.keep(self)

    async def inspect(self) -> None:
        """Set and read a charge point that may not work yet, then have it boot again."""
        self.line.memory.inspection = tuple(await self._all_of(self._apply_settings, self._read_back))
        await self.ask_boot()

    async def ask_boot(self) -> None:
        """Have the charge point say who it is. One that cannot be made to is told to a person."""
        request = wire.TriggerMessage(requestedMessage="BootNotification")
        try:
            reply = await self.ask("TriggerMessage", request, wire.TriggerMessageResponse)
            why: str = "" if reply.value.status == "Accepted" else reply.value.status
        except (CallRefused, CallTimedOut) as error:
            why = str(error)
        if why and self.line.memory.standing is None:
            await registration.nobody_there(self.line, why)

    async def _all_of(self, *steps: Callable[[], Awaitable[list[str]]]) -> list[str]:
        """What is wrong by every step; one that fails keeps no other from being taken."""
        problems: list[str] = []
        for step in steps:
            try:
                problems += await step()
            except (CallRefused, CallTimedOut, CallOverflow) as error:
                problems.append(str(error))
        return problems

    async def _ensure_default(self) -> list[str]:
        """The same for a charge point that booted, unless it has just been given one."""
        return [] if self.line.default_just_sent() else await self._install_default()

    async def _install_default(self) -> list[str]:
        now = self.line.clock.now()
        self.line.memory.default_sent_s = asyncio.get_running_loop().time()
        profile = self.line.config.default_profile
        request = translate.default_profile(profile, now)
        reply = await self.ask("SetChargingProfile", request, wire.SetChargingProfileResponse)
        if reply.value.status != "Accepted":
            self.line.memory.default_profile_start = None
            return [f"{NO_DEFAULT}: {reply.value.status}"]
        self.line.memory.default_profile_start = local_midnight(profile, now)
        return []

    async def restore_fallback(self) -> Answer:
        """Put the fallback back in the place of any other default; what somebody else limits stays as it is."""
        if self.line.default_just_sent():
            return self.line.answer("Accepted", "sent a moment ago")
        request = wire.ClearChargingProfile(chargingProfilePurpose="TxDefaultProfile")
        await self.ask("ClearChargingProfile", request, wire.ClearChargingProfileResponse)
        if self.line.default_just_sent():
            return self.line.answer("Accepted", "sent meanwhile")  # a boot's own, which waited for the line
        problems = await self._install_default()
        await self.line.renew_problem(NO_DEFAULT, problems)
        return self.line.answer("Rejected" if problems else "Accepted", "; ".join(problems))

    def default_profile_due(self) -> bool:
        """Whether the fallback was refused, or the clocks have changed since: its local day is an hour off."""
        installed = self.line.memory.default_profile_start
        if installed is None:
            return True
        midnight = local_midnight(self.line.config.default_profile, self.line.clock.now())
        return (midnight - installed).total_seconds() % DAY_S != 0

    async def refresh_default_profile(self) -> None:
        """Install the fallback again where it is due, and say so when that changed what is wrong."""
        if self.default_profile_due():
            await self.line.renew_problem(NO_DEFAULT, await self._install_default())

    def settings(self) -> dict[str, tuple[str, ...]]:
        """Key to the values that serve, the best first: many AC charge points know no soc."""
        config = self.line.config
        measurands = [IMPORT_REGISTER, IMPORT_POWER]
        if config.meters_site or self._both_ways():
            measurands += [EXPORT_REGISTER, EXPORT_POWER]
        values = (",".join([*measurands, SOC]), ",".join(measurands))
        interval = (str(config.sample_interval_s),)
        words = {"{measurands}": values, "{interval_s}": interval}
        return {
            "MeterValuesSampledData": values,
            SAMPLE_INTERVAL: interval,
            "MeterValuesAlignedData": values,
            "ClockAlignedDataInterval": (str(config.aligned_interval_s),),
            **{own.variable: words.get(own.value, (own.value,)) for own in self.line.model.variables},
        }

    def _optional(self) -> set[str]:
        return {own.variable for own in self.line.model.variables if own.optional}

    async def _apply_settings(self) -> list[str]:
        problems: list[str] = []
        for key, values in self.settings().items():
            status = ""
            for value in values:
                request = wire.ChangeConfiguration(key=key, value=value)
                reply = await self.ask("ChangeConfiguration", request, wire.ChangeConfigurationResponse)
                status = reply.value.status
                if status == "Accepted":
                    break
            if status != "Accepted" and not (status == "NotSupported" and key in self._optional()):
                problems.append(f"{key}: {status}")
        return problems

    async def _read_back(self) -> list[str]:
        await self.read_configuration()
        variables = self.line.memory.variables
        return [
            f"{key}: reads {variables.get(key, '')[:80]!r}, was set to {values[0]!r}"
            for key, values in self.settings().items()
            if variables.get(key, "").replace(" ", "") not in [value.replace(" ", "") for value in values]
            and not (key in self._optional() and key not in variables)
        ]

    async def read_configuration(self) -> None:
        """Take all keys that the charge point tells."""
        reply = await self.ask("GetConfiguration", wire.GetConfiguration(), wire.GetConfigurationResponse)
        variables = self.line.memory.variables
        for entry in reply.value.configurationKey or ():
            access = "ReadOnly" if entry.readonly else "ReadWrite"
            variables.tell(entry.key, DeviceVariable(value=entry.value, kind=kind_of_variable(access=access)))

    async def set_power(self, command: SetpointCommand) -> Answer:
        """Give a connector a charging limit for its transaction, for 15 minutes at most."""
        if not self.line.model.controllable:
            return self.line.answer("Rejected", NOT_CONTROLLABLE)
        try:
            check_setpoint(command)
            transaction_id = int(transaction_id_of(command.station_id, command.session_id))
        except (RevereError, ValueError) as error:
            return self.line.answer("Rejected", str(error))
        template = self.line.model.data_transfer
        return await give_in_turn(
            self.line,
            command,
            gives=self._both_ways(),
            give=lambda: (
                self._lease(command, transaction_id)
                if template is None
                else self._transfer(template, command, transaction_id)
            ),
            clear=None if template else lambda: self.clear_setpoint(command.evse_id, first=True),
            end=lambda: self.remote_stop(command.session_id, first=True),
        )

    async def _transfer(self, template: DataTransfer, command: SetpointCommand, transaction_id: int) -> Answer:
        """Give a setpoint by the vendor's own message."""
        line = self.line
        setpoint_kw = command.setpoint_kw if self._both_ways() else max(command.setpoint_kw, 0.0)
        filled = template.filled(
            setpoint_w=watts(setpoint_kw), evse_id=command.evse_id, transaction_id=str(transaction_id)
        )
        reply = await line.calls.call(
            "DataTransfer",
            wire.DataTransfer(vendorId=template.vendor_id, messageId=template.message_id, data=filled),
            wire.DataTransferResponse,
            still_wanted=lambda: line.wanted(command),
            setpoint=True,
        )
        return line.superseded() if reply is None else line.answer(reply.value.status, "", reply.sent_wall_s)

    def _both_ways(self) -> bool:
        return self.line.config.discharge_kw > 0 and self.line.model.discharges

    async def _lease(self, command: SetpointCommand, transaction_id: int) -> Answer:
        """Give the profile; where it may discharge, no more often than its memory bears, but for the end of that."""
        line, both_ways = self.line, self._both_ways()
        if both_ways and not line.ends_discharge(command):
            too_early = line.too_early(command.evse_id, line.model.profile_interval_s + RATE_MARGIN_S)
            if too_early:
                return Answer(status="too_early", why=too_early, answered_at=line.clock.now())
        reply = await line.calls.call(
            "SetChargingProfile",
            translate.central_profile(command, transaction_id, line.clock.now(), bidirectional=both_ways),
            wire.SetChargingProfileResponse,
            still_wanted=lambda: line.take_turn(command),
            setpoint=True,
        )
        if reply is None:
            return line.superseded()
        return line.answer(reply.value.status, sent_wall_s=reply.sent_wall_s)

    async def set_reporting(self, command: ReportingCommand) -> Answer:
        """Change how often the meter is sampled in a transaction."""
        request = wire.ChangeConfiguration(key=SAMPLE_INTERVAL, value=str(command.sample_interval_s))
        reply = await self.ask("ChangeConfiguration", request, wire.ChangeConfigurationResponse)
        return self.line.answer(reply.value.status, sent_wall_s=reply.sent_wall_s)

    async def set_password(self, secret: str) -> Answer:
        """Give the charge point its next AuthorizationKey, in hexadecimal digits as 1.6 writes it."""
        request = wire.ChangeConfiguration(key="AuthorizationKey", value=secret)
        reply = await self.ask("ChangeConfiguration", request, wire.ChangeConfigurationResponse)
        status = "Accepted" if reply.value.status == "RebootRequired" else reply.value.status
        return self.line.answer(status, sent_wall_s=reply.sent_wall_s)

    async def remote_start(self, evse_id: int | None, token: str) -> Answer:
        """Start a transaction for a tag."""
        request = wire.RemoteStartTransaction(idTag=token, connectorId=evse_id)
        reply = await self.ask("RemoteStartTransaction", request, wire.RemoteStartTransactionResponse)
        return self.line.answer(reply.value.status, sent_wall_s=reply.sent_wall_s)

    async def remote_stop(self, session_id: str, *, first: bool = False) -> Answer:
        """End a transaction; ``first`` where that is how a discharge ends."""
        number = transaction_id_of(self.line.config.station_id, session_id)
        if not number.isdecimal():
            raise Refused("no 1.6 transaction", where=self.line.config.station_id, got=session_id)
        request = wire.RemoteStopTransaction(transactionId=int(number))
        reply = await self.ask("RemoteStopTransaction", request, wire.RemoteStopTransactionResponse, first=first)
        return self.line.answer(reply.value.status, sent_wall_s=reply.sent_wall_s)

    async def carry_out(self, order: OrderBase) -> Answer:
        """Do what a person asked. Raises :class:`Refused` where 1.6 has no message for it."""
        do = _ORDERS.get(type(order))
        if do is None:
            raise Refused("ocpp1.6 has no message for it", got=kind_of(order))
        try:
            return await do(self, order)
        except msgspec.ValidationError as error:
            raise Refused("ocpp1.6 has no words for it", got=str(error)) from error

    def charging(self) -> bool:
        """Whether a transaction runs, as far as this server has heard."""
        return any(START in known.seen and STOP not in known.seen for known in self.line.memory.transactions.values())

    async def clear_setpoint(self, evse_id: int, *, first: bool = False) -> Answer:
        """Remove the central profile of a connector, so that the fallback holds."""
        request = wire.ClearChargingProfile(id=translate.CENTRAL_PROFILE_BASE + evse_id)
        reply = await self.ask("ClearChargingProfile", request, wire.ClearChargingProfileResponse, first=first)
        if reply.value.status == "Accepted":
            self.line.memory.given_kw.pop(evse_id, None)
        return self.line.answer(reply.value.status, sent_wall_s=reply.sent_wall_s)

    async def composite_limits_kw(self, evse_id: int, duration_s: int) -> list[tuple[dt.datetime, float]]:
        """What the charge point would do, as (from, kW). Raises :class:`Refused`."""
        request = wire.GetCompositeSchedule(connectorId=evse_id, duration=duration_s, chargingRateUnit="W")
        reply = await self.ask("GetCompositeSchedule", request, wire.GetCompositeScheduleResponse, hurry=True)
        value = reply.value
        if value.status != "Accepted" or value.chargingSchedule is None:
            raise Refused("no composite schedule", where=self.line.config.station_id, got=value.status)
        if value.chargingSchedule.chargingRateUnit != "W":
            raise Refused("composite schedule in amperes", where=self.line.config.station_id, expected="W")
        start = value.scheduleStart or self.line.clock.now()  # many leave it out
        return [
            (moment_after(start, period.startPeriod), period.limit / 1000.0)
            for period in value.chargingSchedule.chargingSchedulePeriod
        ]


def _route(
    kind: type[T], method: Callable[[Session16, T], Awaitable[Answered]]
) -> Callable[[Session16, msgspec.Raw], Awaitable[Answered]]:
    reader = PayloadReader(kind)

    def handle(session: Session16, payload: msgspec.Raw) -> Awaitable[Answered]:
        return method(session, reader.read(payload, session.line.counters))

    return handle


# The methods are this class's own doors: the table keeps reader and method side by side.
_ROUTES: Final = {
    "BootNotification": _route(wire.BootNotification, Session16._boot),
    "Heartbeat": _route(wire.Heartbeat, Session16._heartbeat),
    "StatusNotification": _route(wire.StatusNotification, Session16._status),
    "Authorize": _route(wire.Authorize, Session16._authorize),
    "StartTransaction": _route(wire.StartTransaction, Session16._start),
    "StopTransaction": _route(wire.StopTransaction, Session16._stop),
    "MeterValues": _route(wire.MeterValues, Session16._meter_values),
    "SecurityEventNotification": _route(wire.SecurityEventNotification, Session16._security),
    "SignCertificate": _route(wire.SignCertificate, Session16._sign),
    "DataTransfer": _route(wire.DataTransfer, Session16._data),
    "FirmwareStatusNotification": _route(wire.FirmwareStatusNotification, files.firmware_status),
    "SignedFirmwareStatusNotification": _route(wire.SignedFirmwareStatusNotification, files.signed_status),
    "LogStatusNotification": _route(wire.LogStatusNotification, files.log_status),
    "DiagnosticsStatusNotification": _route(wire.DiagnosticsStatusNotification, files.diagnostics_status),
}
_ORDERS: Final = {**ORDERS, **files.ORDERS}
