# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Files that are attached to mail: opened without following links, and read in pieces while they are sent."""

from __future__ import annotations

import base64
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from .._errors import MailroomError
from .._files import kind_of
from .._verdict.observation import probe_error

LINE = 57  # octets that fill a line of 76 characters of base64
PIECE = LINE * 560
"""Octets that are read and encoded at a time: a little less than a chunk of SMTP."""

Identity = tuple[int, int, int, int, int]


class UnusableFile(MailroomError):
    """A file cannot be attached; the text says why, without its path."""

    def __init__(self, message: str, *, is_missing: bool = False) -> None:
        self.is_missing = is_missing
        super().__init__(message)


@dataclass(frozen=True)
class AttachedFile:
    """A file that was there, and was readable, when the mail was composed."""

    path: str
    name: str
    content_type: str
    size: int
    identity: Identity
    """Tells it from the same file after a change."""

    @property
    def encoded_size(self) -> int:
        """Its size in base64, with the line ends."""
        lines = -(-self.size // LINE)
        return -(-self.size // 3) * 4 + lines * 2

    def pieces(self, size: int) -> Iterator[bytes]:
        """Its content in pieces of this size; where it is not any more what it was, an error instead of the last one.

        So whoever sends it never sends all of it.
        """
        try:
            with _opened(self.path) as descriptor:
                self._check(descriptor)
                left, piece = self.size, b""
                while left:
                    piece = _read(descriptor, min(size, left))
                    left -= len(piece)
                    if not piece:
                        raise self._changed()
                    if left:
                        yield piece
                self._check(descriptor)
                if piece:
                    yield piece
        except UnusableFile as error:
            raise probe_error("config", f"{self.path} {error}", field="attachments", file=self.path) from None

    def encoded(self) -> Iterator[bytes]:
        """Its content in base64, in pieces of whole lines."""
        for piece in self.pieces(PIECE):
            lines = base64.b64encode(piece)
            yield b"".join(lines[start : start + 76] + b"\r\n" for start in range(0, len(lines), 76))

    def _check(self, descriptor: int) -> None:
        if _identity(os.fstat(descriptor)) != self.identity:
            raise self._changed()

    def _changed(self) -> UnusableFile:
        return UnusableFile("has changed since the task began to send it, so the mail was not sent")


def attach(path: str, name: str, content_type: str) -> AttachedFile:
    """A file to attach, or UnusableFile."""
    with _opened(path) as descriptor:
        found = os.fstat(descriptor)
        return AttachedFile(path, name, content_type, found.st_size, _identity(found))


@contextmanager
def _opened(path: str) -> Iterator[int]:
    """The descriptor of a regular file. A link could lead a task that may read everything to any other file."""
    try:
        # A device is not opened, since that may have side effects.
        _check_kind(os.stat(path, follow_symlinks=False))
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        try:
            _check_kind(os.fstat(descriptor))
            yield descriptor
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        raise UnusableFile("does not exist", is_missing=True) from None
    except OSError as error:
        raise UnusableFile(f"cannot be read: {error.strerror or 'an error of the system'}") from None


def _check_kind(found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise UnusableFile(f"must be a regular file, but is {kind_of(found)}")


def _read(descriptor: int, size: int) -> bytes:
    """That many octets, fewer at the end of the file only."""
    parts: list[bytes] = []
    while size:
        part = os.read(descriptor, size)
        if not part:
            break
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _identity(found: os.stat_result) -> Identity:
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
