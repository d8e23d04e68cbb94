# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Formats a diff of connectors in lines."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.mailroom.core.plugins.module_utils._connector.fields import SECRETS

MAX_LENGTH = 100
SET = "(set)"


def differences(before: Mapping[str, Any], after: Mapping[str, Any], *, details: bool = False) -> list[str]:
    """One line for each connector that is created or deleted, and for each field that differs.

    `details` adds a line for each field of a new connector.
    """
    return [
        *_connectors(before.get("connectors", {}), after.get("connectors", {}), details),
        *_fields("", _only("default", before), _only("default", after)),
        *_fields("purpose ", before.get("purposes", {}), after.get("purposes", {})),
        *(["the registry key: is changed"] if "registry_key" in after else []),
    ]


def _connectors(before: Mapping[str, Any], after: Mapping[str, Any], details: bool) -> Iterator[str]:
    for name in dict.fromkeys([*before, *after]):
        if name not in before:
            yield f"connector {name}: is new"
            if details:
                yield from (
                    f"connector {name}: {path}: {_format_value(value)}"
                    for path, value in _new_fields(after[name]).items()
                )
        elif name not in after:
            yield f"connector {name}: is deleted"
        else:
            yield from _fields(f"connector {name}: ", _flatten(before[name]), _flatten(after[name]))


def _fields(what: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    for name in dict.fromkeys([*before, *after]):
        if before.get(name) != after.get(name):
            yield f"{what}{name}: {_format_value(before.get(name))} -> {_format_value(after.get(name))}"


def _only(name: str, side: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: side[name]} if name in side else {}


def _flatten(connector: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in connector.items():
        if isinstance(value, Mapping):
            flat.update({f"{name}.{inner}": content for inner, content in value.items()})
        else:
            flat[name] = value
    return flat


def _new_fields(connector: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a new connector, whose secrets are shown as set, not as changed."""
    return {path: SET if path in SECRETS else value for path, value in _flatten(connector).items() if path != "name"}


def _format_value(value: Any) -> str:
    if value is None:
        return "(none)"
    text = value if isinstance(value, str) and value.isprintable() else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MAX_LENGTH else f"{text[: MAX_LENGTH - 3]}..."
