"""Alembic's entry point, offline only: it writes SQL, and :mod:`revere.store.schema` runs it over asyncpg."""

from __future__ import annotations

from alembic import context

context.configure(dialect_name="postgresql")
with context.begin_transaction():
    context.run_migrations()
