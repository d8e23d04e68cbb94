# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Where the registry's keys come from."""

from __future__ import annotations

import base64
import fcntl
import os
import re

from .._connector.secret import Secret
from .._errors import RegistryKeyError
from .sealing import Key, KeyRing, load_fernet

_SEPARATORS = re.compile(r"[,\r\n]+")
_KEY = re.compile(r"[A-Za-z0-9_-]{43}=\Z")


class KeySource:
    """Where the keys come from: given as text, else kept in a file, which is made when it is needed."""

    def __init__(self, given: Secret | None, path: str) -> None:
        self._given = given
        self.path = path

    def ring(self) -> KeyRing | None:
        """The keys, or None where there are none yet."""
        if self._given is not None:
            return _parse(self._given.reveal(), "registry_key")
        try:
            with open(self.path, encoding="ascii") as file:
                text = file.read(65536)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise RegistryKeyError(f"registry_key_file {self.path} cannot be read: {error.strerror}.") from None
        except UnicodeDecodeError:
            raise RegistryKeyError(_malformed(f"registry_key_file {self.path}")) from None
        return _parse(text, f"registry_key_file {self.path}") if text.strip() else None

    def check(self) -> None:
        """Fail now where sealing would fail for want of the library, before a key is made."""
        load_fernet()

    def is_exposed(self) -> bool:
        """Whether the keys lie in a file that others than its owner may read."""
        try:
            return self._given is None and bool(os.stat(self.path).st_mode & 0o077)
        except OSError:
            return False

    def make(self) -> KeyRing:
        """Make the key file with a new key. An empty file, as a task killed here leaves it, is filled."""
        key = base64.urlsafe_b64encode(os.urandom(32))
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "r+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                if not file.read().strip():
                    file.truncate(0)
                    file.seek(0)
                    file.write(key + b"\n")
                    file.flush()
                    os.fsync(file.fileno())
            _sync_folder(self.path)
        except OSError as error:
            raise RegistryKeyError(f"registry_key_file {self.path} cannot be made: {error.strerror}.") from None
        return self.needed()

    def needed(self) -> KeyRing:
        """The keys, which something is sealed with already."""
        ring = self.ring()
        if ring is None:
            raise RegistryKeyError(
                "The registry holds secrets, and the key they are sealed with is missing: give registry_key, or"
                f" put back registry_key_file {self.path}."
            )
        return ring


def _sync_folder(path: str) -> None:
    descriptor = os.open(os.path.dirname(os.path.abspath(path)), os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _parse(text: str, source: str) -> KeyRing:
    parts = [part.strip() for part in _SEPARATORS.split(text) if part.strip()]
    if not parts or not all(_KEY.match(part) for part in parts):
        raise RegistryKeyError(_malformed(source))
    return KeyRing([Key(part) for part in parts])


def _malformed(source: str) -> str:
    return (
        f"{source} must hold one or more Fernet keys (32 bytes in URL-safe base64), separated by commas or line breaks."
    )
