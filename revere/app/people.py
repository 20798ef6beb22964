"""People and API tokens from the command line: who may sign in, and what scripts send instead of a password."""

from __future__ import annotations

import datetime as dt
import getpass
import secrets
import sys
from typing import TYPE_CHECKING

import argon2
from rich.table import Table

from revere.app.play import check_range
from revere.app.serve import registered_fleet
from revere.core.errors import Refused
from revere.core.ids import check_id
from revere.core.time import WallClock
from revere.store.access import User, token_sha256
from revere.web.ports import ROLES

if TYPE_CHECKING:
    from revere.app.admin import AdminDesk
    from revere.store.access import Token

PASSWORD_MIN_CHARS = 12
PASSWORD_MAX_CHARS = 200
TOKEN_DAYS_MAX = 400
TOKEN_NAME_CHARS = 12
LABEL_MAX_CHARS = 60


def ask_password() -> str:
    """A password from the keyboard, twice, or one line of standard input."""
    if not sys.stdin.isatty():
        password = sys.stdin.readline(PASSWORD_MAX_CHARS + 2).rstrip("\n")
    else:
        password = getpass.getpass("Password: ")
        if getpass.getpass("Again: ") != password:
            raise Refused("the two passwords differ", remedy="Try again")
    if not PASSWORD_MIN_CHARS <= len(password) <= PASSWORD_MAX_CHARS:
        raise Refused(
            "the password's length",
            got=len(password),
            expected=f"{PASSWORD_MIN_CHARS} to {PASSWORD_MAX_CHARS} characters",
        )
    return password


async def add_user(
    desk: AdminDesk, name: str, role: str, password: str, site: str | None, participant: str | None
) -> str:
    """Add a person, or give a known one another password. Raises for a site or a participant that is not registered.

    A role is not changed in passing: a mistyped name would make an operator an analyst.
    """
    check_id(name, "the name")
    if role not in ROLES:
        raise Refused("no such role", got=role, expected=", ".join(ROLES))
    if role in {"site_manager", "resident"} and not (site or participant):
        raise Refused(f"a {role} needs a site or a participant", remedy="Add --site or --participant")
    if site or participant:
        fleet = await registered_fleet(desk.store)
        if site and site not in {known.id for known in fleet.sites}:
            raise Refused("no such site", got=site, remedy="revere site list shows all")
        if participant and participant not in {known.id for known in fleet.participants}:
            first = ", ".join(known.id for known in fleet.participants[:3])
            raise Refused("no such participant", got=participant, expected=f"such as {first}")
    known = await desk.store.user(name)
    if known is not None and known.role != role:
        raise Refused(
            f"{name} is known already", got=role, expected=known.role, remedy=f"revere user remove {name} comes first"
        )
    user = User(
        name=name,
        role=role,
        password_hash=argon2.PasswordHasher().hash(password),
        site_id=site,
        participant_id=participant,
    )
    await desk.store.save_user(user)
    return f"{name} may sign in as {role}."


async def list_users(desk: AdminDesk) -> Table:
    """People and roles."""
    table = Table("name", "role", "site", "participant", "sign-in")
    for user in await desk.store.users():
        way = "disabled" if user.disabled else "password" if user.password_hash else "token only"
        table.add_row(user.name, user.role, user.site_id or "", user.participant_id or "", way)
    return table


async def remove_user(desk: AdminDesk, name: str) -> str:
    """Remove a person with all tokens; an open page of theirs closes within a minute."""
    if not await desk.store.remove_user(name):
        raise Refused("no such user", got=name, remedy="revere user list shows all")
    return f"{name} may not sign in any more; tokens and open pages end within a minute."


async def add_token(desk: AdminDesk, name: str, days: float, label: str) -> str:
    """Give a user an API token for some days. The token is told once; what is kept is its hash."""
    check_range("the number of days", days, 1 / 24, TOKEN_DAYS_MAX, where="--days")
    if len(label) > LABEL_MAX_CHARS:
        raise Refused("the label is too long", where="--label", got=len(label), expected=f"up to {LABEL_MAX_CHARS}")
    user = await desk.store.user(name)
    if user is None or user.disabled:
        raise Refused("no such user", got=name, remedy="revere user list shows all")
    token, now = secrets.token_urlsafe(32), WallClock().now()
    ends = now + dt.timedelta(days=days)
    await desk.store.save_token(token, kind="api", user_name=name, now=now, expires_at=ends, label=label)
    return (
        f"{token}\nThis is shown once. It may do what {name} may, as {user.role}, until {ends:%Y-%m-%d %H:%M} UTC; "
        f"revere token revoke {_name_of(token_sha256(token))} ends it."
    )


async def list_tokens(desk: AdminDesk) -> Table:
    """API tokens in force, by what names them without being them."""
    table = Table("token", "user", "label", "made", "ends")
    for token in await _tokens(desk):
        made, ends = (f"{moment:%Y-%m-%d %H:%M} UTC" for moment in (token.created_at, token.expires_at))
        table.add_row(_name_of(token.token_sha256), token.user_name, token.label, made, ends)
    return table


async def revoke_token(desk: AdminDesk, name: str) -> str:
    """End an API token by the name that the list gives it."""
    found = [token for token in await _tokens(desk) if _name_of(token.token_sha256) == name]
    if not found:
        raise Refused("no such token", got=name, remedy="revere token list shows all that are in force")
    for token in found:
        await desk.store.revoke_token(token.token_sha256)
    return f"The token {name} of {found[0].user_name} ends within a minute."


async def _tokens(desk: AdminDesk) -> list[Token]:
    now = WallClock().now()
    users = await desk.store.users()
    return [token for user in users for token in await desk.store.tokens(user.name, now) if token.kind == "api"]


def _name_of(token_hash: bytes) -> str:
    return token_hash.hex()[:TOKEN_NAME_CHARS]
