# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""What a registry holds and records as a whole, to be compared with another one and copied."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from .._connector.records import ApplicationRecord, Health
from .._connector.secret import Secret
from .._connector.state import Connector, Purpose
from .sealing import is_same_text
from .storage import RevisionRow


class Content(NamedTuple):
    """All that a registry holds, to be compared and copied."""

    registry_id: str
    connectors: tuple[Connector, ...]
    """Without their secrets."""
    default: str | None
    bindings: Mapping[Purpose, str]
    """The names of the connectors."""
    secrets: Mapping[str, Mapping[str, Secret]]
    """Opened, by connector and field."""
    revisions: tuple[RevisionRow, ...]

    def is_same(self, other: Content) -> bool:
        """Whether both hold the same, secrets included, whatever keys they are sealed with."""
        if self._replace(secrets={}) != other._replace(secrets={}) or self.secrets.keys() != other.secrets.keys():
            return False
        return all(
            own.keys() == other.secrets[name].keys()
            and all(is_same_text(secret, other.secrets[name][field]) for field, secret in own.items())
            for name, own in self.secrets.items()
        )


class Records(NamedTuple):
    """What a registry records of the use of its connectors, to be copied; two that differ in it hold the same."""

    files: tuple[tuple[str, str, str], ...]
    """Those of this host that were written: path, key's id and fingerprint."""
    applications: tuple[tuple[ApplicationRecord, Mapping[str, Secret] | None], ...]
    """Each with the secrets that it was given last, as far as they are known."""
    health: Mapping[str, Health]
    """By the names of the connectors."""
