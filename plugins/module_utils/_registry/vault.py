# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""How stored secrets are treated, wherever a registry keeps them.

A secret is bound to its registry, connector, field and destination. What is not as it was sealed, because a token was
moved or a row was edited, is foreign: it is not opened, and counts as not stored. Only its key can tell, so without the
key it counts as stored.

What an earlier release has sealed, in the old form, is bound to nothing and has to be trusted once: the first task that
writes and has its key seals it anew. With the first secret in the new form each key leaves a mark in the registry that
says under which other keys there may still be secrets in the old form; elsewhere that form is refused from then on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

from .._connector.secret import Secret
from .._connector.secret_destinations import destination_digest
from .._connector.state import Connector
from .._errors import ForeignSecret, MissingLibrary, RegistryKeyError
from .key_source import KeySource
from .sealing import OLD_FORM, Binding, KeyRing, Mark, NotOpened, Sealed

_KEY_ID = re.compile(r"[0-9a-f]{16}\Z")


class StoredSecret(NamedTuple):
    """A sealed secret with the connector that it was found at."""

    connector: Connector
    field: str
    sealed: Sealed

    def __str__(self) -> str:
        return f"connector {self.connector.name}: {self.field}"


class Holdings(NamedTuple):
    """What a registry says of its secrets when a transaction begins."""

    registry: str
    keys_in_new_form: frozenset[str] = frozenset()
    """The keys of secrets in the new form; needed only where there are others in the old one."""
    marks: Mapping[str, Mark] = MappingProxyType({})
    """By the id of the key that made them."""


