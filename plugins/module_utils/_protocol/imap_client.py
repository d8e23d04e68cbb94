# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Run IMAPClient on a connected stream, and translate its errors.

imaplib reads the greeting and the capabilities in its constructor, and IMAPClient does STARTTLS and CAPABILITY in one
call: neither says in which phase something failed, nor detects plain text after the reply to STARTTLS. So imap.py does
these itself, then puts the greeting back and passes the stream to IMAPClient.
"""

from __future__ import annotations

import imaplib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .._auth.mechanism import Mechanism
from .._connector.redaction import MAX_READ_LENGTH, Redaction
from .._errors import MissingLibrary
from .._net.clock import Clock
from .._net.stream import Stream
from .._verdict.observation import Observation, ProbeError, probe_error

_REFUSAL = re.compile(r"[^\s*+]\S* (NO|BAD)\b ?(.*)", re.IGNORECASE | re.DOTALL)
_BYE = re.compile(r"\* BYE\b ?(.*)", re.IGNORECASE | re.DOTALL)
_SUCCESS = re.compile(r"\S+ OK\b", re.IGNORECASE)
_NEW_MAIL = re.compile(r"\* (\d+) EXISTS\b", re.IGNORECASE)
_CODE = re.compile(r"\[([A-Z-]+)(?: [^\]]*)?\]", re.IGNORECASE)


class RecordingReader:
    """Reads from the stream and keeps the last line, since imaplib's errors do not hold the refusal."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.last_line = ""
        self.bye_text = ""
        self.message_count = ""

    def readline(self) -> bytes:
        self.last_line = ""
        line = self.stream.readline()
        if not line.endswith(b"\r\n"):
            # Some servers end lines with LF only, which imaplib refuses.
            line = line[:-1] + b"\r\n"
        self.last_line = line[:MAX_READ_LENGTH].decode("utf-8", "replace").rstrip("\r\n")
        bye = _BYE.match(self.last_line)
        if bye:
            self.bye_text = bye.group(1) or "BYE"
        return line


class _StreamIMAP4(imaplib.IMAP4):
    """imaplib on a stream; only the methods that its documentation names for overriding are overridden."""

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
    """The part of a socket that IMAPClient uses once it is connected."""

    def settimeout(self, _seconds: float | None) -> None:
        """Do nothing: the clock sets the timeouts."""


def import_imap_client() -> Any:
    """Import the class IMAPClient."""
    try:
        from imapclient import IMAPClient
    except ImportError as missing:
        raise MissingLibrary("imapclient", "to read mail over IMAP", str(missing)) from None
    return IMAPClient


def create_client(reader: RecordingReader, host: str, port: int) -> Any:
    """Create an IMAPClient on a connection whose greeting is still unread."""

    class Client(import_imap_client()):  # type: ignore[misc]
        """IMAPClient on an existing connection."""

        def _create_IMAP4(self) -> Any:  # noqa: N802  IMAPClient's name
            return _StreamIMAP4(reader)

    return Client(host, port=port, ssl=False)


class SaslResponder:
    """A mechanism as imaplib calls it: first with an empty challenge."""

    def __init__(self, mechanism: Mechanism) -> None:
        self._mechanism = mechanism
        self._is_first = True

    def __call__(self, challenge: bytes) -> bytes:
        first = self._mechanism.initial_response() if self._is_first else None
        self._is_first = False
        return first if first is not None else self._mechanism.respond(challenge)


def wait_for_mail(reader: RecordingReader, tag: str, clock: Clock, seconds: float) -> bool:
    """IDLE until new mail is announced or time is up; returns whether the server supports it.

    IMAPClient's own IDLE polls the socket, which does not see what is already in the stream's buffer.
    """
    reader.stream.sendall(f"{tag} IDLE\r\n".encode("ascii"))
    has_new_mail = False
    while not _read_line(reader).startswith("+"):
        if reader.last_line.startswith(f"{tag} "):
            return False
        has_new_mail = has_new_mail or _announces_mail(reader)
    with clock.limit_step_timeout(seconds):
        reader.stream.start_step()
        with _ignore_timeout():
            while not has_new_mail and not _read_line(reader).startswith(f"{tag} "):
                has_new_mail = _announces_mail(reader)
    if reader.last_line.startswith(f"{tag} "):
        return False
    reader.stream.sendall(b"DONE\r\n")
    while not _read_line(reader).startswith(f"{tag} "):
        pass
    return True


def _read_line(reader: RecordingReader) -> str:
    reader.readline()
    return reader.last_line


def _announces_mail(reader: RecordingReader) -> bool:
    """Whether the number of messages changed; some servers repeat it at the beginning of each IDLE."""
    found = _NEW_MAIL.match(reader.last_line)
    if not found or found.group(1) == reader.message_count:
        return False
    reader.message_count = found.group(1)
    return True


@contextmanager
def _ignore_timeout() -> Iterator[None]:
    """End the block at a timeout, without an error."""
    try:
        yield
    except ProbeError as error:
        if error.observation.kind != "timeout":
            raise


@contextmanager
def require_writable(mailbox: str) -> Iterator[None]:
    """Translate imaplib's error for a read-only mailbox."""
    try:
        yield
    except imaplib.IMAP4.readonly:
        raise probe_error("not_removed", f"the message cannot be removed: {mailbox} is read-only") from None


@contextmanager
def translate_imap_errors(reader: RecordingReader, redact: Redaction) -> Iterator[None]:
    """Translate errors of imaplib and IMAPClient to a ProbeError with the server's last line."""
    try:
        yield
    except (OSError, MissingLibrary):
        raise
    except ProbeError as error:
        if reader.bye_text and error.observation.kind in ("closed", "reset"):
            raise reply_error("BYE", redact(reader.bye_text)) from None
        raise
    except Exception as error:  # noqa: BLE001  the libraries raise anything over malformed replies
        if reader.bye_text:
            raise reply_error("BYE", redact(reader.bye_text)) from None
        refusal = _REFUSAL.match(reader.last_line)
        if refusal and isinstance(error, imaplib.IMAP4.error):
            raise reply_error(refusal.group(1).upper(), redact(refusal.group(2))) from None
        is_server_error = reader.last_line and not _SUCCESS.match(reader.last_line)
        text = redact(reader.last_line if is_server_error else str(error))
        raise probe_error("protocol", text or "the reply is malformed") from None


def response_code(text: str) -> str:
    found = _CODE.search(text)
    return f"[{found.group(1).upper()}]" if found else ""


def reply_error(status: str, text: str) -> ProbeError:
    """The error for a NO, BAD or BYE with redacted text."""
    return ProbeError(Observation("reply", enhanced=f"{status} {response_code(text)}".strip(), text=text))
