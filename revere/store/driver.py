"""asyncpg, which carries no types: the one place where it enters the house."""

from __future__ import annotations

from typing import Any

import asyncpg as _asyncpg

asyncpg: Any = _asyncpg
