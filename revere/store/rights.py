"""What the application's database role may do: read all, add records, never change or remove one, define nothing.

::

    superuser   makes the roles and the database; only our own launcher signs in as it
    owner       owns tables and functions: migrations, backup, restore
    application what runs all day: the rights below and no more, so that append-only is the database's own word
"""

from __future__ import annotations

from typing import Any

RECORDS = ("journal", "ledger", "sample")
"""Append-only, by missing rights and, for the owner too, by triggers."""
TABLES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(RECORDS, ("SELECT", "INSERT")),
    "series": ("SELECT", "INSERT"),
    "sample_hour": ("SELECT", "INSERT", "UPDATE"),
    "asset": ("SELECT", "INSERT", "UPDATE"),
    "station_secret": ("SELECT", "INSERT", "UPDATE"),
    "station_certificate": ("SELECT", "INSERT", "UPDATE"),
    "app_user": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "token": ("SELECT", "INSERT", "DELETE"),
    "alembic_version": ("SELECT",),
}
FUNCTIONS = ("revere_partition(text, date)", "revere_analyze()")
"""What the application has done for it with the owner's rights."""

_MISSING = """
SELECT need || ' ON ' || thing FROM unnest($2::text[], $3::text[]) AS t (need, thing)
WHERE NOT has_table_privilege($1, thing, need)
UNION ALL
SELECT 'EXECUTE ON FUNCTION ' || thing FROM unnest($4::text[]) AS f (thing)
WHERE NOT has_function_privilege($1, thing, 'EXECUTE')
"""
_EXCESS = """
SELECT need || ' ON ' || thing FROM unnest($2::text[]) AS t (thing), unnest($3::text[]) AS r (need)
WHERE has_table_privilege($1, thing, need)
UNION ALL
SELECT 'CREATE ON SCHEMA public' WHERE has_schema_privilege($1, 'public', 'CREATE')
UNION ALL
SELECT 'superuser' FROM pg_roles WHERE rolname = $1 AND rolsuper
"""


async def missing_rights(conn: Any, role: str) -> list[str]:
    """Rights that ``role`` needs and lacks, as ``GRANT`` spells them. Needs the newest schema."""
    wanted = [(need, table) for table, needs in TABLES.items() for need in needs]
    rows = await conn.fetch(_MISSING, role, [need for need, _ in wanted], [table for _, table in wanted], FUNCTIONS)
    return [str(row[0]) for row in rows]


async def excess_rights(conn: Any, role: str) -> list[str]:
    """Rights with which ``role`` could change records or define things; an owner's role has them."""
    rows = await conn.fetch(_EXCESS, role, RECORDS, ("UPDATE", "DELETE", "TRUNCATE"))
    return [str(row[0]) for row in rows]


async def give_rights(conn: Any, role: str) -> None:
    """As the owner: give ``role`` what it lacks. Safe to repeat."""
    to = '"' + role.replace('"', '""') + '"'
    for right in await missing_rights(conn, role):
        await conn.execute(f"GRANT {right} TO {to}")
