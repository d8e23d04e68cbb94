# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""What a registry knows: connectors as they are kept, the default, and who uses which."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Callable, NamedTuple

from .._errors import Problem
from . import checks
from .declaration import Settings
from .effective import Preset, effective
from .secret import Secret, changed_secrets

CONNECTING_FIELDS = ("smtp", "imap", "graph", "oauth2")
UNUSED_FIELDS = {"oauth2": ("client_secret_expires",)}
"""What a block holds that nothing is done with but to warn."""
SENDING_FIELDS = ("smtp", "graph", "oauth2", "from_address", "from_name", "errors_to")


class Purpose(NamedTuple):
    """What a connector is used for, by everybody or by one tenant."""

    name: str
    tenant: str = ""

    def __str__(self) -> str:
        return f"{self.name}@{self.tenant}" if self.tenant else self.name


def read_purpose(name: Any, tenant: Any) -> tuple[Purpose, list[Problem]]:
    problems = checks.complaint(checks.purpose_name, name, "", "purpose")
    if tenant:
        problems += checks.complaint(checks.tenant_name, tenant, "", "tenant")
    return Purpose(name, tenant or ""), problems


class Proof(NamedTuple):
    """That mail was sent with the settings of a revision."""

    revision: int
    at: str
    to: str


@dataclass(frozen=True)
class Stamp:
    """When and by whom."""

    at: str
    by: str


@dataclass(frozen=True)
class Connector:
    """A connector as it is kept. A secret is the registry's token for it, or a Secret that is to be sealed."""

    name: str
    settings: Settings
    preset: Preset = field(default_factory=dict)
    secrets: Mapping[str, str | Secret] = field(default_factory=dict)
    revision: int = 0
    sending_revision: int = 0
    created: Stamp = Stamp("", "")
    updated: Stamp = Stamp("", "")
    proof: Proof | None = None
    identity: str = ""
    """Tells a stored connector from every other one, whatever its name; never used again."""

    @property
    def enabled(self) -> bool:
        return bool(self.settings.get("enabled", True))

    @property
    def is_proven(self) -> bool:
        """Whether mail was sent with the settings that it sends with now."""
        return self.proof is not None and self.proof.revision >= self.sending_revision

    @cached_property
    def resolved_settings(self) -> Mapping[str, Any]:
        """Every field that has a value, declared or derived; made once, so nobody may change it."""
        return effective(self.settings, self.preset, self.secrets, self.name)

    def available_to(self, tenant: str) -> bool:
        tenants = self.settings.get("available_to")
        return not tenants or not tenant or tenant in tenants


def connects_alike(one: Connector | None, other: Connector, *, sends: bool = False) -> bool:
    """Whether both connect, and send if need be, in the same way and with the same secrets."""
    if one is None or not one.enabled or changed_secrets(one.secrets, other.secrets):
        return False
    fields = (*CONNECTING_FIELDS, *(SENDING_FIELDS if sends else ()))
    return all(one.resolved_settings.get(name) == other.resolved_settings.get(name) for name in fields)


def sending_fingerprint(connector: Connector) -> str:
    """What a mail proves: the settings that sending depends on, and how often they have changed."""
    settings = {name: connector.resolved_settings.get(name) for name in SENDING_FIELDS}
    return json.dumps([connector.sending_revision, settings], sort_keys=True)


@dataclass(frozen=True)
class Damage:
    """Why a stored connector cannot be read: it was damaged, or changed from outside."""

    name: str
    """Its name, or a number in place of one that is damaged."""
    is_named: bool
    field: str
    what: str
    enabled: bool = True

    def __str__(self) -> str:
        way = (
            "delete it (state: absent), or declare it anew in full, with its secrets"
            if self.is_named
            else "put back a copy of the registry, or have it deleted with purge: true"
        )
        return f"connector {self.name} is damaged in the registry: {self.field} {self.what}; {way}."


@dataclass(frozen=True)
class State:
    """The part of a registry that a task asked for."""

    connectors: Mapping[str, Connector] = field(default_factory=dict)
    damaged: Mapping[str, Damage] = field(default_factory=dict)
    """What cannot be read of the connectors that were asked for, by the name that is shown."""
    lost: frozenset[Purpose] = frozenset()
    """Purposes that are bound to a connector which the registry does not hold."""
    default: str | None = None
    bindings: Mapping[Purpose, str] = field(default_factory=dict)
    others_enabled: bool = False
    """Whether there are enabled connectors besides those asked for."""
    all_names: Callable[[], Iterable[str]] = field(default=tuple, compare=False, repr=False)
    """Looks up the names of all connectors, to suggest one in place of a misspelt one."""


@dataclass(frozen=True)
class Wanted:
    """What a task needs to know. None stands for all."""

    names: frozenset[str] | None = None
    purposes: frozenset[Purpose] | None = None
