"""Whether this machine's clock follows the world's: what the kernel itself says, never an assumption."""

from __future__ import annotations

import ctypes

STA_UNSYNC = 0x0040
TIME_ERROR = 5
"""adjtimex(2): the clock is not synchronised to a reliable server."""


class _Timex(ctypes.Structure):
    """``struct timex`` of adjtimex(2) as far as it is read here, with room for the rest."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_long * 40),
    )


def kernel_clock_synchronised() -> bool:
    """Whether the kernel counts its clock as synchronised (chrony, ntpd or timesyncd keep it so).

    A machine that cannot say (another system, a sandbox that forbids the question) counts as not synchronised:
    nothing settles on a time that nobody vouches for. ``clock = "trusted"`` in the settings is a person's word for it.
    """
    try:
        adjtimex = ctypes.CDLL(None, use_errno=True).adjtimex
    except (OSError, AttributeError):
        return False
    timex = _Timex(modes=0)  # 0 asks and changes nothing
    state = int(adjtimex(ctypes.byref(timex)))
    return state not in (-1, TIME_ERROR) and not timex.status & STA_UNSYNC
