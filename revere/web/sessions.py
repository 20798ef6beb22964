"""Who is at the door: principals, browser sessions and one-time links. All in wall time, all bounded."""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable

import msgspec

from revere.web.ports import Account, Role
from revere.web.settings import LINK_LIFE_S, MAX_LINKS, MAX_SESSIONS, RECHECK_S, SESSION_IDLE_S, SESSION_MAX_S

Seconds = Callable[[], float]


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """The person behind a request. ``via`` says how they came in, ``key`` names their session."""

    name: str
    role: Role
    sites: tuple[str, ...] = ()
    vehicles: tuple[str, ...] = ()
    via: str = "session"
    key: str = ""

    @property
    def sees_all(self) -> bool:
        """Whether the role is not bound to its own sites and vehicles."""
        return self.role not in ("site_manager", "resident")

    def sees_site(self, site_id: str) -> bool:
        """Whether the site is theirs, or everything is."""
        return self.sees_all or site_id in self.sites

    def sees_vehicle(self, vehicle_id: str, site_id: str) -> bool:
        """A site manager sees the vehicles of their sites; a resident only the vehicles named as theirs."""
        if self.sees_all or vehicle_id in self.vehicles:
            return True
        return self.role == "site_manager" and site_id in self.sites


def principal_of(account: Account, via: str, key: str = "") -> Principal:
    """The person of an account, without its password hash."""
    return Principal(
        name=account.name, role=account.role, sites=account.sites, vehicles=account.vehicles, via=via, key=key
    )


def digest(token: str) -> str:
    """SHA-256 of a secret, hex: secrets are compared and stored only so."""
    return hashlib.sha256(token.encode()).hexdigest()


class _Session(msgspec.Struct, kw_only=True):
    principal: Principal
    started_s: float
    seen_s: float
    checked_s: float


class Sessions:
    """Browser sessions, by the digest of their cookie. A restart ends them all; the oldest gives way at the bound."""

    def __init__(self, now_s: Seconds) -> None:
        self._now_s = now_s
        self._sessions: OrderedDict[str, _Session] = OrderedDict()
        self.evicted = 0

    def open(self, account: Account, via: str = "session") -> str:
        """Start a session; returns the cookie's secret, which is kept nowhere."""
        token = secrets.token_urlsafe(32)
        key = digest(token)
        now = self._now_s()
        while len(self._sessions) >= MAX_SESSIONS:
            self._sessions.popitem(last=False)
            self.evicted += 1
        self._sessions[key] = _Session(
            principal=principal_of(account, via, key), started_s=now, seen_s=now, checked_s=now
        )
        return token

    def find(self, token: str) -> Principal | None:
        """The person of a cookie, None when unknown, idle too long or too old."""
        key = digest(token)
        if not self.alive(key):
            return None
        session = self._sessions[key]
        session.seen_s = self._now_s()
        self._sessions.move_to_end(key)
        return session.principal

    def alive(self, key: str) -> bool:
        """Whether the session still counts; a dead one is forgotten."""
        session = self._sessions.get(key)
        if session is None:
            return False
        now = self._now_s()
        if now - session.seen_s > SESSION_IDLE_S or now - session.started_s > SESSION_MAX_S:
            del self._sessions[key]
            return False
        return True

    def due_for_check(self, key: str) -> bool:
        """Whether the account behind the session must be read again (disabled, another role)."""
        session = self._sessions.get(key)
        return session is not None and self._now_s() - session.checked_s > RECHECK_S

    def confirm(self, key: str, account: Account | None) -> Principal | None:
        """Take the account as it is now; None ends the session."""
        session = self._sessions.get(key)
        if session is None or account is None:
            self.close(key)
            return None
        session.checked_s = self._now_s()
        session.principal = principal_of(account, session.principal.via, key)
        return session.principal

    def close(self, key: str) -> None:
        """End a session."""
        self._sessions.pop(key, None)


class OneTimeLinks:
    """Links that open one session, once, within a quarter of an hour. Issued by ``app``, from any thread."""

    def __init__(self, now_s: Seconds) -> None:
        self._now_s = now_s
        self._lock = threading.Lock()
        self._links: OrderedDict[str, tuple[Account, float]] = OrderedDict()

    def issue(self, account: Account, life_s: float = LINK_LIFE_S) -> str:
        """A fresh token for ``/login/once?token=``. The oldest gives way at the bound."""
        token = secrets.token_urlsafe(24)
        with self._lock:
            while len(self._links) >= MAX_LINKS:
                self._links.popitem(last=False)
            self._links[digest(token)] = (account, self._now_s() + life_s)
        return token

    def redeem(self, token: str) -> Account | None:
        """The account, the first time and in time; None for ever after."""
        with self._lock:
            found = self._links.pop(digest(token), None)
        if found is None or self._now_s() > found[1]:
            return None
        return found[0]
