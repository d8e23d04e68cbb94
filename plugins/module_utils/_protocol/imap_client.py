# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""IMAPClient on a stream that is connected already, and what its errors stand for.

imaplib reads the greeting and asks for the capabilities within its constructor, and IMAPClient starts TLS and asks
again within one call: neither tells in which of these phases something failed, nor notices plain text that follows the
reply to STARTTLS. So imap.py speaks these three by hand. Then the greeting is put back, and IMAPClient has the stream.
"""

from __future__ import annotations

import imaplib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .._auth.mechanism import Mechanism
from .._connector.redaction import LONGEST_READ, Redaction
from .._errors import MissingLibrary
from .._net.clock import Clock
from .._net.stream import Stream
from .._verdict.observation import Observation, ProbeError, probe_error

_REFUSAL = re.compile(r"[^\s*+]\S* (NO|BAD)\b ?(.*)", re.IGNORECASE | re.DOTALL)
_FAREWELL = re.compile(r"\* BYE\b ?(.*)", re.IGNORECASE | re.DOTALL)
_SUCCESS = re.compile(r"\S+ OK\b", re.IGNORECASE)
_NEW_MAIL = re.compile(r"\* (\d+) EXISTS\b", re.IGNORECASE)
_CODE = re.compile(r"\[([A-Z-]+)(?: [^\]]*)?\]", re.IGNORECASE)


class RecordingReader:
    """Reads from the stream, and keeps what the server has said last, since that is where a refusal stands."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.last_line = ""
        self.farewell = ""
        self.newest_count = ""

    def readline(self) -> bytes:
        self.last_line = ""
        line = self.stream.readline()
        if not line.endswith(b"\r\n"):
            # Some servers end lines with LF alone, which imaplib does not take.
            line = line[:-1] + b"\r\n"
        self.last_line = line[:LONGEST_READ].decode("utf-8", "replace").rstrip("\r\n")
        farewell = _FAREWELL.match(self.last_line)
        if farewell:
            self.farewell = farewell.group(1) or "BYE"
        return line


class _OnStream(imaplib.IMAP4):
    """imaplib on a stream: what is overridden here is what its documentation names for that."""

    def __init__(self, reader: RecordingReader) -> None:
        self._reader = reader
        super().__init__()

    def open(self, host: str = "", port: int = 0, timeout: float | None = None) -> None:  # noqa: ARG002
        self.host, self.port = host, port
        self.sock: Any = _Socket()

    def read(self, size: int) -> bytes:
        return self._reader.stream.read(size)

    def readline(self) -> bytes:
        return self._reader.readline()

    def send(self, data: Any) -> None:
        self._reader.stream.sendall(data)

    def shutdown(self) -> None:
        self._reader.stream.close()


class _Socket:
    """What IMAPClient asks of a socket once it is connected."""

    def settimeout(self, _seconds: float | None) -> None:
        """The clock's limits hold."""


def client_type() -> Any:
    """The class of IMAPClient, imported when it is first asked for."""
    try:
        from imapclient import IMAPClient
    except ImportError as missing:
        raise MissingLibrary("imapclient", "to read mail over IMAP", str(missing)) from None
    return IMAPClient


def client_on(reader: RecordingReader, host: str, port: int) -> Any:
    """IMAPClient, talking through a connection whose greeting is still to be read."""

    class Client(client_type()):  # type: ignore[misc]
        """IMAPClient, which makes no connection of its own."""

        def _create_IMAP4(self) -> Any:  # noqa: N802  IMAPClient names it so
            return _OnStream(reader)

    return Client(host, port=port, ssl=False)


class SaslResponder:
    """A mechanism as imaplib wants it: asked first with an empty challenge."""

    def __init__(self, mechanism: Mechanism) -> None:
        self._mechanism = mechanism
        self._is_first = True

    def __call__(self, challenge: bytes) -> bytes:
        first = self._mechanism.initial_response() if self._is_first else None
        self._is_first = False
        return first if first is not None else self._mechanism.respond(challenge)


def wait_for_mail(reader: RecordingReader, tag: str, clock: Clock, seconds: float) -> bool:
    """IDLE until new mail is announced or time is up; whether the server supports it.

    IMAPClient would ask the socket whether something has come, which does not know what was read from it before.
    """
    reader.stream.sendall(f"{tag} IDLE\r\n".encode("ascii"))
    is_there = False
    while not _next(reader).startswith("+"):
        if reader.last_line.startswith(f"{tag} "):
            return False
        is_there = is_there or _announces_mail(reader)
    with clock.limit_step_timeout(seconds):
        reader.stream.start_step()
        with _until_timeout():
            while not is_there and not _next(reader).startswith(f"{tag} "):
                is_there = _announces_mail(reader)
    if reader.last_line.startswith(f"{tag} "):
        return False
    reader.stream.sendall(b"DONE\r\n")
    while not _next(reader).startswith(f"{tag} "):
        pass
    return True


def _next(reader: RecordingReader) -> str:
    reader.readline()
    return reader.last_line


def _announces_mail(reader: RecordingReader) -> bool:
    """Whether the number of messages has changed; some servers repeat it at the beginning of each IDLE."""
    found = _NEW_MAIL.match(reader.last_line)
    if not found or found.group(1) == reader.newest_count:
        return False
    reader.newest_count = found.group(1)
    return True


@contextmanager
def _until_timeout() -> Iterator[None]:
    """What takes too long within is over, and no error."""
    try:
        yield
    except ProbeError as stopped:
        if stopped.observation.kind != "timeout":
            raise


@contextmanager
def require_writable(mailbox: str) -> Iterator[None]:
    """Opening a mailbox in which messages are to be removed."""
    try:
        yield
    except imaplib.IMAP4.readonly:
        raise probe_error("not_removed", f"the message stays where it is: {mailbox} can only be read") from None


@contextmanager
def translate_imap_errors(reader: RecordingReader, redact: Redaction) -> Iterator[None]:
    """Whatever imaplib and IMAPClient raise becomes a ProbeError with what the server has said last."""
    try:
        yield
    except (OSError, MissingLibrary):
        raise
    except ProbeError as stopped:
        if reader.farewell and stopped.observation.kind in ("closed", "reset"):
            raise reply_error("BYE", redact(reader.farewell)) from None
        raise
    except Exception as error:  # noqa: BLE001  the libraries raise anything over replies that are malformed
        if reader.farewell:
            raise reply_error("BYE", redact(reader.farewell)) from None
        refusal = _REFUSAL.match(reader.last_line)
        if refusal and isinstance(error, imaplib.IMAP4.error):
            raise reply_error(refusal.group(1).upper(), redact(refusal.group(2))) from None
        is_theirs = reader.last_line and not _SUCCESS.match(reader.last_line)
        said = redact(reader.last_line if is_theirs else str(error))
        raise probe_error("protocol", said or "a malformed reply") from None


def response_code(text: str) -> str:
    found = _CODE.search(text)
    return f"[{found.group(1).upper()}]" if found else ""


def reply_error(status: str, text: str) -> ProbeError:
    """A server's refusal, as NO, BAD or BYE, in redacted words."""
    return ProbeError(Observation("reply", enhanced=f"{status} {response_code(text)}".strip(), text=text))
