# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server whose conversation is a small function, for what no real server can be told to do."""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import ssl
import struct
import threading
import time
import types
from collections.abc import Callable, Iterator
from typing import Self

from peers import net

LINGER_NOT = struct.pack("ii", 1, 0)
TLS_SECONDS = 15.0
CLOSING_SECONDS = 0.5


class Over(Exception):
    """The conversation has ended: the client has gone, the server is being closed, or the script wants it."""


@dataclasses.dataclass
class Login:
    """One attempt to sign in."""

    mechanism: str
    connection: int
    encrypted: bool
    started: float
    username: str | None = None
    password: str | None = None  # where the mechanism shows it
    accepted: bool = False
    ended: float | None = None


class Talk:
    """One connection, as a script sees it."""

    def __init__(self, sock: socket.socket, server: ScriptedServer, number: int) -> None:
        self.sock = sock
        self.server = server
        self.number = number  # counted from 0 in the order of arrival
        self.tag = ""  # of the IMAP command at hand
        self.user: str | None = None  # who has signed in
        self.recipients: int | None = None  # of the mail at hand; None: there is no sender yet
        self._unread = b""

    @property
    def encrypted(self) -> bool:
        """Whether TLS is in use."""
        return isinstance(self.sock, ssl.SSLSocket)

    @property
    def received(self) -> bytearray:
        """All that this client has sent, after decryption."""
        return self.server.received[self.number]

    def send(self, data: str | bytes) -> None:
        """Sends bytes, or text as UTF-8, exactly as given."""
        try:
            self.sock.sendall(data.encode(errors="surrogateescape") if isinstance(data, str) else data)
        except OSError as error:
            raise Over from error

    def read(self) -> bytes:
        """The next bytes, whatever they are."""
        if self._unread:
            data, self._unread = self._unread, b""
            return data
        try:
            data = self.sock.recv(65536)
        except OSError as error:
            raise Over from error
        if not data:
            raise Over
        self.received.extend(data)
        return data

    def read_exactly(self, count: int) -> bytes:
        """As many bytes as wanted."""
        data = b""
        while len(data) < count:
            data += self.read()
        data, self._unread = data[:count], data[count:]
        return data

    def line(self) -> str:
        """The next line without its end; bytes that are not UTF-8 become surrogates."""
        data = b""
        while b"\n" not in data:
            data += self.read()
        line, _newline, self._unread = data.partition(b"\n")
        return line.removesuffix(b"\r").decode(errors="surrogateescape")

    def start_tls(self, context: ssl.SSLContext) -> None:
        """Speaks TLS from here; what the client has sent too early is dropped."""
        self._unread = b""
        self.sock.settimeout(TLS_SECONDS)
        try:
            secured = context.wrap_socket(self.sock, server_side=True, do_handshake_on_connect=False)
            self.server.replace(self.sock, secured)
            self.sock = secured
            secured.do_handshake()
        except OSError as error:
            self.server.tls_errors.append(str(error))
            raise Over from error
        secured.settimeout(None)

    def wait(self, seconds: float) -> None:
        """Does nothing for a while, or until the server is closed."""
        if self.server.closing.wait(seconds):
            raise Over

    def hang(self) -> None:
        """Reads and never answers."""
        while True:
            self.read()

    def close(self) -> None:
        """Ends the connection without another word; what the client still says is read, or it would see a reset."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)
            self.sock.settimeout(CLOSING_SECONDS)
            while self.sock.recv(65536):
                pass
        raise Over

    def reset(self) -> None:
        """Ends the connection with RST."""
        with contextlib.suppress(OSError):
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
        raise Over


Script = Callable[[Talk], None]


class ScriptedServer:
    """Runs the script once per connection, each in a thread of its own, from `start` to `close` or in a `with` block.

    With `tls` it speaks TLS from the first byte. `received` has all bytes per connection, `logins` every attempt to
    sign in, in order of arrival, `errors` what went wrong in the script itself, which `close` raises.
    """

    def __init__(
        self,
        script: Script,
        *,
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        name: str = "",
    ) -> None:
        self.script = script
        self.tls = tls
        self.host = host
        self.name = name
        self.received: list[bytearray] = []
        self.logins: list[Login] = []
        self.most_connections = 0
        self.most_logins = 0  # at the same time
        self.tls_errors: list[str] = []
        self.errors: list[Exception] = []
        self.closing = threading.Event()
        self._port = port
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._logging_in = 0
        self._listener: socket.socket | None = None

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._port

    @property
    def connections(self) -> int:
        """How many have connected so far."""
        return len(self.received)

    @property
    def mechanisms(self) -> list[str]:
        """The mechanism of each attempt to sign in, in order."""
        return [login.mechanism for login in self.logins]

    def start(self) -> Self:
        """Listens, and returns when clients can connect."""
        self._listener = net.listening(self.host, self._port)
        self._port = self._listener.getsockname()[1]
        self._spawn(self._accept, self._listener)
        return self

    def close(self) -> None:
        """Cuts all connections, waits for all threads, and raises what went wrong in a script."""
        self.closing.set()
        with self._lock:
            sockets = [sock for sock in (self._listener, *self._open) if sock]
        for sock in sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        if self._listener:
            self._listener.close()
        self._listener = None
        if self.errors:
            raise self.errors[0]

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        self.close()

    @contextlib.contextmanager
    def login(self, talk: Talk, mechanism: str) -> Iterator[Login]:
        """Counts an attempt to sign in, which lasts as long as the block."""
        attempt = Login(mechanism, talk.number, talk.encrypted, time.monotonic())
        with self._lock:
            self.logins.append(attempt)
            self._logging_in += 1
            self.most_logins = max(self.most_logins, self._logging_in)
        try:
            yield attempt
        finally:
            attempt.ended = time.monotonic()
            with self._lock:
                self._logging_in -= 1

    def replace(self, old: socket.socket, new: socket.socket) -> None:
        """Remembers that a connection continues in another socket."""
        with self._lock:
            self._open.discard(old)
            self._open.add(new)
        if self.closing.is_set():
            raise Over

    def _spawn(self, function: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=function, args=arguments, name=f"peer {self.name}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while not self.closing.is_set():
            try:
                sock = listener.accept()[0]
            except OSError:
                return
            with self._lock:
                self.received.append(bytearray())
                number = len(self.received) - 1
                self._open.add(sock)
                self.most_connections = max(self.most_connections, len(self._open))
            if self.closing.is_set():
                sock.close()
                return
            self._spawn(self._serve, sock, number)

    def _serve(self, sock: socket.socket, number: int) -> None:
        talk = Talk(sock, self, number)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.tls:
                talk.start_tls(self.tls)
            self.script(talk)
        except (Over, OSError):
            pass
        except Exception as error:  # noqa: BLE001 - close() raises it where the test sees it
            self.errors.append(error)
        finally:
            with self._lock:
                self._open.discard(talk.sock)
            talk.sock.close()
