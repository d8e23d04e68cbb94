# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Serializes a connector for results: every field, derived ones included, without secrets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .effective import connector_type, with_test_address
from .fields import FIELDS
from .state import Connector, State

_EMPTY: dict[str, Any] = {"list": [], "dict": {}}


def view(connector: Connector, state: State) -> dict[str, Any]:
    """The connector as a module returns it."""
    effective = with_test_address(connector.effective_settings)
    result: dict[str, Any] = {"name": connector.name, "type": connector_type(connector.settings)}
    for field in FIELDS:
        empty = None if field.fields else _EMPTY.get(field.type)
        result[field.name] = effective.get(field.name, empty)
    result["secrets"] = sorted(connector.secrets)
    result["is_default"] = state.default == connector.name
    result["purposes"] = sorted(str(purpose) for purpose, name in state.bindings.items() if name == connector.name)
    result["revision"] = connector.revision
    result["created_at"], result["created_by"] = connector.created.at, connector.created.by
    result["updated_at"], result["updated_by"] = connector.updated.at, connector.updated.by
    proof = connector.proof
    result["init_mail"] = {
        "sent_at": proof.at if proof else None,
        "sent_to": proof.to if proof else None,
        "due": connector.enabled and can_send(connector.settings) and not connector.is_proven,
    }
    return result


def views(names: Iterable[str], state: State) -> list[dict[str, Any]]:
    """Many connectors as a module returns them; the purposes are grouped only once."""
    by_name: dict[str, dict[Any, str]] = {}
    for purpose, name in state.bindings.items():
        by_name.setdefault(name, {})[purpose] = name
    return [
        view(state.connectors[name], State(default=state.default, bindings=by_name.get(name, {}))) for name in names
    ]


def can_read(settings: Mapping[str, Any]) -> bool:
    return "imap" in settings or "graph" in settings


def can_send(settings: Mapping[str, Any]) -> bool:
    return "smtp" in settings or "graph" in settings
