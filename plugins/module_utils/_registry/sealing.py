# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The registry's keys: seal secrets, open them, and compare without opening.

A sealed secret is three texts: the id of the key, a keyed fingerprint with a salt of its own, and the
Fernet token. The fingerprint needs nothing but the standard library.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import hmac
import os
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from .._connector.secret import Secret
from .._errors import MissingLibrary, RegistryKeyError

_SEPARATORS = re.compile(r"[,\r\n]+")
_KEY = re.compile(r"[A-Za-z0-9_-]{43}=\Z")


class Sealed(NamedTuple):
    """A secret as it is kept."""

    key_id: str
    fingerprint: str
    token: str


class _Key:
    """One Fernet key and what is derived from it."""

    def __init__(self, text: str) -> None:
        self.text = text
        raw = base64.urlsafe_b64decode(text)
        self.id = hashlib.sha256(b"mailroom key id" + raw).hexdigest()[:16]
        self._mac = hmac.digest(raw, b"mailroom fingerprint", "sha256")
        self._file_mac = hmac.digest(raw, b"mailroom written file", "sha256")

    def fingerprint(self, secret: Secret, salt: str) -> str:
        return salt + hmac.digest(self._mac, (salt + secret.reveal()).encode(), "sha256").hex()

    def file_fingerprint(self, path: str, content: Secret, salt: str) -> str:
        message = f"{salt}\0{path}\0{content.reveal()}"
        return salt + hmac.digest(self._file_mac, message.encode(), "sha256").hex()


class KeyRing:
    """One or more keys: the first seals, all open."""

    def __init__(self, keys: Sequence[_Key]) -> None:
        self._keys = {key.id: key for key in keys}
        self._first = keys[0]
        self._fernet: Any | None = None

    @property
    def key_ids(self) -> frozenset[str]:
        return frozenset(self._keys)

    @property
    def sealing_key_id(self) -> str:
        return self._first.id

    def seal(self, secret: Secret) -> Sealed:
        token = self._cipher().encrypt(secret.reveal().encode()).decode("ascii")
        return Sealed(self._first.id, self._first.fingerprint(secret, os.urandom(8).hex()), token)

    def open(self, sealed: Sealed) -> Secret:
        cipher = self._cipher()
        from cryptography.fernet import InvalidToken

        try:
            return Secret(cipher.decrypt(sealed.token.encode("ascii")).decode())
        except InvalidToken:
            if sealed.key_id in self._keys:
                raise RegistryKeyError("A secret in the registry is damaged: clear it and give it anew.") from None
            raise RegistryKeyError(_wrong_key(sealed.key_id)) from None

    def is_sealed(self, sealed: Sealed, secret: Secret) -> bool:
        """Whether this is the secret that was sealed, found without opening it."""
        key = self._keys.get(sealed.key_id)
        if key is None:
            raise RegistryKeyError(_wrong_key(sealed.key_id))
        salt = sealed.fingerprint[:16]
        return hmac.compare_digest(key.fingerprint(secret, salt), sealed.fingerprint)

    def file_fingerprint(self, path: str, content: Secret) -> tuple[str, str]:
        """The id of the first key, and what it makes of a file's path and content."""
        return self._first.id, self._first.file_fingerprint(path, content, os.urandom(8).hex())

    def is_file(self, path: str, content: Secret, key_id: str, fingerprint: str) -> bool:
        """Whether the fingerprint is of just this path and content; False where its key is not among these."""
        key = self._keys.get(key_id)
        if key is None:
            return False
        return hmac.compare_digest(key.file_fingerprint(path, content, fingerprint[:16]), fingerprint)

    def _cipher(self) -> Any:
        if self._fernet is None:
            fernet = _library()
            self._fernet = fernet.MultiFernet([fernet.Fernet(key.text) for key in self._keys.values()])
        return self._fernet


def _library() -> Any:
    try:
        from cryptography import fernet
    except ImportError as missing:
        raise MissingLibrary("cryptography", "to seal secrets", str(missing)) from None
    return fernet


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
        _library()

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
    return KeyRing([_Key(part) for part in parts])


def _malformed(source: str) -> str:
    return (
        f"{source} must hold one or more Fernet keys (32 bytes in URL-safe base64), separated by commas or line breaks."
    )


def _wrong_key(key_id: str) -> str:
    return (
        f"The registry holds secrets that are sealed with key {key_id}, which is not among the keys given in"
        " registry_key or registry_key_file."
    )
