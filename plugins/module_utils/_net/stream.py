# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""A socket that is read with limits of size, lines and time for each reply."""

from __future__ import annotations

import socket
import ssl

from .._verdict.observation import ProbeError, probe_error
from .clock import Clock
from .os_errors import observation_from_error

LONGEST_LINE = 16 * 1024
LARGEST_REPLY = 1024 * 1024
MOST_LINES = 2000


class Stream:
    """A connected socket with a clock and limits."""

    def __init__(self, connection: socket.socket, clock: Clock) -> None:
        self._socket = connection
        self._clock = clock
        self._buffer = bytearray()
        self._bytes_left = LARGEST_REPLY
        self._lines_left = MOST_LINES

    @property
    def connection(self) -> socket.socket:
        return self._socket

    @property
    def has_unread(self) -> bool:
        return bool(self._buffer)

    def starts_with(self, data: bytes) -> bool:
        """Whether the unread data begins with this."""
        return self._buffer.startswith(data)

    def start_step(self) -> None:
        """Reset the timeout and the limits for the next reply."""
        self._clock.start_step()
        self._bytes_left = LARGEST_REPLY
        self._lines_left = MOST_LINES

    def sendall(self, data: bytes) -> None:
        self.start_step()
        try:
            self._socket.settimeout(self._clock.step_remaining())
            self._socket.sendall(data)
        except OSError as error:
            raise ProbeError(observation_from_error(error)) from error

    def readline(self) -> bytes:
        """Read one line, including its end."""
        end = self._buffer.find(b"\n")
        while end < 0:
            if len(self._buffer) > LONGEST_LINE:
                raise probe_error("protocol", f"a line is longer than {LONGEST_LINE} octets")
            self._receive()
            end = self._buffer.find(b"\n")
        self._lines_left -= 1
        if self._lines_left < 0:
            raise probe_error("protocol", f"a reply has more than {MOST_LINES} lines")
        return self._take(end + 1)

    def read(self, size: int) -> bytes:
        if size > LARGEST_REPLY:
            raise probe_error("protocol", f"a reply is larger than {LARGEST_REPLY} octets")
        while len(self._buffer) < size:
            self._receive()
        return self._take(size)

    def unread(self, data: bytes) -> None:
        """Put data back, to be read again."""
        self._buffer[:0] = data

    def start_tls(self, context: ssl.SSLContext, host: str) -> ssl.SSLSocket:
        """Start TLS. Plain text that arrived before must not be read as if it had been encrypted (injection)."""
        if self._buffer:
            raise probe_error("speaks_plain", "the server sent plain text instead of a TLS handshake")
        self._clock.start_step()
        secure = context.wrap_socket(self._socket, server_hostname=host, do_handshake_on_connect=False)
        self._socket = secure
        secure.settimeout(self._clock.step_remaining())
        secure.do_handshake()
        self.start_step()
        return secure

    def close(self) -> None:
        try:
            self._socket.close()
        except OSError:
            return

    def _receive(self) -> None:
        try:
            self._socket.settimeout(self._clock.step_remaining())
            data = self._socket.recv(16 * 1024)
        except OSError as error:
            raise ProbeError(observation_from_error(error)) from error
        if not data:
            raise probe_error("closed", "the server closed the connection")
        self._bytes_left -= len(data)
        if self._bytes_left < 0:
            raise probe_error("protocol", f"a reply is larger than {LARGEST_REPLY} octets")
        self._buffer += data

    def _take(self, size: int) -> bytes:
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken
