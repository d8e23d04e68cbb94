# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The content of a registry: stored connectors, the default, and the bindings of purposes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Callable, NamedTuple

from .._errors import Problem
from . import checks
from .effective import Preset, derive_settings
from .fields import Settings
from .secret import Secret, changed_secrets

CONNECTING_FIELDS = ("smtp", "imap", "graph", "oauth2")
UNUSED_FIELDS = {"oauth2": ("client_secret_expires",)}
"""Fields of a block that are used for warnings only."""
SENDING_FIELDS = ("smtp", "graph", "oauth2", "from_address", "from_name", "errors_to")


class Purpose(NamedTuple):
    """What a connector is used for, by all tenants or by one."""

    name: str
    tenant: str = ""

    def __str__(self) -> str:
        return f"{self.name}@{self.tenant}" if self.tenant else self.name


def parse_purpose(name: Any, tenant: Any) -> tuple[Purpose, list[Problem]]:
    problems = checks.run_check(checks.purpose_name, name, "", "purpose")
    if tenant:
        problems += checks.run_check(checks.tenant_name, tenant, "", "tenant")
    return Purpose(name, tenant or ""), problems


class Proof(NamedTuple):
    """A record that mail was sent with the settings of a revision."""

    revision: int
    at: str
    to: str


class Stamp(NamedTuple):
    """When a change was made, and by whom."""

    at: str
    by: str


UNSTAMPED = Stamp("", "")


@dataclass(frozen=True)
class Connector:
    """A stored connector. A secret is the registry's token for it, or a Secret that is still to be sealed."""

    name: str
    settings: Settings
    preset: Preset = field(default_factory=dict)
    secrets: Mapping[str, str | Secret] = field(default_factory=dict)
    revision: int = 0
    sending_revision: int = 0
    created: Stamp = UNSTAMPED
    updated: Stamp = UNSTAMPED
    proof: Proof | None = None
    identity: str = ""
    """A random id, kept when the connector is renamed and never reused."""

    @property
    def enabled(self) -> bool:
        return bool(self.settings.get("enabled", True))

    @property
    def is_proven(self) -> bool:
        """Whether mail was sent with the current sending settings."""
        return self.proof is not None and self.proof.revision >= self.sending_revision

    @cached_property
    def effective_settings(self) -> Mapping[str, Any]:
        """Every field that has a value, declared or derived; cached, so it must not be modified."""
        return derive_settings(self.settings, self.preset, self.secrets, self.name)

    def available_to(self, tenant: str) -> bool:
        tenants = self.settings.get("available_to")
        return not tenants or not tenant or tenant in tenants


def has_same_connection(one: Connector | None, other: Connector, *, sends: bool = False) -> bool:
    """Whether both have the same connection settings and secrets; with `sends`, the same sending settings too."""
    if one is None or not one.enabled or changed_secrets(one.secrets, other.secrets):
        return False
    fields = (*CONNECTING_FIELDS, *(SENDING_FIELDS if sends else ()))
    return all(one.effective_settings.get(name) == other.effective_settings.get(name) for name in fields)


def sending_fingerprint(connector: Connector) -> str:
    """The settings that sending depends on, and their revision, as text."""
    settings = {name: connector.effective_settings.get(name) for name in SENDING_FIELDS}
    return json.dumps([connector.sending_revision, settings], sort_keys=True)


class Damage(NamedTuple):
    """Why a stored connector cannot be read."""

    name: str
    """The name, or a number where the name itself is damaged."""
    is_named: bool
    field: str
    what: str
    enabled: bool = True

    def __str__(self) -> str:
        advice = (
            "delete it (state: absent), or declare it again in full, with its secrets"
            if self.is_named
            else "restore the registry from a backup, or delete it with purge: true"
        )
        return f"connector {self.name} is damaged in the registry: {self.field} {self.what}; {advice}."


@dataclass(frozen=True)
class State:
    """The part of a registry that a task requested."""

    connectors: Mapping[str, Connector] = field(default_factory=dict)
    damaged: Mapping[str, Damage] = field(default_factory=dict)
    """The requested connectors that cannot be read, by name or number."""
    lost: frozenset[Purpose] = frozenset()
    """Purposes that are bound to a connector that does not exist in the registry."""
    default: str | None = None
    bindings: Mapping[Purpose, str] = field(default_factory=dict)
    others_enabled: bool = False
    """Whether there are enabled connectors besides the requested ones."""
    all_names: Callable[[], Iterable[str]] = field(default=tuple, compare=False, repr=False)
    """Loads the names of all connectors, for suggestions."""


class Wanted(NamedTuple):
    """The part of a registry that a task requests. None means all."""

    names: frozenset[str] | None = None
    purposes: frozenset[Purpose] | None = None
