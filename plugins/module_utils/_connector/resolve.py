# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Resolves a purpose to a connector."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal, NamedTuple

from .._errors import DeclarationError, Problem, RegistryError
from .state import Connector, Purpose, State
from .suggest import did_you_mean


class Resolution(NamedTuple):
    """The connector for a purpose, and how it was found."""

    connector: Connector
    by: Literal["tenant_purpose", "purpose", "default"]


def candidates(purpose: Purpose) -> tuple[Purpose, ...]:
    """The bindings that apply to a purpose, the most specific first."""
    return (purpose, Purpose(purpose.name)) if purpose.tenant else (purpose,)


def resolve(purpose: Purpose, state: State, known: Collection[str] = ()) -> Resolution:
    """The connector bound to a purpose, else the default; a tenant it is not available to is refused.

    `known` are all purposes that are bound, for suggestions.
    """
    where = f"purpose {purpose}"
    binding = next((each for each in candidates(purpose) if each in state.bindings or each in state.lost), None)
    if binding in state.lost:
        raise RegistryError(f"{where} is bound to a connector that does not exist in the registry: bind it again.")
    bound = state.bindings[binding] if binding else state.default
    if bound is None:
        hint = "" if purpose.name in known else did_you_mean(purpose.name, known)
        raise DeclarationError([Problem(where, "", f"no connector is bound to it and there is no default{hint}")])
    if bound in state.damaged:
        raise RegistryError(str(state.damaged[bound]))
    connector = state.connectors[bound]
    if not connector.available_to(purpose.tenant):
        raise DeclarationError([Problem(where, "tenant", f"connector {bound} is not available to this tenant")])
    if binding is None:
        return Resolution(connector, "default")
    return Resolution(connector, "tenant_purpose" if binding.tenant else "purpose")
