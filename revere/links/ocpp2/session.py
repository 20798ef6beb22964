"""One 2.1 station's session: what we do with each of its messages, and what we ask of it.

Nothing is answered before ``line.record`` returned: an answer means that the facts are committed.
Messages are handled one after the other, as the standard sends them.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import math
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from revere.core.commands import Answer
from revere.core.errors import Refused, RevereError
from revere.core.facts import Fact, GridLost, GridRestored
from revere.core.ids import SessionId
from revere.links.ocpp2 import provision, translate
from revere.links.ocpp2.wire import v21 as wire
from revere.links.ocppj.calls import CallOverflow, CallRefused, CallTimedOut, Reply
from revere.links.ocppj.framing import Call, CallFailed
from revere.links.ocppj.line import (
    HEARTBEAT_S,
    NO_DEFAULT,
    PROFILE_INTERVAL_S,
    SKEW_QUARANTINE_S,
    Answered,
    Line,
    session_id_of,
    transaction_id_of,
)
from revere.links.ocppj.payload import PayloadReader
from revere.links.ocppj.setpoints import DAY_S, check_setpoint, local_midnight

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from revere.core.commands import ReportingCommand, SetpointCommand

T = TypeVar("T")

RATE_MARGIN_S: Final = 2.0
"""The station counts from when a profile arrives, we from when it leaves."""
UPDATE_RETRY_S: Final = 1.5
"""An update refused as too early is sent once more after this."""
RATE_LIMITED: Final = "RateLimitExceeded"


class Session2:
    """The behaviour of a 2.1 connection (``links.ocppj.line.Session``)."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.booted = False
        self._report_done = asyncio.Event()
        self._report_id = 0

    # What the station says -------------------------------------------------------------------------

    async def handle(self, call: Call) -> Answered:
        """Record what the call says, then answer. Raises ``CallFailed`` or a ``RevereError`` of the sink."""
        route = _ROUTES.get(call.action)
        if route is None:
            self.line.counters.unknown_actions += 1
            if call.action in wire.CALLS:
                raise CallFailed("NotSupported", f"{call.action} is not for us to answer")
            raise CallFailed("NotImplemented", f"{call.action} is not known here")
        return await route(self, call.payload)

    async def _boot(self, request: wire.BootNotificationRequest) -> Answered:
        now = self.line.clock.now()
        memory = self.line.memory
        booted = translate.booted(self.line.config, request, now)
        await self.line.record([booted, *self.line.identify(booted)])
        memory.watch.restart()
        memory.profile_sent_s.clear()
        memory.default_sent_s = -math.inf
        memory.provisioned = False
        answer = wire.BootNotificationResponse(
            currentTime=self.line.clock.now(), interval=HEARTBEAT_S, status="Accepted"
        )
        return Answered(answer, then=self._set_booted)

    def _set_booted(self) -> None:
        self.booted = True

    async def _heartbeat(self, _request: wire.HeartbeatRequest) -> Answered:
        return Answered(wire.HeartbeatResponse(currentTime=self.line.clock.now()))

    async def _status(self, request: wire.StatusNotificationRequest) -> Answered:
        now = self.line.clock.now()
        facts = self.line.observe(request.timestamp, now)
        await self.line.record([*facts, translate.status_reported(self.line.config, request, now)])
        return Answered(wire.StatusNotificationResponse())

    async def _report(self, request: wire.NotifyReportRequest) -> Answered:
        now = self.line.clock.now()
        await self.line.record(self.line.observe(request.generatedAt, now))
        variables = self.line.memory.variables
        for item in request.reportData or ():
            name = provision.variable_name(item.component, item.variable)
            value = next((a.value for a in item.variableAttribute if a.type == "Actual"), None)
            if value is not None and (name in variables or len(variables) < provision.VARIABLES_MAX):
                variables[name] = value[: provision.VALUE_MAX_CHARS]
        if request.requestId == self._report_id and not request.tbc:
            self._report_done.set()
        return Answered(wire.NotifyReportResponse())

    async def _authorize(self, request: wire.AuthorizeRequest) -> Answered:
        return Answered(wire.AuthorizeResponse(idTokenInfo=self._token_info(request.idToken)))

    def _token_info(self, token: wire.IdToken) -> wire.IdTokenInfo:
        known = self.line.directory.authorized(token.idToken, self.line.config.station_id)
        return wire.IdTokenInfo(status="Accepted" if known else "Invalid")

    async def _transaction(self, request: wire.TransactionEventRequest) -> Answered:
        now = self.line.clock.now()
        config, memory = self.line.config, self.line.memory
        transaction_id = request.transactionInfo.transactionId
        known = memory.transaction(transaction_id, request.evse.id if request.evse is not None else None)
        answer = wire.TransactionEventResponse(
            idTokenInfo=None if request.idToken is None else self._token_info(request.idToken)
        )
        if request.seqNo in known.seen:
            self.line.counters.duplicates += 1
            return Answered(answer)
        facts: list[Fact] = [] if request.offline else self.line.observe(request.timestamp, now)
        token = request.idToken.idToken if request.idToken is not None else known.token
        started = request.timestamp if request.eventType == "Started" else known.started
        identified = token != known.token and started is not None
        if request.eventType == "Started" or identified:
            since = started or request.timestamp
            facts.append(translate.session_started(config, transaction_id, known.evse_id, token, since, now))
        if request.meterValue:
            session_id = SessionId(session_id_of(config.station_id, transaction_id))
            readings = translate.readings(
                config,
                known.evse_id,
                request.meterValue,
                at=now,
                session_id=session_id,
                counters=self.line.counters,
            )
            facts += self.line.quarantine(readings, now)
        if request.eventType == "Ended":
            facts.append(translate.session_ended(config, request, now))
        await self.line.record(facts)
        known.token, known.started = token, started
        if known.seen.add(request.seqNo):
            self.line.counters.seq_gaps += 1
        if request.eventType == "Ended" and memory.profile_of.get(known.evse_id) == transaction_id:
            del memory.profile_of[known.evse_id]
        return Answered(answer)

    async def _meter_values(self, request: wire.MeterValuesRequest) -> Answered:
        now = self.line.clock.now()
        facts: list[Fact] = []
        newest = max(value.timestamp for value in request.meterValue)
        if (newest - now).total_seconds() > -SKEW_QUARANTINE_S:  # older ones may have waited in a queue
            facts += self.line.observe(newest, now)
        readings = translate.readings(
            self.line.config,
            request.evseId,
            request.meterValue,
            at=now,
            session_id=None,
            counters=self.line.counters,
        )
        await self.line.record([*facts, *self.line.quarantine(readings, now)])
        return Answered(wire.MeterValuesResponse())

    async def _needs(self, request: wire.NotifyEVChargingNeedsRequest) -> Answered:
        now = self.line.clock.now()
        await self.line.record([translate.energy_needs(self.line.config, request, now)])
        return Answered(wire.NotifyEVChargingNeedsResponse(status="Accepted"))

    async def _schedule(self, _request: wire.NotifyEVChargingScheduleRequest) -> Answered:
        return Answered(wire.NotifyEVChargingScheduleResponse(status="Accepted"))

    async def _der_alarm(self, request: wire.NotifyDERAlarmRequest) -> Answered:
        now = self.line.clock.now()
        memory = self.line.memory
        alarms = translate.der_alarm(self.line.config, request, now, grid_lost=memory.grid_lost)
        await self.line.record([*self.line.observe(request.timestamp, now), *alarms])
        for alarm in alarms:
            if isinstance(alarm, GridLost | GridRestored):
                memory.grid_lost = isinstance(alarm, GridLost)
        return Answered(wire.NotifyDERAlarmResponse())

    async def _events(self, request: wire.NotifyEventRequest) -> Answered:
        now = self.line.clock.now()
        facts = self.line.observe(request.generatedAt, now)
        for event in request.eventData:
            fact = translate.notified(self.line.config, event, now)
            if fact is not None:
                facts.append(fact)
        await self.line.record(facts)
        return Answered(wire.NotifyEventResponse())

    async def _security(self, request: wire.SecurityEventNotificationRequest) -> Answered:
        now = self.line.clock.now()
        await self.line.record([translate.security_alarm(self.line.config, request, now)])
        return Answered(wire.SecurityEventNotificationResponse())

    async def _limit(self, request: wire.NotifyChargingLimitRequest) -> Answered:
        now = self.line.clock.now()
        await self.line.record([translate.limit_alarm(self.line.config, request, now)])
        return Answered(wire.NotifyChargingLimitResponse())

    async def _data(self, _request: wire.DataTransferRequest) -> Answered:
        return Answered(wire.DataTransferResponse(status="UnknownVendorId"))

    # What we ask of the station --------------------------------------------------------------------

    async def _ask(self, action: str, payload: msgspec.Struct, answer: type[T], *, hurry: bool = False) -> Reply[T]:
        reply = await self.line.calls.call(action, payload, answer, hurry=hurry)
        assert reply is not None  # only a call that may be unwanted comes back empty
        return reply

    async def provision(self) -> None:
        """Install the fallback, set and read back what must be sampled, take the device model."""
        problems: list[str] = []
        steps = (self._install_default, self._apply_settings, self._read_back, self._take_report)
        for step in steps:
            try:
                problems += await step()
            except (CallRefused, CallTimedOut, CallOverflow) as error:
                problems.append(str(error))
        await self.line.record_provisioned(problems)
        self.line.memory.provisioned = True

    async def _install_default(self) -> list[str]:
        now = self.line.clock.now()
        self.line.memory.default_sent_s = asyncio.get_running_loop().time()
        profile = self.line.config.default_profile
        request = translate.default_profile(profile, now)
        reply = await self._ask("SetChargingProfile", request, wire.SetChargingProfileResponse)
        if reply.value.status != "Accepted":
            self.line.memory.default_profile_start = None
            return [f"{NO_DEFAULT}: {_reason(reply.value.statusInfo)}"]
        self.line.memory.default_profile_start = local_midnight(profile, now)
        return []

    async def restore_fallback(self) -> Answer:
        """Put the fallback back in the place of any other default; what somebody else limits stays as it is."""
        if self.line.default_just_sent():
            return self.line.answer("Accepted", "sent a moment ago")
        criteria = wire.ClearChargingProfile(chargingProfilePurpose="TxDefaultProfile")
        request = wire.ClearChargingProfileRequest(chargingProfileCriteria=criteria)
        await self._ask("ClearChargingProfile", request, wire.ClearChargingProfileResponse)
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

    async def _apply_settings(self) -> list[str]:
        problems: list[str] = []
        retry: list[tuple[str, str, str]] = []
        settings = {(s.component, s.variable): s for s in provision.settings(self.line.config)}
        wanted = [(s.component, s.variable, s.value) for s in settings.values()]
        for attempt in (wanted, retry):
            for start in range(0, len(attempt), provision.PER_REQUEST):
                request = provision.set_request(attempt[start : start + provision.PER_REQUEST])
                reply = await self._ask("SetVariables", request, wire.SetVariablesResponse)
                for result in reply.value.setVariableResult:
                    key = (result.component.name, result.variable.name)
                    if result.attributeStatus == "Accepted" or key not in settings:
                        continue
                    if attempt is wanted and settings[key].fallback:
                        retry.append((*key, settings[key].fallback))
                    else:
                        problems.append(f"{'.'.join(key)}: {result.attributeStatus}")
        return problems

    async def _read_back(self) -> list[str]:
        problems: list[str] = []
        variables = self.line.memory.variables
        settings = {s.name: s for s in provision.settings(self.line.config)}
        wanted = [(s.component, s.variable) for s in settings.values()] + list(provision.READ_ONLY)
        for start in range(0, len(wanted), provision.PER_REQUEST):
            request = provision.get_request(wanted[start : start + provision.PER_REQUEST])
            reply = await self._ask("GetVariables", request, wire.GetVariablesResponse)
            for result in reply.value.getVariableResult:
                name = provision.variable_name(result.component, result.variable)
                setting = settings.get(name)
                if result.attributeStatus == "Accepted" and result.attributeValue is not None:
                    variables[name] = result.attributeValue
                if setting is None:
                    continue
                found = result.attributeValue or ""
                allowed = [setting.value, setting.fallback] if setting.fallback else [setting.value]
                if not any(provision.same_value(value, found) for value in allowed):
                    problems.append(f"{name}: reads {found[:80]!r}, was set to {setting.value!r}")
        return problems

    async def _take_report(self) -> list[str]:
        self._report_id += 1
        self._report_done.clear()
        request = wire.GetBaseReportRequest(requestId=self._report_id, reportBase="FullInventory")
        reply = await self._ask("GetBaseReport", request, wire.GetBaseReportResponse)
        if reply.value.status != "Accepted":
            return [f"device model not reported: {reply.value.status}"]
        try:
            async with asyncio.timeout(provision.REPORT_WAIT_S):
                await self._report_done.wait()
        except TimeoutError:
            return [f"device model incomplete after {provision.REPORT_WAIT_S:.0f} s"]
        return []

    async def set_power(self, command: SetpointCommand) -> Answer:
        """Give an EVSE a setpoint: a Dynamic profile first, updates of it from then on.

        A newer setpoint for the same EVSE drops an older one that still waits for the line.
        """
        try:
            check_setpoint(command)
            transaction_id = transaction_id_of(command.station_id, command.session_id)
        except RevereError as error:
            return self.line.answer("Rejected", error.text())
        async with self.line.power_turn(command):
            if self.line.memory.profile_of.get(command.evse_id) == transaction_id:
                answer = await self._update(command)
                if answer is not None and answer.why == RATE_LIMITED:
                    await asyncio.sleep(UPDATE_RETRY_S)
                    answer = await self._update(command)
                if answer is not None:
                    return answer
            return await self._install(command, transaction_id)

    async def _update(self, command: SetpointCommand) -> Answer | None:
        """Change the installed profile; None when the station no longer has it."""
        memory = self.line.memory
        request = wire.UpdateDynamicScheduleRequest(
            chargingProfileId=translate.central_profile_id(command.evse_id),
            scheduleUpdate=translate.schedule_update(command, bidirectional=self._bidirectional()),
        )
        try:
            reply = await self.line.calls.call(
                "UpdateDynamicSchedule",
                request,
                wire.UpdateDynamicScheduleResponse,
                still_wanted=lambda: self.line.wanted(command),
                setpoint=True,
            )
        except CallRefused:  # does not know the message: whole profiles, at their slower pace
            memory.profile_of.pop(command.evse_id, None)
            return None
        if reply is None:
            return self.line.superseded()
        value = reply.value
        if value.status == "Accepted":
            return self.line.answer("Accepted", sent_wall_s=reply.sent_wall_s)
        if value.statusInfo is not None and value.statusInfo.reasonCode == RATE_LIMITED:
            self.line.counters.setpoints_rate_limited += 1
            return self.line.answer("Rejected", RATE_LIMITED, reply.sent_wall_s)
        memory.profile_of.pop(command.evse_id, None)
        return None

    async def _install(self, command: SetpointCommand, transaction_id: str) -> Answer:
        memory = self.line.memory
        now_s = asyncio.get_running_loop().time()
        wait_s = self._profile_interval_s() - (now_s - memory.profile_sent_s.get(command.evse_id, -1e9))
        if wait_s > 0:
            self.line.counters.setpoints_rate_limited += 1
            return self.line.answer("Rejected", f"a new profile may be sent in {wait_s:.0f} s")
        request = translate.central_profile(command, transaction_id, bidirectional=self._bidirectional())
        reply = await self.line.calls.call(
            "SetChargingProfile",
            request,
            wire.SetChargingProfileResponse,
            still_wanted=lambda: self._take_turn(command),
            setpoint=True,
        )
        if reply is None:
            return self.line.superseded()
        status, info = reply.value.status, reply.value.statusInfo
        if status == "Accepted":
            memory.profile_of[command.evse_id] = transaction_id
            return self.line.answer("Accepted", sent_wall_s=reply.sent_wall_s)
        if info is not None and info.reasonCode == RATE_LIMITED:
            # Sent within the minute, by us before a restart: then the station still has it.
            self.line.counters.setpoints_rate_limited += 1
            memory.profile_of[command.evse_id] = transaction_id
            answer = await self._update(command)
            if answer is not None:
                return answer
        return self.line.answer("Rejected", _reason(info), reply.sent_wall_s)

    def _take_turn(self, command: SetpointCommand) -> bool:
        """Whether the setpoint is still the newest; if so its profile counts as sent from now on."""
        if not self.line.wanted(command):
            return False
        self.line.memory.profile_sent_s[command.evse_id] = asyncio.get_running_loop().time()
        return True

    def _bidirectional(self) -> bool:
        return self.line.config.discharge_kw > 0

    def _profile_interval_s(self) -> float:
        """Seconds between two profiles: ours, or the station's own limit where that is longer."""
        try:
            own_s = float(self.line.memory.variables.get(provision.UPDATE_RATE_LIMIT, "0"))
        except ValueError:
            own_s = 0.0
        return max(PROFILE_INTERVAL_S, own_s) + RATE_MARGIN_S

    async def set_reporting(self, command: ReportingCommand) -> Answer:
        """Change how often the meter is sampled in a session."""
        component, variable = provision.TX_INTERVAL
        request = provision.set_request([(component, variable, str(command.sample_interval_s))])
        reply = await self._ask("SetVariables", request, wire.SetVariablesResponse)
        return self.line.answer(reply.value.setVariableResult[0].attributeStatus, sent_wall_s=reply.sent_wall_s)

    async def remote_start(self, evse_id: int, token: str) -> Answer:
        """Start a session for a token."""
        memory = self.line.memory
        memory.remote_starts += 1
        request = wire.RequestStartTransactionRequest(
            idToken=wire.IdToken(idToken=token, type="Central"), remoteStartId=memory.remote_starts, evseId=evse_id
        )
        reply = await self._ask("RequestStartTransaction", request, wire.RequestStartTransactionResponse)
        return self.line.answer(reply.value.status, _reason(reply.value.statusInfo), reply.sent_wall_s)

    async def remote_stop(self, session_id: str) -> Answer:
        """End a session."""
        transaction_id = transaction_id_of(self.line.config.station_id, session_id)
        request = wire.RequestStopTransactionRequest(transactionId=transaction_id)
        reply = await self._ask("RequestStopTransaction", request, wire.RequestStopTransactionResponse)
        return self.line.answer(reply.value.status, _reason(reply.value.statusInfo), reply.sent_wall_s)

    async def clear_setpoint(self, evse_id: int) -> Answer:
        """Remove the central profile of an EVSE, so that the resident charge-only default holds."""
        request = wire.ClearChargingProfileRequest(chargingProfileId=translate.central_profile_id(evse_id))
        reply = await self._ask("ClearChargingProfile", request, wire.ClearChargingProfileResponse)
        self.line.memory.profile_of.pop(evse_id, None)
        return self.line.answer(reply.value.status, sent_wall_s=reply.sent_wall_s)

    async def composite_limits_kw(self, evse_id: int, duration_s: int) -> list[tuple[dt.datetime, float]]:
        """What the station would do, as (from, kW). Raises :class:`Refused`."""
        request = wire.GetCompositeScheduleRequest(duration=duration_s, evseId=evse_id, chargingRateUnit="W")
        reply = await self._ask("GetCompositeSchedule", request, wire.GetCompositeScheduleResponse, hurry=True)
        if reply.value.status != "Accepted" or reply.value.schedule is None:
            raise Refused("no composite schedule", where=self.line.config.station_id, got=reply.value.status)
        return translate.composite_kw(reply.value.schedule)


