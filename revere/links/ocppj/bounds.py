"""Every bound of the OCPP wire, and the counters that say when one was met."""

from __future__ import annotations

from typing import Final

import msgspec

FRAME_MAX_BYTES: Final = 65_536
"""An ordinary frame. A whole TransactionEvent has about 1 kB."""
LONG_FRAME_MAX_BYTES: Final = 1_048_576
"""Reports and schedules, long by nature (1,024 periods have 122 kB); also the socket's own bound."""
MESSAGE_ID_MAX_CHARS: Final = 36
ACTION_MAX_CHARS: Final = 64
STATION_ID_MAX_CHARS: Final = 48
PASSWORD_MAX_BYTES: Final = 64

CALL_TIMEOUT_S: Final = 30.0
"""How long a station may take to answer (loop time)."""
SETPOINT_TIMEOUT_S: Final = 5.0
"""The same for a setpoint: the next one may be a stop, whose last station must stand within 10 s."""
CALL_YIELDS_S: Final = 3.0
"""What is in flight is given up after this when a newer setpoint waits for the line."""
LATE_S: Final = 3.0
"""A message whose commit takes longer is answered as not recorded yet: the station's next one may be its lost grid."""
LATE_NEXT_S: Final = 0.25
"""The same while an earlier one of the station is still not committed: eight hold its lost grid up for 4.75 s."""
BOOT_LATE_S: Final = 25.0
"""The same for a boot, before which a station says nothing else; its own call time-out is usually 30 s."""
LATE_ANSWERS_MAX: Final = 64
"""Answers kept for a station's repetitions after a late commit; the oldest is forgotten first."""
UNHEARD_MAX: Final = 3
"""Setpoints in a row without an answer; then the line is cut, so that a hung station dials and boots anew."""
CUT_AGAIN_S: Final = 900.0
"""A station that needs a second cut within this time is kept out until its lease is over."""
CUT_MARGIN_S: Final = 30.0
"""The station counts its lease from when it notices the cut, we from when we cut."""
TLS_BUFFER_BYTES: Final = 16_384
"""One TLS record. asyncio would keep 256 KiB for each connection, of 10,000 stations 2.5 GB."""
UNOPENED_MAX_BYTES: Final = 16_384
"""What a caller may have said by the moment in which TLS stands."""
UNREAD_MAX_BYTES: Final = 1_048_576
"""Bytes that a station may leave unread before its connection is given up."""
CALLS_WAITING_MAX: Final = 16
"""Our calls that wait for the one in flight; the next one fails at once."""
INBOUND_WAITING_MAX: Final = 8
"""A station's calls that wait for our answer. The standard allows one; a flood closes the connection."""
SENDS_WAITING_MAX: Final = 4
"""Unanswered messages (type 6) that wait to be taken; more are dropped, since nothing tells a station to wait."""
FRAME_BURST: Final = 400.0
FRAMES_PER_S_MAX: Final = 100.0
BYTE_BURST: Final = 4 * 1_048_576.0
"""An inventory of 9,000 variables (350 to 450 B each) is read without a pause."""
BYTES_PER_S_MAX: Final = 16 * 1_048_576.0 / 60.0
"""Beyond the bursts a connection is read at these rates; the kernel's buffer holds the flood back. One longest
frame is paid for in 3.8 s, so that an answer behind it is still in time; a station's day has some 10 MB."""
SAMPLES_LOST_MAX: Final = 64
"""Samples left out of one payload before all of it is refused."""
BAD_FRAMES_PER_MINUTE_MAX: Final = 20
"""Frames that are no OCPP message; one more within a minute and the connection is closed."""
BAD_PAYLOADS_MAX: Final = 50
"""Payloads refused on one connection before it is closed."""
OPEN_TIMEOUT_S: Final = 60.0
"""Opening handshake: long, since 10,000 stations that come back at once need 20 s."""
CLOSE_TIMEOUT_S: Final = 5.0
CONNECTIONS_MAX: Final = 20_000
ADMISSIONS_PER_S: Final = 500.0
"""Stations let in beyond the burst: connecting, booting and being told what to sample takes 1.5 ms of a core."""
ADMISSION_BURST: Final = 1_000.0
"""A programme of this size comes back without waiting."""
ADMISSION_WAIT_MAX_S: Final = 5.0
"""A socket waits for its turn so long: half of what stations usually give an opening."""
OPENINGS_AT_ONCE: Final = 128
"""Opening handshakes worked at together; the next ones wait unread."""
SLOT_S: Final = 1.0
"""How long an opening may hold its place: a caller that says nothing keeps nobody out for longer."""
SLOT_MAX_S: Final = 8.0
"""The same where openings take long, the machine being slow."""
LISTEN_BACKLOG: Final = 4_096
"""Sockets that the kernel keeps for us; a caller beyond it is not heard for a second or more. Linux allows no more."""
FAILED_LOGINS_BURST: Final = 30.0
FAILED_LOGINS_PER_S: Final = 0.2
"""Failed tries per address and id before they count as guesses. Our secrets have 160 bits: those guard, not this."""
LOGIN_RECORDS_MAX: Final = 4_096
AUDIT_EVERY_S: Final = 600.0
"""One reason for which a station was refused is journaled at most this often, with how many it stands for."""
AUDIT_RECORDS_MAX: Final = 4_096
AUDITS_WAITING_MAX: Final = 64
"""Refusals on their way to the journal; more are counted as unrecorded and left to the next round."""
TAKEOVERS_PER_MINUTE_MAX: Final = 5
"""More than this raises an alarm and locks nobody out."""


class Counters(msgspec.Struct, kw_only=True):
    """What the server has seen since it started; every drop has a name."""

    frames_in: int = 0
    frames_out: int = 0
    frames_refused: int = 0
    reads_paused: int = 0
    """Times that a station which said too much was left unread for a while."""
    nonsense: int = 0
    """Connections closed for too many frames that are no OCPP message."""
    payloads_refused: int = 0
    payloads_mended: int = 0
    unknown_fields: int = 0
    unknown_actions: int = 0
    unadmitted: int = 0
    calls_timed_out: int = 0
    calls_refused: int = 0
    calls_overflowed: int = 0
    calls_locked: int = 0
    dropped_results: int = 0
    dropped_sends: int = 0
    stream_values_dropped: int = 0
    unsolicited: int = 0
    """Reports that nobody has asked for."""
    refused: int = 0
    duplicates: int = 0
    seq_gaps: int = 0
    samples_refused: int = 0
    readings_unplaced: int = 0
    readings_quarantined: int = 0
    logins_refused: int = 0
    logins_throttled: int = 0
    certificates_untrusted: int = 0
    protocols_refused: int = 0
    connections_refused: int = 0
    handshakes_waited: int = 0
    handshakes_put_off: int = 0
    hung_up_waiting: int = 0
    connections: int = 0
    takeovers: int = 0
    flooded: int = 0
    unrecorded: int = 0
    late: int = 0
    cut: int = 0
    kept_out: int = 0
    setpoints_superseded: int = 0
    setpoints_rate_limited: int = 0
