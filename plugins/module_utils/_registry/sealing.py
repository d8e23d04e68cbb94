# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""What the registry's keys do: seal secrets, open them, and compare without opening.

A secret is kept in one of two forms. In the old one, of release 0.1.0, the registry's key seals the secret alone. In
the new one a key that is derived for it seals a document that says what the secret belongs to, so that neither form
opens as the other. Beside the token stands a keyed fingerprint of the secret with a salt of its own and, in the new
form, a MAC of all that is kept and what it belongs to. Both need nothing but the standard library.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from .._connector.secret import Secret
from .._errors import MissingLibrary, RegistryKeyError

OLD_FORM, FORM = 1, 2


class Binding(NamedTuple):
    """What a sealed secret belongs to."""

    registry: str
    connector: str
    field: str
    destination: str


class Sealed(NamedTuple):
    """A secret as it is kept."""

    key_id: str
    fingerprint: str
    token: str
    form: int = OLD_FORM
    mac: str = ""


class Mark(NamedTuple):
    """One key's word that a registry holds secrets in the old form under these keys only."""

    old_form_keys: str
    mac: str


class NotOpened(Exception):
    """A token is damaged, or is not what it was taken for."""


class Key:
    """One Fernet key and what is derived from it, each for one use."""

    def __init__(self, text: str) -> None:
        raw = base64.urlsafe_b64decode(text)
        self.id = hashlib.sha256(b"mailroom key id" + raw).hexdigest()[:16]
        self.old_sealing_key = text
        self.sealing_key = base64.urlsafe_b64encode(_derived(raw, "sealing 2"))
        self._old_comparing = _derived(raw, "fingerprint")
        self._comparing = _derived(raw, "fingerprint 2")
        self._binding = _derived(raw, "binding 2")
        self._marking = _derived(raw, "mark 2")
        self._files = _derived(raw, "written file")
        self._applications = _derived(raw, "application")

    def old_fingerprint(self, secret: Secret, salt: str) -> str:
        return salt + hmac.digest(self._old_comparing, (salt + secret.reveal()).encode(), "sha256").hex()

    def fingerprint(self, secret: Secret, binding: Binding, salt: str) -> str:
        return salt + _mac(self._comparing, *binding, salt, secret.reveal())

    def mac(self, sealed: Sealed, binding: Binding) -> str:
        return _mac(self._binding, *binding, sealed.key_id, sealed.fingerprint, sealed.token, sealed.form)

    def mark(self, registry: str, old_form_keys: str) -> Mark:
        return Mark(old_form_keys, _mac(self._marking, registry, old_form_keys))

    def file_fingerprint(self, path: str, content: Secret, salt: str) -> str:
        return salt + _mac(self._files, salt, path, content.reveal())

    def application_fingerprint(self, content: Sequence[str], secrets: Mapping[str, Secret], salt: str) -> str:
        revealed = [text for path in sorted(secrets) for text in (path, secrets[path].reveal())]
        return salt + _mac(self._applications, salt, *content, *revealed)


def _derived(raw: bytes, purpose: str) -> bytes:
    return hmac.digest(raw, f"mailroom {purpose}".encode("ascii"), "sha256")


def _mac(key: bytes, *parts: str | int) -> str:
    return hmac.digest(key, json.dumps(parts).encode("ascii"), "sha256").hex()


