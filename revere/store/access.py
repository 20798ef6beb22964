"""Who may come in: users, tokens, station secrets and certificates. No secret is kept, only what recognises it."""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from revere.core.errors import Refused
from revere.core.ports import KnownCertificate

if TYPE_CHECKING:
    from revere.core.ids import StationId
    from revere.store.connection import Queries

TOKENS_PER_USER_MAX = 200
TokenKind = Literal["session", "api", "link"]


class User(msgspec.Struct, frozen=True, kw_only=True):
    """A person or service that signs in. ``password_hash`` is Argon2's own text; empty: no password sign-in."""

    name: str
    role: str
    password_hash: str = ""
    participant_id: str | None = None
    site_id: str | None = None
    disabled: bool = False


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A session, an API token or a one-time link, without the token itself."""

    kind: TokenKind
    user_name: str
    label: str
    created_at: dt.datetime
    expires_at: dt.datetime
    token_sha256: bytes


def token_sha256(token: str) -> bytes:
    """What is kept of a token. Tokens are long and random, so a plain hash is enough."""
    return hashlib.sha256(token.encode()).digest()


class Access:
    """Users, tokens and station secrets of one tenant. Checking a password is the web's."""

    queries: Queries

    async def save_user(self, user: User) -> None:
        """Add a user, or replace the one of that name."""
        await self.queries.fetch(
            "INSERT INTO app_user (tenant_id, name, role, password_hash, participant_id, site_id, disabled)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (tenant_id, name) DO UPDATE SET"
            " role = excluded.role, password_hash = excluded.password_hash, participant_id = excluded.participant_id,"
            " site_id = excluded.site_id, disabled = excluded.disabled",
            self.queries.tenant,
            user.name,
            user.role,
            user.password_hash,
            user.participant_id,
            user.site_id,
            user.disabled,
        )

    async def user(self, name: str) -> User | None:
        """The user of that name, disabled ones too."""
        rows = await self.queries.fetch(
            "SELECT * FROM app_user WHERE tenant_id = $1 AND name = $2", self.queries.tenant, name
        )
        return _user(rows[0]) if rows else None

    async def users(self) -> list[User]:
        """All users, by name."""
        rows = await self.queries.fetch(
            "SELECT * FROM app_user WHERE tenant_id = $1 ORDER BY name", self.queries.tenant
        )
        return [_user(row) for row in rows]

    async def remove_user(self, name: str) -> bool:
        """Remove a user with all tokens; False where there is none."""
        rows = await self.queries.fetch(
            "DELETE FROM app_user WHERE tenant_id = $1 AND name = $2 RETURNING name", self.queries.tenant, name
        )
        return bool(rows)

    async def save_token(
        self,
        token: str,
        *,
        kind: TokenKind,
        user_name: str,
        now: dt.datetime,
        expires_at: dt.datetime,
        label: str = "",
    ) -> None:
        """Keep a token's hash until ``expires_at``; expired ones are swept. Refused over the user's bound."""

        async def work(conn: Any) -> None:
            tenant = self.queries.tenant
            await conn.execute("DELETE FROM token WHERE tenant_id = $1 AND expires_at <= $2", tenant, now)
            count = await conn.fetchval(
                "SELECT count(*) FROM token WHERE tenant_id = $1 AND user_name = $2", tenant, user_name
            )
            if count >= TOKENS_PER_USER_MAX:
                raise Refused("too many tokens", where=user_name, got=count, expected=TOKENS_PER_USER_MAX)
            await conn.execute(
                "INSERT INTO token (tenant_id, token_sha256, kind, user_name, label, created_at, expires_at)"
                " VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
                tenant,
                token_sha256(token),
                kind,
                user_name,
                label,
                now,
                expires_at,
            )

        await self.queries.atomically(work)

    async def find_token(self, token: str, now: dt.datetime) -> tuple[Token, User] | None:
        """Whose token this is; None for an unknown or expired one and for a disabled user."""
        return await self.find_token_digest(token_sha256(token), now)

    async def find_token_digest(self, digest: bytes, now: dt.datetime) -> tuple[Token, User] | None:
        """The same for a caller that keeps only a token's SHA-256."""
        rows = await self.queries.fetch(
            "SELECT u.*, t.kind, t.user_name, t.label, t.created_at, t.expires_at, t.token_sha256"
            " FROM token t JOIN app_user u ON u.tenant_id = t.tenant_id AND u.name = t.user_name"
            " WHERE t.tenant_id = $1 AND t.token_sha256 = $2 AND t.expires_at > $3 AND NOT u.disabled",
            self.queries.tenant,
            digest,
            now,
        )
        return (_token(rows[0]), _user(rows[0])) if rows else None

    async def use_link(self, token: str, now: dt.datetime) -> User | None:
        """Spend a one-time link: the first use gives its user, every later one None."""
        rows = await self.queries.fetch(
            "DELETE FROM token t USING app_user u WHERE t.tenant_id = $1 AND t.token_sha256 = $2 AND t.kind = 'link'"
            " AND t.expires_at > $3 AND u.tenant_id = t.tenant_id AND u.name = t.user_name AND NOT u.disabled"
            " RETURNING u.*",
            self.queries.tenant,
            token_sha256(token),
            now,
        )
        return _user(rows[0]) if rows else None

    async def tokens(self, user_name: str, now: dt.datetime) -> list[Token]:
        """A user's valid tokens, oldest first."""
        rows = await self.queries.fetch(
            "SELECT * FROM token WHERE tenant_id = $1 AND user_name = $2 AND expires_at > $3"
            " ORDER BY created_at, label",
            self.queries.tenant,
            user_name,
            now,
        )
        return [_token(row) for row in rows]

    async def revoke_token(self, token_hash: bytes) -> bool:
        """End a token by its hash; False where there is none."""
        rows = await self.queries.fetch(
            "DELETE FROM token WHERE tenant_id = $1 AND token_sha256 = $2 RETURNING kind",
            self.queries.tenant,
            token_hash,
        )
        return bool(rows)

    async def save_station_secret(self, station_id: StationId, mac: bytes, key_mark: bytes | None = None) -> None:
        """Keep a station secret's keyed digest in the place of all it had, with the mark of the key.

        The key itself never enters the database.
        """
        await self.queries.fetch(
            "INSERT INTO station_secret (tenant_id, station_id, mac, key_mark) VALUES ($1, $2, $3, $4)"
            " ON CONFLICT (tenant_id, station_id)"
            " DO UPDATE SET mac = excluded.mac, key_mark = excluded.key_mark, next_mac = NULL",
            self.queries.tenant,
            station_id,
            mac,
            key_mark,
        )

    async def key_marks(self) -> dict[StationId, bytes | None]:
        """Under which key each station's secret is kept; None where an earlier release did not note it."""
        rows = await self.queries.fetch(
            "SELECT station_id, key_mark FROM station_secret WHERE tenant_id = $1 ORDER BY station_id",
            self.queries.tenant,
        )
        return {row["station_id"]: None if row["key_mark"] is None else bytes(row["key_mark"]) for row in rows}

    async def mark_keys(self, key_mark: bytes) -> None:
        """Note the key where nobody did."""
        await self.queries.fetch(
            "UPDATE station_secret SET key_mark = $2 WHERE tenant_id = $1 AND key_mark IS NULL",
            self.queries.tenant,
            key_mark,
        )

    async def offer_station_secret(self, station_id: StationId, mac: bytes) -> bool:
        """Keep a next secret's digest beside the one in force; False where the station has none in force."""
        rows = await self.queries.fetch(
            "UPDATE station_secret SET next_mac = $3 WHERE tenant_id = $1 AND station_id = $2 RETURNING station_id",
            self.queries.tenant,
            station_id,
            mac,
        )
        return bool(rows)

    async def settle_station_secret(self, station_id: StationId, mac: bytes, *, used: bool) -> None:
        """End what was offered: used, it takes the old one's place; else it goes. Another offer stays untouched."""
        await self.queries.fetch(
            "UPDATE station_secret SET mac = CASE WHEN $4 THEN next_mac ELSE mac END, next_mac = NULL"
            " WHERE tenant_id = $1 AND station_id = $2 AND next_mac = $3",
            self.queries.tenant,
            station_id,
            mac,
            used,
        )

    async def offered_macs(self) -> dict[StationId, bytes]:
        """The next secrets that no station has used yet."""
        rows = await self.queries.fetch(
            "SELECT station_id, next_mac FROM station_secret WHERE tenant_id = $1 AND next_mac IS NOT NULL"
            " ORDER BY station_id",
            self.queries.tenant,
        )
        return {row["station_id"]: bytes(row["next_mac"]) for row in rows}

    async def save_station_certificate(self, station_id: StationId, certificate: KnownCertificate) -> None:
        """Keep the certificate in force in the place of one that begins earlier; a revocation in the place of any."""
        await self.queries.fetch(
            "INSERT INTO station_certificate AS kept (tenant_id, station_id, fingerprint, begins)"
            " VALUES ($1, $2, $3, $4) ON CONFLICT (tenant_id, station_id) DO UPDATE SET"
            " fingerprint = excluded.fingerprint, begins = greatest(kept.begins, excluded.begins)"
            " WHERE excluded.fingerprint IS NULL OR excluded.begins > kept.begins",
            self.queries.tenant,
            station_id,
            certificate.fingerprint or None,
            certificate.begins,
        )

    async def station_certificates(self) -> dict[StationId, KnownCertificate]:
        """The certificate in force of each station that has shown one, or whose were revoked."""
        rows = await self.queries.fetch(
            "SELECT station_id, fingerprint, begins FROM station_certificate WHERE tenant_id = $1 ORDER BY station_id",
            self.queries.tenant,
        )
        return {
            row["station_id"]: KnownCertificate(fingerprint=bytes(row["fingerprint"] or b""), begins=row["begins"])
            for row in rows
        }

    async def station_macs(self) -> dict[StationId, bytes]:
        """What recognises each station's secret, for the directory that checks without waiting."""
        rows = await self.queries.fetch(
            "SELECT station_id, mac FROM station_secret WHERE tenant_id = $1 ORDER BY station_id", self.queries.tenant
        )
        return {row["station_id"]: bytes(row["mac"]) for row in rows}


def _user(row: Any) -> User:
    return User(**{name: row[name] for name in User.__struct_fields__})


def _token(row: Any) -> Token:
    return Token(**{name: row[name] for name in Token.__struct_fields__})
