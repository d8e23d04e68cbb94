# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real mail server: Postfix and Dovecot on loopback ports, with configuration and data of their own.

`python -m peers.mail` in the folder `tests` starts one by hand and prints its ports.
"""

from __future__ import annotations

import atexit
import contextlib
import email
import email.policy
import imaplib
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import types
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Self

from peers import dovecot, net, postfix
from peers.ca import CertificateZoo
from peers.forward import Forwarder
from peers.net import PeerFailed
from peers.proxies import join
from peers.scripted import ScriptedServer, Talk
from peers.tokens import Introspection, Tokens
from peers.users import DOMAIN, USERS, User

WARDEN = Path(__file__).with_name("warden.py")
PROGRAMS = {
    "/usr/lib/postfix/sbin/master": "postfix",
    "/usr/sbin/dovecot": "dovecot-core",
    "/usr/lib/dovecot/imap": "dovecot-imapd",
    "/usr/lib/dovecot/lmtp": "dovecot-lmtpd",
}
SECONDS = 120.0


class MailServer:
    """Postfix and Dovecot, between `start` and `stop` or in a `with` block.

    `base` keeps configuration, certificates and logs; what needs a short path or another owner is in a folder of its
    own below the system's folder for temporary files, which `stop` removes.
    """

    host = "localhost"
    domain = DOMAIN

    def __init__(self, base: Path, zoo: CertificateZoo | None = None) -> None:
        self.base = base
        self.zoo = zoo or CertificateZoo(base / "certificates")
        self.users: dict[str, User] = dict(USERS)
        self.ports: dict[str, int] = {}
        self.tokens = Tokens()  # those that sign in
        self.introspection: Introspection | None = None  # what Dovecot asks about tokens, while it runs
        self.logs = [base / name for name in ("postfix.log", "dovecot.log", "output.log")]
        self.runtime = Path()  # sockets, queue and mail, while it runs
        self._warden: subprocess.Popen[bytes] | None = None
        self._forwarder: Forwarder | None = None
        self._fronts: list[ScriptedServer] = []
        self._block: net.PortBlock | None = None
        self._imap: dict[str, imaplib.IMAP4] = {}  # signed in, by user
        self._imap_lock = threading.Lock()

    @property
    def ca_file(self) -> Path:
        """What a client should trust."""
        return self.zoo.ca_file

    def start(self) -> Self:
        """Starts everything, and returns when it answers."""
        _check_programs()
        self.base.mkdir(parents=True, exist_ok=True)
        atexit.register(self.stop)
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Ends all processes; does nothing when there are none."""
        atexit.unregister(self.stop)
        while self._imap:
            self._imap.popitem()[1].shutdown()
        while self._fronts:
            self._fronts.pop().close()
        if self._forwarder:
            self._forwarder.close()
        if self._warden and self._warden.stdin:
            with contextlib.suppress(OSError):
                self._warden.stdin.close()
            self._warden.wait()
            _mop_up(self.base, self.runtime)
        if self._block:
            self._block.release()
        self._forwarder = self._warden = self._block = None
        introspection, self.introspection = self.introspection, None
        if introspection:
            introspection.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        self.stop()

    def messages(self, user: str, mailbox: str = "INBOX") -> list[EmailMessage]:
        """The messages of a user, oldest first."""
        with self._signed_in(user) as imap:
            imap.select(mailbox, readonly=True)
            numbers = imap.search(None, "ALL")[1][0].split()
            return [_message(imap, number) for number in numbers]

    def wait_for(self, user: str, header: str, value: str, seconds: float = SECONDS) -> EmailMessage:
        """The message of a user whose header has this value, as soon as it has arrived."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with self._signed_in(user) as imap:
                imap.select("INBOX", readonly=True)
                imap.literal = value.encode()
                for number in imap.search("UTF-8", "HEADER", header)[1][0].split():
                    message = _message(imap, number)
                    if message[header] == value:
                        return message
            time.sleep(0.05)
        raise PeerFailed(f"no message with {header}: {value} came to {user} within {seconds} s\n{self.log_tail()}")

    def empty(self, user: str) -> None:
        """Deletes the messages of a user's INBOX."""
        with self._signed_in(user) as imap:
            if imap.select("INBOX")[1] != [b"0"]:
                imap.store("1:*", "+FLAGS", r"(\Deleted)")
            imap.expunge()

    def inbox(self, user: str) -> dict[str, EmailMessage]:
        """The messages of a user's INBOX by their UID, oldest first."""
        with self._signed_in(user) as imap:
            imap.select("INBOX", readonly=True)
            numbers = imap.uid("SEARCH", "ALL")[1][0].split()
            return {number.decode(): _message(imap, number, by_uid=True) for number in numbers}

    def remove(self, user: str, uid: str) -> None:
        """Deletes one message of a user's INBOX."""
        with self._signed_in(user) as imap:
            imap.select("INBOX")
            imap.uid("STORE", uid, "+FLAGS", r"(\Deleted)")
            imap.expunge()

    def log_tail(self, lines: int = 40) -> str:
        """The ends of the logs, to print when a test has failed."""
        parts = []
        for path in self.logs:
            if path.is_file():
                text = path.read_text(encoding="utf-8", errors="replace").splitlines()
                parts.append("\n".join([f"--- {path}", *text[-lines:]]))
        return "\n".join(parts)

    def _start(self) -> None:
        self._block = net.PortBlock()
        self.ports = {name: self._block.take() for name in _port_names()}
        # Everybody may pass through: the daemons' users need to.
        allowed = privileges()
        self.runtime = Path(tempfile.mkdtemp(prefix="mr"))
        self.runtime.chmod(0o755)
        self._write_configuration(self.runtime)
        self._warden = start_warden(allowed, self._plan(self.runtime), self.base / "output.log")
        self.introspection = Introspection(self.tokens, port=self.ports["introspection"]).start()
        self._forwarder = Forwarder(self._routes())
        self._forwarder.start()
        self._start_fronts()
        end = time.monotonic() + SECONDS
        for name in ("imap", postfix.PORTS[0].name, postfix.PORTS[-1].name):
            self._await(name, end)
        try:
            self.messages("alice")
        except (OSError, imaplib.IMAP4.error) as error:
            raise PeerFailed(f"nobody can sign in: {error}\n{self.log_tail()}") from error

    def _write_configuration(self, runtime: Path) -> None:
        texts = {
            "dovecot.conf": dovecot.configuration(self.base, runtime, self.ports, self.zoo),
            "main.cf": postfix.main_cf(self.base, runtime, self.ports, self.zoo),
            "master.cf": postfix.master_cf(self.ports, self.zoo),
        }
        for name, text in texts.items():
            (self.base / name).write_text(text, encoding="utf-8")
            os.utime(self.base / name, (0, 0))  # Postfix waits until a file is a second old

    def _plan(self, runtime: Path) -> dict[str, object]:
        mail = dovecot.OWNER
        maildir = runtime / "mail" / "full" / "Maildir"
        folders: list[tuple[str, str, int]] = [
            (str(runtime / "queue"), "", 0o755),
            (str(runtime / "data"), "postfix", 0o700),
            *((str(runtime / "queue" / name), "postfix", 0o700) for name in postfix.QUEUES),
            (str(runtime / "queue" / "pid"), "", 0o755),
            *((str(path), mail, 0o700) for path in (runtime / "mail", maildir.parent, maildir)),
            *((str(maildir / name), mail, 0o700) for name in ("cur", "new", "tmp")),
        ]
        filling = "From: bob@example.com\nSubject: More than fits\n\n" + "x" * 70 * 30 + "\n"
        return {
            "runtime": str(runtime),
            "output": str(self.base / "output.log"),
            "folders": folders,
            "files": [(str(maildir / "new" / "1.1.localhost"), mail, filling)],
            "commands": {
                "Dovecot": ["/usr/sbin/dovecot", "-F", "-c", str(self.base / "dovecot.conf")],
                "Postfix": ["/usr/lib/postfix/sbin/master", "-c", str(self.base), "-d"],
            },
        }

    def _routes(self) -> dict[int, tuple[str, int]]:
        return {
            self.ports[name]: (dovecot.address_of(variant), self.ports[listener])
            for name, (variant, listener) in dovecot.ENTRANCES.items()
        }

    def _start_fronts(self) -> None:
        """What Dovecot cannot be set to for one port only."""
        demanding = self.zoo.good.server_context(self.zoo.client_ca_file)
        limited = self.zoo.good.server_context()
        limited.maximum_version = ssl.TLSVersion.TLSv1_2
        for name, context in {"imaps_client_cert": demanding, "imaps_tls12": limited}.items():
            front = ScriptedServer(self._to_imap, tls=context, port=self.ports[name], name=name)
            self._fronts.append(front.start())

    def _to_imap(self, talk: Talk) -> None:
        with socket.create_connection(("127.0.0.1", self.ports["imap"])) as far:
            join(talk, far)

    def _await(self, name: str, end: float) -> None:
        """Waits until the port accepts a connection, and the server is still there."""
        while time.monotonic() < end:
            if net.wait_until_open(self.ports[name], 0.1):
                return
            if self._warden and self._warden.poll() is not None:
                break
        raise PeerFailed(f"the mail server did not start\n{self.log_tail()}")

    @contextlib.contextmanager
    def _signed_in(self, user: str) -> Iterator[imaplib.IMAP4]:
        """A connection of the user's own, which is kept for the next time unless something went wrong."""
        with self._imap_lock:
            imap = self._imap.pop(user, None)
            if not imap or not _is_alive(imap):
                imap = self._sign_in(self.users[user])
            try:
                yield imap
                imap.unselect()
            except BaseException:
                imap.shutdown()
                raise
            self._imap[user] = imap

    def _sign_in(self, who: User) -> imaplib.IMAP4:
        imap = imaplib.IMAP4("127.0.0.1", self.ports["imap"], timeout=SECONDS)
        imap.authenticate("PLAIN", lambda _challenge: f"\0{who.address}\0{who.password}".encode())
        return imap