class KeyRing:
    """One or more keys: the first seals, all open."""

    def __init__(self, keys: Sequence[Key]) -> None:
        self._keys = {key.id: key for key in keys}
        self._first = keys[0]
        self._ciphers: dict[tuple[str, int], Any] = {}

    @property
    def key_ids(self) -> frozenset[str]:
        return frozenset(self._keys)

    @property
    def sealing_key_id(self) -> str:
        return self._first.id

    def seal(self, secret: Secret, binding: Binding, key_id: str = "") -> Sealed:
        """Seal with the first key, or with another one of these."""
        key = self._keys[key_id] if key_id else self._first
        document = json.dumps({**binding._asdict(), "secret": secret.reveal()})
        token = self._cipher(key, FORM).encrypt(document.encode("ascii")).decode("ascii")
        sealed = Sealed(key.id, key.fingerprint(secret, binding, _salt()), token, FORM)
        return sealed._replace(mac=key.mac(sealed, binding))

    def open(self, sealed: Sealed, binding: Binding) -> Secret:
        """The secret, or NotOpened where this binding is not the one that it was sealed with."""
        key = self.key_of(sealed)
        if not self.is_bound(sealed, binding):
            raise NotOpened
        document = json.loads(self._decrypted(key, sealed))
        secret = Secret(document.pop("secret"))
        if document != binding._asdict():
            raise NotOpened
        return secret

    def open_old(self, sealed: Sealed) -> Secret:
        """The secret in the old form, which is bound to nothing."""
        return Secret(self._decrypted(self.key_of(sealed), sealed).decode())

    def is_bound(self, sealed: Sealed, binding: Binding) -> bool:
        """Whether all that is kept of a secret, its form too, was made for this binding, found without opening it."""
        expected = self.key_of(sealed).mac(sealed, binding)
        return hmac.compare_digest(expected.encode(), sealed.mac.encode())

    def is_sealed(self, sealed: Sealed, binding: Binding, secret: Secret) -> bool:
        """Whether this is the secret that was sealed with this binding, found without opening it."""
        found = self.key_of(sealed).fingerprint(secret, binding, sealed.fingerprint[:16])
        return self.is_bound(sealed, binding) and hmac.compare_digest(found.encode(), sealed.fingerprint.encode())

    def is_old(self, sealed: Sealed, secret: Secret) -> bool:
        """Whether this is the secret that was sealed in the old form."""
        found = self.key_of(sealed).old_fingerprint(secret, sealed.fingerprint[:16])
        return hmac.compare_digest(found.encode(), sealed.fingerprint.encode())

    def marks(self, registry: str, old_form_keys: str) -> dict[str, Mark]:
        return {key.id: key.mark(registry, old_form_keys) for key in self._keys.values()}

    def own_marks(self, registry: str, marks: Mapping[str, Mark]) -> dict[str, Mark]:
        """Those of the marks that these keys have made for this registry."""
        return {
            key.id: marks[key.id]
            for key in self._keys.values()
            if key.id in marks and key.mark(registry, marks[key.id].old_form_keys) == marks[key.id]
        }

    def file_fingerprint(self, path: str, content: Secret) -> tuple[str, str]:
        """The id of the first key, and what it makes of a file's path and content."""
        return self._first.id, self._first.file_fingerprint(path, content, _salt())

    def is_file(self, path: str, content: Secret, key_id: str, fingerprint: str) -> bool:
        """Whether the fingerprint is of just this path and content; False where its key is not among these."""
        key = self._keys.get(key_id)
        if key is None:
            return False
        found = key.file_fingerprint(path, content, fingerprint[:16])
        return hmac.compare_digest(found.encode(), fingerprint.encode())

    def application_fingerprint(self, content: Sequence[str], secrets: Mapping[str, Secret]) -> tuple[str, str]:
        """The id of the first key, and what it makes of the record of an application and of its secrets."""
        return self._first.id, self._first.application_fingerprint(content, secrets, _salt())

    def is_application(
        self, content: Sequence[str], secrets: Mapping[str, Secret], key_id: str, fingerprint: str
    ) -> bool:
        """Whether the fingerprint is of just this record and these secrets; False where its key is not here."""
        key = self._keys.get(key_id)
        if key is None:
            return False
        found = key.application_fingerprint(content, secrets, fingerprint[:16])
        return hmac.compare_digest(found.encode(), fingerprint.encode())

    def key_of(self, sealed: Sealed) -> Key:
        """The key that a secret is sealed with, or RegistryKeyError where it is not among these."""
        key = self._keys.get(sealed.key_id)
        if key is None:
            raise RegistryKeyError(
                f"The registry holds secrets that are sealed with key {sealed.key_id}, which is not among the keys"
                " given in registry_key or registry_key_file."
            )
        return key

    def _decrypted(self, key: Key, sealed: Sealed) -> bytes:
        cipher = self._cipher(key, sealed.form)
        from cryptography.fernet import InvalidToken

        try:
            return bytes(cipher.decrypt(sealed.token.encode()))
        except InvalidToken:
            raise NotOpened from None

    def _cipher(self, key: Key, form: int) -> Any:
        if (key.id, form) not in self._ciphers:
            text = key.old_sealing_key if form == OLD_FORM else key.sealing_key
            self._ciphers[key.id, form] = load_fernet().Fernet(text)
        return self._ciphers[key.id, form]


def is_same_text(one: Secret, other: Secret) -> bool:
    """Whether two secrets that are open are the same."""
    return hmac.compare_digest(one.reveal().encode(), other.reveal().encode())


def _salt() -> str:
    return os.urandom(8).hex()


def load_fernet() -> Any:
    """The library that seals, or MissingLibrary."""
    try:
        from cryptography import fernet
    except ImportError as missing:
        raise MissingLibrary("cryptography", "to seal secrets", str(missing)) from None
    return fernet
