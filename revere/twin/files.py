"""Files of a strict station: the firmware that it fetches and the logs that it brings, in the words of each edition."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import msgspec

from revere.links.ocpp2.wire import v21
from revere.links.ocpp16 import wire as v16
from revere.twin.firmware import CANCELS, Updater
from revere.twin.line import Message

if TYPE_CHECKING:
    from revere.twin.line import Payload
    from revere.twin.station16 import Station16
    from revere.twin.station21 import Station21

    Handlers = dict[str, Callable[[Payload], Payload]]

UPLOAD_S: Final = 20.0
NOW_S: Final = 5.0
"""A moment that is no further ahead is now: clocks differ."""


class LogBringer:
    """Brings a log, as far as its central system can see; a newer order ends an older one."""

    def __init__(self, station: Station21 | Station16) -> None:
        self._station = station
        self._number: int | None = None

    def order(self, number: int) -> str:
        """The answer in OCPP's words."""
        earlier, self._number = self._number, number
        if earlier is not None:
            self._tell("AcceptedCanceled", earlier)
        self._tell("Uploading", number)
        self._station.later("log", UPLOAD_S, self._brought)
        return "Accepted" if earlier is None else CANCELS

    def _brought(self) -> None:
        number, self._number = self._number, None
        assert number is not None
        self._tell("Uploaded", number)

    def _tell(self, word: str, number: int) -> None:
        self._station.line.post(Message("LogStatusNotification", {"status": word, "requestId": number}))


class FilesDesk21:
    """Of a 2.x station."""

    def __init__(self, station: Station21) -> None:
        self._station = station
        self.updater = Updater(station, self._tell)
        station.upkeep.triggers["FirmwareStatusNotification"] = self.updater.tell_again
        self._logs = LogBringer(station)
        self.handlers: Handlers = {"UpdateFirmware": self._update, "GetLog": self._log}

    def _update(self, payload: Payload) -> Payload:
        request = self._station.asked(payload, v21.UpdateFirmwareRequest)
        firmware, now_s = request.firmware, self._station.time.now_s()
        answer = self.updater.order(
            firmware.location,
            request.requestId,
            _ahead_s(firmware.retrieveDateTime, now_s),
            _ahead_s(firmware.installDateTime, now_s),
            firmware.signingCertificate or "",
            firmware.signature or "",
        )
        return {"status": answer}

    def _tell(self, word: str, number: int | None) -> None:
        named = {} if number is None else {"requestId": number}
        self._station.line.post(Message("FirmwareStatusNotification", {"status": word} | named))

    def _log(self, payload: Payload) -> Payload:
        request = self._station.asked(payload, v21.GetLogRequest)
        if request.logType == "DataCollectorLog":
            return {"status": "Rejected"}
        return {"status": self._logs.order(request.requestId), "filename": f"{self._station.asset.id}.zip"}


class FilesDesk16:
    """Of a 1.6 charge point with the security extension."""

    def __init__(self, station: Station16) -> None:
        self._station = station
        self.updater = Updater(station, self._tell)
        station.upkeep.triggers["FirmwareStatusNotification"] = self.updater.tell_again
        self._logs = LogBringer(station)
        self.handlers: Handlers = {
            "UpdateFirmware": self._update,
            "SignedUpdateFirmware": self._update_signed,
            "GetLog": self._log,
        }

    def _update(self, payload: Payload) -> Payload:
        """The core's own message: no number, no signature, and no answer but that it arrived."""
        request = msgspec.convert(payload, v16.UpdateFirmware)
        ahead_s = _ahead_s(request.retrieveDate, self._station.time.now_s())
        self.updater.order(request.location, None, ahead_s, 0.0, "", "")
        return {}

    def _update_signed(self, payload: Payload) -> Payload:
        request = msgspec.convert(payload, v16.SignedUpdateFirmware)
        firmware, now_s = request.firmware, self._station.time.now_s()
        answer = self.updater.order(
            firmware.location,
            request.requestId,
            _ahead_s(firmware.retrieveDateTime, now_s),
            _ahead_s(firmware.installDateTime, now_s),
            firmware.signingCertificate,
            firmware.signature,
        )
        return {"status": answer}

    def _tell(self, word: str, number: int | None) -> None:
        line = self._station.line
        if number is not None:
            line.post(Message("SignedFirmwareStatusNotification", {"status": word, "requestId": number}))
        elif word in CORE_WORDS:
            line.post(Message("FirmwareStatusNotification", {"status": word}))

    def _log(self, payload: Payload) -> Payload:
        request = msgspec.convert(payload, v16.GetLog)
        return {"status": self._logs.order(request.requestId), "filename": f"{self._station.asset.id}.zip"}


CORE_WORDS: Final = frozenset(
    {"Downloaded", "DownloadFailed", "Downloading", "Idle", "InstallationFailed", "Installing", "Installed"}
)
"""What 1.6 can say without its security extension."""


def _ahead_s(moment: dt.datetime | None, now_s: float) -> float:
    """Seconds until a moment, 0 where it is over or was not named."""
    ahead_s = 0.0 if moment is None else moment.timestamp() - now_s
    return ahead_s if ahead_s > NOW_S else 0.0
