"""One seed, many streams: a draw in one place never changes another place's draws."""

from __future__ import annotations

import zlib

import numpy as np


def stream(seed: int, *names: object) -> np.random.Generator:
    """The random stream of ``names`` under ``seed``; the same names give the same draws, whoever else draws.

    Names are hashed by CRC-32 of their text, which no interpreter setting changes.
    """
    words = [zlib.crc32(str(name).encode()) for name in names]
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed & 0xFFFF_FFFF, *words])))