def _reason(info: wire.StatusInfo | None) -> str:
    """A status's reason as one line, empty when none was given."""
    if info is None:
        return ""
    return f"{info.reasonCode}: {info.additionalInfo}" if info.additionalInfo else info.reasonCode


def _route(
    kind: type[T], method: Callable[[Session2, T], Awaitable[Answered]]
) -> Callable[[Session2, msgspec.Raw], Awaitable[Answered]]:
    reader = PayloadReader(kind)

    def handle(session: Session2, payload: msgspec.Raw) -> Awaitable[Answered]:
        return method(session, reader.read(payload, session.line.counters))

    return handle


# The methods are this class's own doors: the table keeps reader and method side by side.
_ROUTES: Final = {
    "BootNotification": _route(wire.BootNotificationRequest, Session2._boot),
    "Heartbeat": _route(wire.HeartbeatRequest, Session2._heartbeat),
    "StatusNotification": _route(wire.StatusNotificationRequest, Session2._status),
    "NotifyReport": _route(wire.NotifyReportRequest, Session2._report),
    "Authorize": _route(wire.AuthorizeRequest, Session2._authorize),
    "TransactionEvent": _route(wire.TransactionEventRequest, Session2._transaction),
    "MeterValues": _route(wire.MeterValuesRequest, Session2._meter_values),
    "NotifyEVChargingNeeds": _route(wire.NotifyEVChargingNeedsRequest, Session2._needs),
    "NotifyEVChargingSchedule": _route(wire.NotifyEVChargingScheduleRequest, Session2._schedule),
    "NotifyDERAlarm": _route(wire.NotifyDERAlarmRequest, Session2._der_alarm),
    "NotifyEvent": _route(wire.NotifyEventRequest, Session2._events),
    "SecurityEventNotification": _route(wire.SecurityEventNotificationRequest, Session2._security),
    "NotifyChargingLimit": _route(wire.NotifyChargingLimitRequest, Session2._limit),
    "DataTransfer": _route(wire.DataTransferRequest, Session2._data),
}
