# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real PostgreSQL servers, and PgBouncer in front of one, each with a folder of its own that is thrown away."""

from __future__ import annotations

import atexit
import functools
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from peers.net import PeerFailed, PortBlock

PROGRAMS = Path("/usr/lib/postgresql")
START_SECONDS = 60.0
DATABASE = "mail"
SUPERUSER = "postgres"


def program(name: str) -> str:
    """The newest of Debian's, else that on the path."""
    versions = sorted(PROGRAMS.glob("[0-9]*"), key=lambda each: int(each.name), reverse=True)
    found = next((str(each / "bin" / name) for each in versions if (each / "bin" / name).exists()), None)
    found = found or shutil.which(name)
    if not found:
        raise PeerFailed(f"{name} is not installed: it is in Debian's packages postgresql and pgbouncer")
    return found


class Daemon:
    """A program in the foreground that does not run as root, in a folder of its own."""

    def __init__(self) -> None:
        self.user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        self.folder = Path(tempfile.mkdtemp(prefix="pg"))
        self._ports = PortBlock()
        self.port = self._ports.take()
        self._process: subprocess.Popen[bytes] | None = None
        if os.geteuid() == 0:
            shutil.chown(self.folder, self.user, self.user)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        self.close()

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        path.chmod(0o600)
        if os.geteuid() == 0:
            shutil.chown(path, self.user, self.user)
        return path

    def command(self, *words: str) -> list[str]:
        if os.geteuid() != 0:
            return [*words]
        return ["setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--init-groups", *words]

    def copy(self, path: Path, name: str) -> Path:
        """A file of others, such as a certificate."""
        return self.write(name, path.read_text(encoding="utf-8"))

    def run(self, *words: str) -> str:
        done = subprocess.run(
            self.command(*words), cwd=self.folder, capture_output=True, text=True, check=False, env=_environment()
        )
        if done.returncode:
            raise PeerFailed(f"{words[0]}: {done.stdout}{done.stderr}")
        return done.stdout

    def spawn(self, *words: str) -> None:
        with self.log.open("ab") as log:
            command = self.command(*words)
            self._process = subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log, env=_environment())

    def wait_until(self, answers: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not answers():
            if (self._process and self._process.poll() is not None) or time.monotonic() > deadline:
                raise PeerFailed(f"does not answer: {self.log.read_text(encoding='utf-8', errors='replace')}")
            time.sleep(0.02)

    def end(self, number: int = signal.SIGINT) -> None:
        """Ends it and waits for that."""
        if self._process and self._process.poll() is None:
            self._process.send_signal(number)
            self._process.wait()
        self._process = None

    def kill(self) -> None:
        """Kills it with all its processes at once, as a loss of power does. It can be started again."""
        if self._process is None:
            return
        # Halted, it neither starts another process nor notices what becomes of those that it has.
        self._process.send_signal(signal.SIGSTOP)
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text(encoding="ascii")
        for child in children.split():
            os.kill(int(child), signal.SIGKILL)
        self.end(signal.SIGKILL)

    def close(self) -> None:
        self.end()
        self._ports.release()
        shutil.rmtree(self.folder, ignore_errors=True)


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}


