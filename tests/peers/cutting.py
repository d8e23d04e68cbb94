# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A TCP proxy in front of a database that cuts a connection at COMMIT, before or after the server has heard it."""

from __future__ import annotations

import contextlib
import socket
import threading
import types
from typing import Literal, Self

from peers import net

Moment = Literal["never", "before", "after"]
COMMIT = b"COMMIT\x00"


class CuttingProxy:
    """Forwards to a port of 127.0.0.1. The next `cuts` connections that commit are cut at a moment."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listening = net.listening()
        self.port: int = self._listening.getsockname()[1]
        self.moment: Moment = "never"
        self.cuts = 0
        self.cut = threading.Event()
        self.settled = threading.Event()
        """The server has done what it heard before the last cut."""
        self.is_out_of_reach_afterwards = False
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        self._listening.close()

    def cut_commits(self, moment: Moment, times: int = 1, *, out_of_reach: bool = False) -> None:
        """Cut the next commits; after that perhaps let nobody in any more."""
        self.moment, self.cuts, self.is_out_of_reach_afterwards = moment, times, out_of_reach

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _address = self._listening.accept()
                if self.cut.is_set() and self.is_out_of_reach_afterwards:
                    client.close()
                    continue
                server = socket.create_connection(("127.0.0.1", self._target))
                threading.Thread(target=self._serve, args=(client, server), daemon=True).start()

    def _serve(self, client: socket.socket, server: socket.socket) -> None:
        threading.Thread(target=_forward, args=(server, client), daemon=True).start()
        with contextlib.suppress(OSError):
            while chunk := client.recv(65536):
                if COMMIT in chunk and self.cuts:
                    self.cuts -= 1
                    self._cut(client, server, chunk)
                    return
                server.sendall(chunk)
        _close(client, server)

    def _cut(self, client: socket.socket, server: socket.socket, chunk: bytes) -> None:
        self.settled.clear()
        self.cut.set()
        _close(client)
        if self.moment == "after":
            server.sendall(chunk)
            # The server ends the connection when it has done what it was told.
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_WR)
                while server.recv(65536):
                    pass
        _close(server)
        self.settled.set()


def _forward(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while chunk := source.recv(65536):
            target.sendall(chunk)
    _close(target)


def _close(*sockets: socket.socket) -> None:
    for each in sockets:
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
        each.close()
