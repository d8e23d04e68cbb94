# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The difference between two states of a connector, without the values of secrets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .fields import split_path
from .secret import Secret, is_same
from .state import Connector

STORED, CHANGED = "(stored)", "(changed)"

Flat = dict[str, Any]
Nested = dict[str, Any]


def difference(before: Connector | None, after: Connector | None) -> tuple[Nested, Nested]:
    """The fields that differ, before and after."""
    old, new = _flatten(before), _flatten(after)
    paths = [path for path in {**old, **new} if old.get(path, _ABSENT) != new.get(path, _ABSENT)]
    return _unflatten(paths, old), _unflatten(paths, new)


_ABSENT = object()


def _flatten(connector: Connector | None) -> Flat:
    if connector is None:
        return {}
    flat: Flat = {"name": connector.name}
    for name, value in connector.settings.items():
        if isinstance(value, dict) and name != "headers":
            for inner, content in {**_preset_values(name, value, connector), **value}.items():
                flat[f"{name}.{inner}"] = content
        else:
            flat[name] = value
    for path, secret in connector.secrets.items():
        flat[path] = _ComparableSecret(secret)
    return flat


def _preset_values(block: str, declared: Mapping[str, Any], connector: Connector) -> Mapping[str, Any]:
    """The values of the preset that no declared value overrides."""
    filled = dict(connector.preset.get(block, {}))
    if "uri" in declared:
        return {}
    if "port" in declared or "security" in declared:
        filled.pop("port", None)
        filled.pop("security", None)
    return filled


class _ComparableSecret:
    """A secret that can be compared, but is shown as a placeholder."""

    def __init__(self, secret: str | Secret) -> None:
        self.secret = secret

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ComparableSecret) and is_same(self.secret, other.secret)

    __hash__ = None  # type: ignore[assignment]

    def __str__(self) -> str:
        return CHANGED if isinstance(self.secret, Secret) else STORED


def _unflatten(paths: list[str], flat: Flat) -> Nested:
    result: Nested = {}
    for path in paths:
        if path in flat:
            value = flat[path]
            block, inner = split_path(path)
            target, key = (result.setdefault(block, {}), inner) if inner else (result, block)
            target[key] = str(value) if isinstance(value, _ComparableSecret) else value
    return result