def _is_alive(imap: imaplib.IMAP4) -> bool:
    try:
        imap.noop()
    except (OSError, imaplib.IMAP4.error):
        imap.shutdown()
        return False
    return True


def _message(imap: imaplib.IMAP4, number: bytes, *, by_uid: bool = False) -> EmailMessage:
    what = (number.decode(), "(BODY.PEEK[])")
    part = (imap.uid("FETCH", *what) if by_uid else imap.fetch(*what))[1][0]
    if not isinstance(part, tuple):
        raise PeerFailed(f"no message {number!r}: {part!r}")
    return email.message_from_bytes(part[1], policy=email.policy.default)


def _port_names() -> list[str]:
    fronts, inner = ["imaps_client_cert", "imaps_tls12"], ["auth", "lmtp", "quota", "introspection"]
    return ["imap", "imaps", *fronts, *dovecot.ENTRANCES, *(port.name for port in postfix.PORTS), *inner]


def _check_programs() -> None:
    packages = sorted({package for path, package in PROGRAMS.items() if not _exists(Path(path))})
    if packages:
        raise PeerFailed(f"the mail server needs what is not here: install the Debian packages {', '.join(packages)}")


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except PermissionError:
        return True


def start_warden(privileges: list[str], plan: dict[str, object], output: Path) -> subprocess.Popen[bytes]:
    with output.open("ab") as stream:
        process = subprocess.Popen(
            [*privileges, sys.executable, "-I", "-B", str(WARDEN)],
            stdin=subprocess.PIPE,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
    if process.stdin:
        process.stdin.write(json.dumps(plan).encode() + b"\n")
        process.stdin.flush()
    return process


def _mop_up(base: Path, runtime: Path) -> None:
    """Ends what a warden that was killed could not end any more."""
    for path in (runtime / "queue" / "pid" / "master.pid", runtime / "dovecot" / "master.pid"):
        with contextlib.suppress(OSError, ValueError):
            pid = int(path.read_text(encoding="ascii"))
            if str(base).encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.killpg(pid, signal.SIGKILL)
    shutil.rmtree(runtime, ignore_errors=True)


def privileges() -> list[str]:
    if os.geteuid() == 0:
        return []
    sudo = shutil.which("sudo")
    if not sudo or subprocess.run([sudo, "-n", "true"], capture_output=True, check=False).returncode:
        raise PeerFailed("Postfix and Dovecot need root: run the tests as root, or allow sudo without a password")
    return [sudo, "-n"]


def main() -> None:
    """Runs a server until interrupted."""
    with tempfile.TemporaryDirectory() as folder, MailServer(Path(folder) / "mail") as server:
        about = {port.name: port.about for port in postfix.PORTS}
        lines = [f"{name:32} {number}  {about.get(name, '')}".rstrip() for name, number in server.ports.items()]
        lines += ["", *(f"{user.address:24} {user.password:20} {user.about}" for user in server.users.values())]
        lines += ["", f"CA: {server.ca_file}", f"Logs: {', '.join(map(str, server.logs))}", "Ctrl-C ends it.", ""]
        sys.stdout.write("\n".join(lines))
        sys.stdout.flush()
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                time.sleep(3600)


if __name__ == "__main__":
    main()