class Vault:
    """The secrets of one transaction, with the keys that are there for it."""

    def __init__(self, keys: KeySource, holdings: Holdings) -> None:
        self._keys = keys
        self._holdings = holdings
        self._ring: KeyRing | None = None

    def ring(self) -> KeyRing | None:
        """The keys, or None where there are none yet."""
        self._ring = self._ring or self._keys.ring()
        return self._ring

    def rotation(self, used: frozenset[str]) -> Literal["none", "due", "blocked"]:
        """Whether the keys used are to give way to the first: if several are given, one that is missing blocks that."""
        ring = self.ring() if used else None
        if ring is None or used <= {ring.sealing_key_id}:
            return "none"
        if used <= ring.key_ids:
            return "due"
        return "blocked" if len(ring.key_ids) > 1 else "none"

    def check_sealing(self, used: frozenset[str]) -> None:
        """Fail where a new secret could not be sealed."""
        self._ring_beside(used)
        self._keys.check()

    def check_rebinding(self, stored: StoredSecret) -> None:
        """Fail where a stored secret could not be sealed for another destination; in the old form none need be."""
        if stored.sealed.form == OLD_FORM:
            return
        try:
            self._needed_ring().key_of(stored.sealed)
        except RegistryKeyError as error:
            raise RegistryKeyError(f"{stored}: must be sealed anew, since where it goes changes. {error}") from None
        self._keys.check()

    def check_resealing(self, stored: StoredSecret) -> None:
        """Fail where a stored secret could not be sealed with another key."""
        if self.is_foreign(stored):
            raise _refusal(stored)

    def make_key(self, used: frozenset[str]) -> None:
        """Make the key of a registry whose first secret is about to be sealed, unless there is one."""
        self._ring = self._ring_beside(used) or self._keys.make()

    def seal(self, secret: Secret, binding: Binding) -> Sealed:
        """Seal a secret with the first key, which has been made where there was none."""
        return self._needed_ring().seal(secret, binding)

    def rebound(self, stored: StoredSecret, binding: Binding) -> Sealed | None:
        """A stored secret sealed anew where it is bound to something else, as in the old form nothing is."""
        if stored.sealed.form == OLD_FORM or self._own_binding(stored) == binding:
            return None
        return self.seal(self.open(stored), binding)

    def resealed(self, stored: StoredSecret) -> Sealed | None:
        """A stored secret sealed anew where another key than the first has sealed it."""
        if stored.sealed.key_id == self._needed_ring().sealing_key_id:
            return None
        return self.seal(self.open(stored), self._own_binding(stored))

    def open(self, stored: StoredSecret) -> Secret:
        """The secret, if it is what it was sealed as."""
        ring = self._needed_ring()
        try:
            if stored.sealed.form == OLD_FORM and self._takes_old_form(stored.sealed.key_id, ring):
                return ring.open_old(stored.sealed)
            return ring.open(stored.sealed, self._own_binding(stored))
        except NotOpened:
            raise _refusal(stored) from None

    def is_same(self, stored: StoredSecret, secret: Secret) -> bool:
        """Whether this very secret is stored; it is not opened."""
        ring, sealed = self._needed_ring(), stored.sealed
        if sealed.form == OLD_FORM:
            return ring.is_old(sealed, secret) and self._takes_old_form(sealed.key_id, ring)
        return ring.is_sealed(sealed, self._own_binding(stored), secret)

    def is_foreign(self, stored: StoredSecret) -> bool:
        """Whether what is stored was sealed as something else, as far as that can be told without the key."""
        ring, sealed = self.ring(), stored.sealed
        if ring is None or sealed.key_id not in ring.key_ids:
            return False
        if sealed.form == OLD_FORM:
            return not self._takes_old_form(sealed.key_id, ring)
        return not ring.is_bound(sealed, self._own_binding(stored))

    def binding(self, identity: str, field: str, connector: Connector) -> Binding:
        """What a connector's secret is bound to; the identity of a connector that is being created is not in it yet."""
        destination = destination_digest(field, connector.effective_settings)
        return Binding(self._holdings.registry, identity, field, destination)

    def has_key(self, stored: StoredSecret) -> bool:
        """Whether the key that sealed this is among those that are there."""
        return stored.sealed.key_id in self._needed_ring().key_ids

    def has_key_of(self, used: frozenset[str]) -> bool:
        """Whether one of the keys that have sealed something is there; what is wrong with the keys is no error here."""
        try:
            ring = self.ring()
        except RegistryKeyError:
            return False
        return ring is not None and bool(used & ring.key_ids)

    def has_library(self) -> bool:
        try:
            self._keys.check()
        except MissingLibrary:
            return False
        return True

    def migrated(self, stored: StoredSecret) -> Sealed | None:
        """A secret in the old form as its key seals it in the new one; None where it cannot be opened."""
        ring = self._needed_ring()
        if stored.sealed.key_id not in ring.key_ids:
            return None
        try:
            return ring.seal(self.open(stored), self._own_binding(stored), stored.sealed.key_id)
        except RegistryKeyError:
            return None

    def new_marks(self, old_form_keys: frozenset[str]) -> dict[str, Mark]:
        """The marks that the keys have yet to leave, where all that can be migrated has been.

        What is left under these keys themselves is damaged or foreign, and nothing to be trusted.
        """
        ring, registry = self._needed_ring(), self._holdings.registry
        others = [str(key_id) for key_id in old_form_keys - ring.key_ids]
        waiting = [each for each in others if _KEY_ID.match(each) and self._takes_old_form(each, ring)]
        marks = ring.marks(registry, " ".join(sorted(waiting)))
        return {key_id: mark for key_id, mark in marks.items() if self._holdings.marks.get(key_id) != mark}

    def _takes_old_form(self, key_id: str, ring: KeyRing) -> bool:
        """Whether secrets in the old form may be right under a key.

        A key that has sealed anything in the new form has left its mark with that: where it is gone, nothing is right.
        """
        marks = ring.own_marks(self._holdings.registry, self._holdings.marks)
        if marks:
            return all(key_id in mark.old_form_keys.split() for mark in marks.values())
        return not ring.key_ids & self._holdings.keys_in_new_form

    def _own_binding(self, stored: StoredSecret) -> Binding:
        return self.binding(stored.connector.identity, stored.field, stored.connector)

    def _ring_beside(self, used: frozenset[str]) -> KeyRing | None:
        """The keys for a new secret: those that sealed what is there, or any where nothing is."""
        ring = self._needed_ring() if used else self.ring()
        if ring and used and not used & ring.key_ids:
            raise RegistryKeyError(
                "None of the keys given in registry_key or registry_key_file has sealed the secrets that the registry"
                " holds."
            )
        return ring

    def _needed_ring(self) -> KeyRing:
        return self.ring() or self._keys.needed()


def _refusal(stored: StoredSecret) -> ForeignSecret:
    message = (
        f"{stored}: what is stored was not sealed for this registry, connector, field and destination, or was changed"
        " from outside: give it again, or clear it."
    )
    return ForeignSecret(message, stored.field)
