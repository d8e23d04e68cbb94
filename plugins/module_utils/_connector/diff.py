# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""What differs between two states of a connector, without ever showing a secret."""

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
    """The fields that differ, as they were and as they will be."""
    old, new = _flat(before), _flat(after)
    paths = [path for path in {**old, **new} if old.get(path, _ABSENT) != new.get(path, _ABSENT)]
    return _nested(paths, old), _nested(paths, new)


_ABSENT = object()


def _flat(connector: Connector | None) -> Flat:
    if connector is None:
        return {}
    flat: Flat = {"name": connector.name}
    for name, value in connector.settings.items():
        if isinstance(value, dict) and name != "headers":
            for inner, content in {**_from_preset(name, value, connector), **value}.items():
                flat[f"{name}.{inner}"] = content
        else:
            flat[name] = value
    for path, secret in connector.secrets.items():
        flat[path] = _Hidden(secret)
    return flat


def _from_preset(block: str, declared: Mapping[str, Any], connector: Connector) -> Mapping[str, Any]:
    """What the preset fills, as far as nothing explicit wins over it."""
    filled = dict(connector.preset.get(block, {}))
    if "uri" in declared:
        return {}
    if "port" in declared or "security" in declared:
        filled.pop("port", None)
        filled.pop("security", None)
    return filled


class _Hidden:
    """A secret in a comparison."""

    def __init__(self, secret: str | Secret) -> None:
        self.secret = secret

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Hidden) and is_same(self.secret, other.secret)

    __hash__ = None  # type: ignore[assignment]

    def __str__(self) -> str:
        return CHANGED if isinstance(self.secret, Secret) else STORED


def _nested(paths: list[str], flat: Flat) -> Nested:
    result: Nested = {}
    for path in paths:
        if path in flat:
            value = flat[path]
            block, inner = split_path(path)
            target, key = (result.setdefault(block, {}), inner) if inner else (result, block)
            target[key] = str(value) if isinstance(value, _Hidden) else value
    return result
