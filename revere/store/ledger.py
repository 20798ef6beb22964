"""The ledger: append-only postings, each chained to the one before by its hash."""

from __future__ import annotations

import datetime as dt
import hashlib
import math
from typing import TYPE_CHECKING, Any, Literal, get_args

import msgspec

from revere.core.errors import Refused, RevereError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from revere.core.ids import TenantId
    from revere.store.connection import Queries

LEDGER_PAGE_LINES = 2_000
POST_MAX_LINES = 5_000
EVIDENCE_MAX_BYTES = 256 * 1024
GENESIS = "0" * 64
"""``prev_hash`` of a tenant's first line."""

State = Literal["expected", "confirmed", "paid"]


class LedgerEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One line to post. Energy in whole Wh by register, money in whole cents, rounded before.

    ``key`` names what the line is for, so that posting it again after a crash posts nothing; a correction has a key of
    its own. ``evidence`` holds what it was computed from (series, ts and rev used): JSON values.
    """

    key: str
    posted_at: dt.datetime
    statement_id: str
    participant_id: str
    program_id: str
    kind: str
    """``performance``, ``payment``, ``correction`` ..."""
    cents: int
    state: State
    rule: str
    site_id: str | None = None
    grid_event_id: str | None = None
    import_wh: int | None = None
    export_wh: int | None = None
    evidence: dict[str, Any] = {}


class PostedLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line as it stands in the ledger."""

    seq: int
    entry: LedgerEntry
    prev_hash: str
    hash: str


class StatementSums(msgspec.Struct, frozen=True, kw_only=True):
    """A statement's lines added up: sites, rules, how many lines, and the cents of each state that has any."""

    statement_id: str
    participant_id: str
    site_ids: tuple[str, ...]
    rules: tuple[str, ...]
    lines: int
    cents: dict[State, int]


_encoder = msgspec.json.Encoder(order="deterministic", decimal_format="string")
STATEMENTS_PAGE = 500
_PERIOD = "right(statement_id, 7)"
_STATEMENTS = f"""
SELECT statement_id, min(participant_id) AS participant_id, count(*) AS lines,
       array_agg(DISTINCT site_id) FILTER (WHERE site_id IS NOT NULL) AS site_ids, array_agg(DISTINCT rule) AS rules,
       sum(cents) FILTER (WHERE state = 'expected' AND kind = ANY($2)) AS expected,
       sum(cents) FILTER (WHERE state = 'confirmed' AND kind = ANY($2)) AS confirmed,
       sum(cents) FILTER (WHERE state = 'paid' AND kind = ANY($2)) AS paid
  FROM ledger
 WHERE tenant_id = $1 AND ($3::text IS NULL OR statement_id = $3)
   AND ($4::text IS NULL OR ({_PERIOD} COLLATE "C", statement_id COLLATE "C") < (right($4, 7), $4))
 GROUP BY statement_id
HAVING $5::text[] IS NULL OR bool_and(coalesce(site_id = ANY($5), false))
 ORDER BY {_PERIOD} COLLATE "C" DESC, statement_id COLLATE "C" DESC
 LIMIT $6
"""
_COLUMNS = (
    "seq, key, posted_at, statement_id, participant_id, site_id, grid_event_id, program_id, kind, import_wh, export_wh,"
    " cents, state, rule, evidence, prev_hash, hash"
)
_INSERT = (
    f"INSERT INTO ledger (tenant_id, {_COLUMNS})"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)"
)


def line_hash(tenant: TenantId, seq: int, entry: LedgerEntry, prev_hash: str) -> str:
    """SHA-256 (hex) over the line before's hash and this line's canonical JSON (fields sorted, UTC times)."""
    canonical = {
        "tenant_id": tenant,
        "seq": seq,
        "prev_hash": prev_hash,
        **{name: getattr(entry, name) for name in LedgerEntry.__struct_fields__},
        "posted_at": entry.posted_at.astimezone(dt.UTC),
        "evidence": _plain(entry.evidence),
    }
    return hashlib.sha256(_encoder.encode(canonical)).hexdigest()


