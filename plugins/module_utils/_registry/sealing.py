# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The registry's keys: seal secrets, open them, and compare without opening.

A sealed secret is three texts: the id of the key, a keyed fingerprint with a salt of its own, and the
Fernet token. The fingerprint needs nothing but the standard library.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from collections.abc import Sequence
from typing import Any, NamedTuple

from .._connector.secret import Secret
from .._errors import MissingLibrary, RegistryKeyError


class Sealed(NamedTuple):
    """A secret as it is kept."""

    key_id: str
    fingerprint: str
    token: str


class Key:
    """One Fernet key and what is derived from it."""

    def __init__(self, text: str) -> None:
        self.text = text
        raw = base64.urlsafe_b64decode(text)
        self.id = hashlib.sha256(b"mailroom key id" + raw).hexdigest()[:16]
        self._mac = hmac.digest(raw, b"mailroom fingerprint", "sha256")

    def fingerprint(self, secret: Secret, salt: str) -> str:
        return salt + hmac.digest(self._mac, (salt + secret.reveal()).encode(), "sha256").hex()


class KeyRing:
    """One or more keys: the first seals, all open."""

    def __init__(self, keys: Sequence[Key]) -> None:
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

    def _cipher(self) -> Any:
        if self._fernet is None:
            fernet = load_fernet()
            self._fernet = fernet.MultiFernet([fernet.Fernet(key.text) for key in self._keys.values()])
        return self._fernet


def load_fernet() -> Any:
    """The library that seals, or MissingLibrary."""
    try:
        from cryptography import fernet
    except ImportError as missing:
        raise MissingLibrary("cryptography", "to seal secrets", str(missing)) from None
    return fernet


def _wrong_key(key_id: str) -> str:
    return (
        f"The registry holds secrets that are sealed with key {key_id}, which is not among the keys given in"
        " registry_key or registry_key_file."
    )