class Postgres(Daemon):
    """A server. Over its Unix socket everybody is believed, over TCP a password is asked for."""

    def __init__(self, settings: Mapping[str, str] | None = None, *, standby_of: Postgres | None = None) -> None:
        super().__init__()
        self.password = _empty_server().password
        self._settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self.folder),
            "fsync": "off",
            # Each connection is a process, which has to be given and to give back what it maps.
            "shared_buffers": "16MB",
            "autovacuum": "off",
            "log_statement": "all",
            "log_min_messages": "info",
            "max_connections": "120",
            **(settings or {}),
        }
        try:
            if standby_of:
                self.follow(standby_of)
                return
            self.run("cp", "--archive", "--reflink=auto", str(_empty_server().data), str(self.folder / "data"))
            self.start()
            self.admin(f"CREATE DATABASE {DATABASE}", database="postgres")
        except BaseException:
            self.close()
            raise

    @property
    def _status_file(self) -> Path:
        return self.folder / "data" / "postmaster.pid"

    def start(self) -> None:
        options = [f"--{name}={value}" for name, value in self._settings.items()]
        self.spawn(program("postgres"), "-D", str(self.folder / "data"), *options)
        self.wait_until(self._answers)

    def follow(self, primary: Postgres) -> None:
        """Start anew as a standby, with a copy of what the primary holds."""
        data = self.folder / "data"
        shutil.rmtree(data, ignore_errors=True)
        self.run(
            *(program("pg_basebackup"), "--write-recovery-conf", "--checkpoint=fast", "--no-sync"),
            *(f"--pgdata={data}", f"--host={primary.folder}", f"--port={primary.port}", f"--username={SUPERUSER}"),
        )
        self.start()

    def replicate_synchronously(self) -> None:
        """From now on, also after a fail-over, a commit waits until a standby has it."""
        # What a standby calls itself if it is told nothing else.
        self.admin("ALTER SYSTEM SET synchronous_standby_names = 'walreceiver'")
        self.admin("SELECT pg_reload_conf()")

    def promote(self) -> None:
        """Make a standby the primary, and wait for that."""
        self.admin("SELECT pg_promote()")

    def _answers(self) -> bool:
        import psycopg

        lines = self._status_file.read_text(encoding="utf-8").split() if self._status_file.is_file() else []
        # A connection that comes too early costs as much as a good one.
        if not self._process or lines[:1] != [str(self._process.pid)] or lines[-1] not in ("ready", "standby"):
            return False
        try:
            self.admin("SELECT 1", database="postgres")
        except psycopg.OperationalError:
            return False
        return True

    def admin(self, statement: str, values: Any = None, database: str = DATABASE) -> list[tuple[Any, ...]]:
        """Run a statement as the superuser."""
        import psycopg

        with psycopg.connect(
            host=str(self.folder), port=self.port, user=SUPERUSER, dbname=database, autocommit=True
        ) as connection:
            cursor = connection.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

    def add_role(self, name: str, options: str = "") -> str:
        """A role that may sign in, and its password."""
        password = secrets.token_urlsafe(18)
        self.admin(f"CREATE ROLE {name} LOGIN {options} PASSWORD '{password}'")
        return password

    def socket_location(self, schema: str, user: str = SUPERUSER, database: str = DATABASE) -> str:
        return f"postgresql://{user}@/{database}?host={self.folder}&port={self.port}&schema={schema}"

    def location(self, schema: str, user: str = SUPERUSER, port: int | None = None, more: str = "") -> str:
        """Over TCP, without encryption: that is for the tests of TLS."""
        address = f"127.0.0.1:{port or self.port}"
        return f"postgresql://{user}@{address}/{DATABASE}?schema={schema}&sslmode=disable{more}"


class PgBouncer(Daemon):
    """A pooler in transaction mode, with few connections to its server."""

    def __init__(self, server: Postgres, connections: int = 2) -> None:
        super().__init__()
        try:
            users = self.write("users", f'"{SUPERUSER}" "{server.password}"\n')
            settings = {
                "listen_addr": "127.0.0.1",
                "listen_port": str(self.port),
                "unix_socket_dir": "",
                "auth_type": "scram-sha-256",
                "auth_file": str(users),
                "pool_mode": "transaction",
                "default_pool_size": str(connections),
                "max_client_conn": "200",
            }
            lines = "".join(f"{name} = {value}\n" for name, value in settings.items())
            database = f"{DATABASE} = host=127.0.0.1 port={server.port}"
            config = self.write("pgbouncer.ini", f"[databases]\n{database}\n[pgbouncer]\n{lines}")
            self.spawn(shutil.which("pgbouncer", path="/usr/sbin:/usr/bin") or program("pgbouncer"), str(config))
            self.wait_until(functools.partial(self._answers, server))
        except BaseException:
            self.close()
            raise

    def _answers(self, server: Postgres) -> bool:
        import psycopg

        given = {"host": "127.0.0.1", "port": self.port, "user": SUPERUSER, "dbname": DATABASE}
        try:
            with psycopg.connect(password=server.password, **given):  # type: ignore[arg-type]
                return True
        except psycopg.OperationalError:
            return False


class _EmptyServer(Daemon):
    """The data that each server begins with: initdb takes many times as long as a copy."""

    def __init__(self) -> None:
        super().__init__()
        self.password = secrets.token_urlsafe(18)
        self.data = self.folder / "data"
        password = self.write("superuser", self.password)
        self.run(
            *(program("initdb"), "--no-sync", "--encoding=UTF8", "--locale=C", f"--username={SUPERUSER}"),
            *("--auth-local=trust", "--auth-host=scram-sha-256", f"--pwfile={password}", "--wal-segsize=1"),
            f"--pgdata={self.data}",
        )


@functools.cache
def _empty_server() -> _EmptyServer:
    made = _EmptyServer()
    atexit.register(made.close)
    return made


@functools.cache
def shared_server() -> Postgres:
    """One server for a whole run of tests, each of which takes a schema of its own."""
    server = Postgres()
    atexit.register(server.close)
    return server


def new_schema() -> str:
    return f"t{secrets.token_hex(8)}"