def _plain(value: Any) -> Any:
    """Evidence as the database gives it back: whole floats become integers, which ``jsonb`` cannot tell apart."""
    if isinstance(value, dict):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, float):
        if not math.isfinite(value) or abs(value) > 2.0**53:
            raise Refused("evidence holds a number that cannot be kept", where="store.post", got=value)
        return int(value) if value.is_integer() else value
    if value is None or isinstance(value, bool | int | str):
        return value
    return _plain(msgspec.to_builtins(value))


def _same(kept: LedgerEntry, offered: LedgerEntry) -> bool:
    """Whether a line posted again says the same; the time of posting may differ."""
    again = msgspec.structs.replace(offered, posted_at=kept.posted_at)
    return _content(kept) == _content(again)


def _content(entry: LedgerEntry) -> bytes:
    """An entry's canonical bytes without its place in the chain."""
    return _encoder.encode(msgspec.structs.replace(entry, evidence=_plain(entry.evidence)))


async def post(queries: Queries, lines: Sequence[LedgerEntry]) -> list[int]:
    """Append lines in one transaction; returns their seq, that of the kept line where a key was posted before.

    Raises :class:`Refused` where a key stands with other content: post a correction instead.
    """
    if len(lines) > POST_MAX_LINES:
        raise Refused("too many lines at once", where="store.post", got=len(lines), expected=POST_MAX_LINES)
    ready = []
    for line in lines:
        evidence = _encoder.encode(_plain(line.evidence))
        if len(evidence) > EVIDENCE_MAX_BYTES:
            raise Refused("the evidence is too large", where=line.key, got=len(evidence), expected=EVIDENCE_MAX_BYTES)
        if not line.key or line.posted_at.tzinfo is None:
            raise Refused("a line needs a key and a time with a zone", where="store.post", got=line.key)
        ready.append((line, evidence.decode()))

    async def work(conn: Any) -> list[int]:
        tenant = queries.tenant
        await conn.execute("SELECT pg_advisory_xact_lock(hashtext('ledger ' || $1))", tenant)
        last = await conn.fetchrow(
            "SELECT seq, hash FROM ledger WHERE tenant_id = $1 ORDER BY seq DESC LIMIT 1", tenant
        )
        seq, prev_hash = (last["seq"], last["hash"]) if last else (0, GENESIS)
        found = await conn.fetch(
            f"SELECT {_COLUMNS} FROM ledger WHERE tenant_id = $1 AND key = ANY ($2::text[])",
            tenant,
            [line.key for line, _ in ready],
        )
        kept = {row["key"]: _posted(row) for row in found}
        seqs = []
        for line, evidence in ready:
            if line.key in kept:
                if not _same(kept[line.key].entry, line):
                    raise Refused(
                        "this line was posted before with other content",
                        where=line.key,
                        got=f"{line.cents} cents",
                        expected=f"{kept[line.key].entry.cents} cents (line {kept[line.key].seq})",
                        remedy="Post a correction under a key of its own.",
                    )
                seqs.append(kept[line.key].seq)
                continue
            seq += 1
            hash_ = line_hash(tenant, seq, line, prev_hash)
            await conn.execute(_INSERT, tenant, *_row(seq, line, evidence, prev_hash, hash_))
            kept[line.key] = PostedLine(seq=seq, entry=line, prev_hash=prev_hash, hash=hash_)
            prev_hash = hash_
            seqs.append(seq)
        return seqs

    return await queries.atomically(work)


def _row(seq: int, line: LedgerEntry, evidence: str, prev_hash: str, hash_: str) -> tuple[object, ...]:
    return (
        seq,
        line.key,
        line.posted_at,
        line.statement_id,
        line.participant_id,
        line.site_id,
        line.grid_event_id,
        line.program_id,
        line.kind,
        line.import_wh,
        line.export_wh,
        line.cents,
        line.state,
        line.rule,
        evidence,
        prev_hash,
        hash_,
    )


def _posted(row: Any) -> PostedLine:
    fields = {name: row[name] for name in LedgerEntry.__struct_fields__}
    fields["evidence"] = msgspec.json.decode(row["evidence"])
    return PostedLine(seq=row["seq"], entry=LedgerEntry(**fields), prev_hash=row["prev_hash"], hash=row["hash"])


