# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""IMAPClient on a stream that is connected already, and what its errors stand for."""

from __future__ import annotations

import imaplib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .._errors import MissingLibrary
from .._signin.mechanism import Mechanism
from .._verdict.signal import Signal, Stopped, stop
from .._wire.stream import Stream
from .._wire.words import LONGEST, printable
from .redaction import Redaction

_REFUSAL = re.compile(r"\S+ (NO|BAD)\b ?(.*)", re.IGNORECASE | re.DOTALL)
_SUCCESS = re.compile(r"\S+ OK\b", re.IGNORECASE)
_CODE = re.compile(r"\[([A-Z-]+)(?: [^\]]*)?\]", re.IGNORECASE)


class Connection(imaplib.IMAP4):
    """imaplib on a stream. It remembers the last line, since that is where a refusal stands."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self.last_line = ""
        super().__init__("", 0)

    def _create_socket(self, _timeout: float | None = None) -> Any:
        return self._stream

    def read(self, size: int) -> bytes:
        return self._stream.read(size)

    def readline(self) -> bytes:
        self.last_line = ""
        line = self._stream.readline()
        self.last_line = printable(line[: 8 * LONGEST])
        return line

    def shutdown(self) -> None:
        self._stream.close()


def client_on(connection: Connection, host: str, port: int) -> Any:
    """IMAPClient, talking through a connection."""
    try:
        from imapclient import IMAPClient
    except ImportError as missing:
        raise MissingLibrary("imapclient", "to read mail over IMAP", str(missing)) from None

    class Client(IMAPClient):  # type: ignore[misc, unused-ignore]
        """IMAPClient, which makes no connection of its own."""

        def _create_IMAP4(self) -> Any:  # noqa: N802  IMAPClient names it so
            return connection

        def _set_read_timeout(self) -> None:
            return

    return Client(host, port=port, ssl=False)


class Asked:
    """A mechanism as imaplib wants it: asked first with an empty challenge."""

    def __init__(self, mechanism: Mechanism) -> None:
        self._mechanism = mechanism
        self._is_first = True

    def __call__(self, challenge: bytes) -> bytes:
        first = self._mechanism.first() if self._is_first else None
        self._is_first = False
        return first if first is not None else self._mechanism.answer(challenge)


@contextmanager
def judged(connection: Connection, redact: Redaction) -> Iterator[None]:
    """Whatever imaplib and IMAPClient raise is judged by the server's last line."""
    try:
        yield
    except (OSError, MissingLibrary):
        raise
    except Stopped as stopped:
        farewell = _farewell(connection)
        if farewell and stopped.signal.kind in ("closed", "reset"):
            raise replied("BYE", redact(farewell)) from None
        raise
    except Exception as error:  # noqa: BLE001  the libraries raise anything over replies that are malformed
        raise _meant(connection, error, redact) from None


def _farewell(connection: Connection) -> str:
    """What the server said when it ended the conversation by itself."""
    said: Any = connection.untagged_responses.get("BYE")
    return printable(said[-1]) if said and isinstance(said[-1], bytes) else ""


def _meant(connection: Connection, error: Exception, redact: Redaction) -> Stopped:
    farewell = _farewell(connection)
    if farewell:
        return replied("BYE", redact(farewell))
    refusal = _REFUSAL.match(connection.last_line)
    if refusal and isinstance(error, imaplib.IMAP4.error):
        return replied(refusal.group(1).upper(), redact(refusal.group(2)))
    is_theirs = connection.last_line and not _SUCCESS.match(connection.last_line)
    return stop("protocol", redact(connection.last_line if is_theirs else str(error))[:LONGEST] or "a malformed reply")


def response_code(text: str) -> str:
    found = _CODE.search(text)
    return f"[{found.group(1).upper()}]" if found else ""


def replied(status: str, text: str) -> Stopped:
    """A server's refusal, as NO, BAD or BYE."""
    return Stopped(Signal("reply", enhanced=f"{status} {response_code(text)}".strip(), text=text[:LONGEST]))
