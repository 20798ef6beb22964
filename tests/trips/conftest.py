"""Databases for the trips: as many fresh ones as a trip needs, in the test process's throw-away cluster."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.databases import fresh_database

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from revere.store.postgres import EmbeddedPostgres


@pytest.fixture(scope="module")
def fresh_dsn(pg: EmbeddedPostgres) -> Iterator[Callable[[], str]]:
    """Each call gives the application's DSN of another migrated database."""
    with ExitStack() as made:
        yield lambda: pg.dsn_of(made.enter_context(fresh_database(pg)))