class LedgerReads:
    """What may be asked of the ledger."""

    queries: Queries

    async def ledger(
        self,
        *,
        statement_id: str | None = None,
        participant_id: str | None = None,
        site_id: str | None = None,
        grid_event_id: str | None = None,
        after_seq: int = 0,
        limit: int = LEDGER_PAGE_LINES,
    ) -> list[PostedLine]:
        """Lines in order, at most ``limit`` after ``after_seq``; the filters that are given must all match."""
        rows = await self.queries.fetch(
            f"SELECT {_COLUMNS} FROM ledger WHERE tenant_id = $1 AND seq > $2"
            " AND ($3::text IS NULL OR statement_id = $3) AND ($4::text IS NULL OR participant_id = $4)"
            " AND ($5::text IS NULL OR site_id = $5) AND ($6::text IS NULL OR grid_event_id = $6)"
            " ORDER BY seq LIMIT $7",
            self.queries.tenant,
            after_seq,
            statement_id,
            participant_id,
            site_id,
            grid_event_id,
            min(limit, LEDGER_PAGE_LINES),
        )
        return [_posted(row) for row in rows]

    async def statements(
        self,
        kinds: Sequence[str],
        *,
        statement_id: str | None = None,
        sites: Sequence[str] | None = None,
        after: str | None = None,
        limit: int = STATEMENTS_PAGE,
    ) -> list[StatementSums]:
        """Statements with the sums of their lines of these ``kinds``, newest month first, those ``after`` one of them.

        With ``sites``, those alone whose every line is of one of these sites. At most ``limit``, which is at most
        ``STATEMENTS_PAGE``: ask again after the last for the rest.
        """
        rows = await self.queries.fetch(
            _STATEMENTS,
            self.queries.tenant,
            list(kinds),
            statement_id,
            after,
            None if sites is None else list(sites),
            min(limit, STATEMENTS_PAGE),
        )
        return [
            StatementSums(
                statement_id=row["statement_id"],
                participant_id=row["participant_id"],
                site_ids=tuple(sorted(row["site_ids"] or ())),
                rules=tuple(sorted(row["rules"])),
                lines=row["lines"],
                cents={state: int(row[state]) for state in get_args(State) if row[state] is not None},
            )
            for row in rows
        ]

    async def ledger_hash(self) -> str:
        """The last line's hash, which stands for the whole ledger; zeros for an empty one."""
        rows = await self.queries.fetch(
            "SELECT hash FROM ledger WHERE tenant_id = $1 ORDER BY seq DESC LIMIT 1", self.queries.tenant
        )
        return rows[0]["hash"] if rows else GENESIS

    async def verify_ledger(self) -> int:
        """Compute every hash again; returns the number of lines.

        Raises :class:`RevereError` that names the first line whose place, content or link is not as it was posted.
        Lines cut off the end are seen only against a hash that was published before.
        """
        prev_hash, expected_seq = GENESIS, 1
        async for line in self._lines():
            if line.seq != expected_seq:
                raise _broken(line.seq, "a line is missing before it", line.seq, expected_seq)
            if line.prev_hash != prev_hash:
                raise _broken(line.seq, "it does not follow from the line before", line.prev_hash, prev_hash)
            computed = line_hash(self.queries.tenant, line.seq, line.entry, prev_hash)
            if computed != line.hash:
                raise _broken(line.seq, "its content was changed after posting", computed, line.hash)
            prev_hash, expected_seq = line.hash, line.seq + 1
        return expected_seq - 1

    async def _lines(self) -> AsyncIterator[PostedLine]:
        after = 0
        while page := await self.ledger(after_seq=after):
            for line in page:
                yield line
            after = page[-1].seq


def _broken(seq: int, why: str, got: object, expected: object) -> RevereError:
    return RevereError(
        f"the ledger is broken: {why}",
        where=f"ledger line {seq}",
        got=got,
        expected=expected,
        remedy="Keep this database as evidence and restore the last backup whose ledger hash is known.",
    )
