# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""A connection that is read with limits: no reply may be endless in size, in lines or in time."""

from __future__ import annotations

import socket
import ssl

from .._verdict.observation import ProbeError, probe_error
from .clock import Clock
from .os_errors import observation_of

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

    def begins_with(self, data: bytes) -> bool:
        """Whether what has come and was not read begins so."""
        return self._buffer.startswith(data)

    def start_step(self) -> None:
        """From here on the next reply has the whole timeout and the whole limits."""
        self._clock.start_step()
        self._bytes_left = LARGEST_REPLY
        self._lines_left = MOST_LINES

    def sendall(self, data: bytes) -> None:
        self.start_step()
        try:
            self._socket.settimeout(self._clock.left())
            self._socket.sendall(data)
        except OSError as error:
            raise ProbeError(observation_of(error)) from error

    def readline(self) -> bytes:
        """One line with its end."""
        end = self._buffer.find(b"\n")
        while end < 0:
            if len(self._buffer) > LONGEST_LINE:
                raise probe_error("protocol", "a line that does not end")
            self._receive()
            end = self._buffer.find(b"\n")
        self._lines_left -= 1
        if self._lines_left < 0:
            raise probe_error("protocol", f"a reply of more than {MOST_LINES} lines")
        return self._take(end + 1)

    def read(self, size: int) -> bytes:
        if size > LARGEST_REPLY:
            raise probe_error("protocol", f"a reply of more than {LARGEST_REPLY} octets")
        while len(self._buffer) < size:
            self._receive()
        return self._take(size)

    def unread(self, data: bytes) -> None:
        """Put back what was read, to be read again."""
        self._buffer[:0] = data

    def start_tls(self, context: ssl.SSLContext, host: str) -> ssl.SSLSocket:
        """Encrypt from here on. What has arrived before in plain text must not count as said under encryption."""
        if self._buffer:
            raise probe_error("speaks_plain", "plain text where encryption should begin")
        self._clock.start_step()
        secure = context.wrap_socket(self._socket, server_hostname=host, do_handshake_on_connect=False)
        self._socket = secure
        secure.settimeout(self._clock.left())
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
            self._socket.settimeout(self._clock.left())
            data = self._socket.recv(16 * 1024)
        except OSError as error:
            raise ProbeError(observation_of(error)) from error
        if not data:
            raise probe_error("closed", "closed by the server")
        self._bytes_left -= len(data)
        if self._bytes_left < 0:
            raise probe_error("protocol", f"a reply of more than {LARGEST_REPLY} octets")
        self._buffer += data

    def _take(self, size: int) -> bytes:
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken
