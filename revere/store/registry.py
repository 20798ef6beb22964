"""The registry: what the programme is made of, one typed document per asset, deleted only by mark."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from revere.core.assets import (
    BlockGroupInputs,
    Card,
    Feeder,
    Fleet,
    Participant,
    Program,
    Programme,
    Site,
    Station,
    Vehicle,
)
from revere.core.errors import RevereError
from revere.core.tariff import Tariff

if TYPE_CHECKING:
    from collections.abc import Sequence

    from revere.store.connection import Queries

Asset = Programme | Feeder | Site | Station | Vehicle | Participant | Program | Tariff | BlockGroupInputs | Card
A = TypeVar("A", bound=Asset)

KINDS: dict[type[Any], str] = {
    Programme: "programme",
    Feeder: "feeder",
    Site: "site",
    Station: "station",
    Vehicle: "vehicle",
    Participant: "participant",
    Program: "program",
    Tariff: "tariff",
    BlockGroupInputs: "block_group",
    Card: "card",
}
ASSETS_MAX = 2_000_000

_UPSERT = """
INSERT INTO asset (tenant_id, kind, id, position, doc, deleted_at)
SELECT $1, a.kind, a.id, a.position, a.doc::jsonb, NULL
FROM unnest($2::text[], $3::text[], $4::int[], $5::text[]) AS a (kind, id, position, doc)
ON CONFLICT (tenant_id, kind, id) DO UPDATE SET
    doc = excluded.doc, deleted_at = NULL,
    position = CASE WHEN $6 THEN excluded.position ELSE asset.position END
"""
_DELETE_OTHERS = """
UPDATE asset a SET deleted_at = $4
WHERE a.tenant_id = $1 AND a.deleted_at IS NULL
  AND NOT EXISTS (SELECT 1 FROM unnest($2::text[], $3::text[]) AS k (kind, id) WHERE k.kind = a.kind AND k.id = a.id)
"""
_LIST = "SELECT doc FROM asset WHERE tenant_id = $1 AND kind = $2 AND deleted_at IS NULL ORDER BY position, id LIMIT $3"


def fleet_assets(fleet: Fleet) -> list[Asset]:
    """All documents of a fleet, the programme first."""
    return [
        fleet.programme,
        *fleet.feeders,
        *fleet.sites,
        *fleet.stations,
        *fleet.vehicles,
        *fleet.participants,
        *fleet.programs,
        *fleet.tariffs,
        *fleet.block_groups,
        *fleet.cards,
    ]


class RegistryReads:
    """What may be asked of the registry."""

    queries: Queries

    async def assets(self, kind: type[A]) -> tuple[A, ...]:
        """All assets of one kind (``Site``, ``Station`` ...), in the order of the scenario, added ones last."""
        rows = await self.queries.fetch(_LIST, self.queries.tenant, KINDS[kind], ASSETS_MAX)
        return tuple(_decode(row["doc"], kind) for row in rows)

    async def asset(self, kind: type[A], asset_id: str) -> A | None:
        """One asset, or None where there is none or it was removed."""
        rows = await self.queries.fetch(
            "SELECT doc FROM asset WHERE tenant_id = $1 AND kind = $2 AND id = $3 AND deleted_at IS NULL",
            self.queries.tenant,
            KINDS[kind],
            asset_id,
        )
        return _decode(rows[0]["doc"], kind) if rows else None

    async def load_fleet(self) -> Fleet | None:
        """The whole fleet as it is registered now; None before the first ``save_fleet``."""
        programmes = await self.assets(Programme)
        if not programmes:
            return None
        return Fleet(
            programme=programmes[0],
            feeders=await self.assets(Feeder),
            sites=await self.assets(Site),
            stations=await self.assets(Station),
            vehicles=await self.assets(Vehicle),
            participants=await self.assets(Participant),
            programs=await self.assets(Program),
            tariffs=await self.assets(Tariff),
            block_groups=await self.assets(BlockGroupInputs),
            cards=await self.assets(Card),
        )


async def save_fleet(queries: Queries, fleet: Fleet, now: dt.datetime) -> None:
    """Make the registry equal to ``fleet``; what is not in it is marked as deleted at ``now``."""
    assets = fleet_assets(fleet)
    columns = _columns(assets, range(len(assets)))

    async def work(conn: Any) -> None:
        await conn.execute(_UPSERT, queries.tenant, *columns, True)
        await conn.execute(_DELETE_OTHERS, queries.tenant, columns[0], columns[1], now)

    await queries.atomically(work)


async def save_assets(queries: Queries, assets: Sequence[Asset]) -> None:
    """Add assets, or replace those of the same kind and id; the others stay, and a removed one comes back."""

    async def work(conn: Any) -> None:
        position = await conn.fetchval(
            "SELECT coalesce(max(position), -1) + 1 FROM asset WHERE tenant_id = $1", queries.tenant
        )
        columns = _columns(assets, range(position, position + len(assets)))
        await conn.execute(_UPSERT, queries.tenant, *columns, False)

    await queries.atomically(work)


async def remove_asset(queries: Queries, kind: type[Any], asset_id: str, now: dt.datetime) -> bool:
    """Mark an asset as deleted; False where there is none."""
    rows = await queries.fetch(
        "UPDATE asset SET deleted_at = $4 WHERE tenant_id = $1 AND kind = $2 AND id = $3 AND deleted_at IS NULL"
        " RETURNING id",
        queries.tenant,
        KINDS[kind],
        asset_id,
        now,
    )
    return bool(rows)


def _columns(assets: Sequence[Asset], positions: Sequence[int]) -> tuple[list[str], list[str], list[int], list[str]]:
    return (
        [KINDS[type(asset)] for asset in assets],
        [asset.id for asset in assets],
        list(positions),
        [msgspec.json.encode(asset).decode() for asset in assets],
    )


def _decode(doc: str, kind: type[A]) -> A:
    try:
        return msgspec.json.decode(doc, type=kind)
    except msgspec.ValidationError as error:
        raise RevereError(
            "a registered document does not fit this release",
            where=f"registry, {KINDS[kind]}",
            got=str(error),
            remedy="Start the release that wrote it, or save the asset again.",
        ) from error
