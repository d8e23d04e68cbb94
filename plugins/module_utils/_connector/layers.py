# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Layers of declarations, merged by the connectors' names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .._errors import DeclarationError, Problem
from .fields import BY_PATH, SECRETS
from .suggest import did_you_mean, printable_word

Connector = dict[str, Any]


def merge_layers(layers: Mapping[str, Any], *, partial: bool = False) -> list[Connector]:
    """Merge named layers into a list of connectors; a later layer wins.

    `partial` means that the layers only change connectors that are declared elsewhere.
    """
    connectors: dict[str, Connector] = {}
    removed: set[str] = set()
    problems: list[Problem] = []
    for layer, entries in layers.items():
        for name, entry in _entries(layer, entries, problems):
            if entry is None:
                connectors.pop(name, None)
                removed.add(name)
            elif name in connectors or name not in removed or not _has_only_secrets(entry):
                connectors[name] = _overlay(connectors.get(name, {}), entry)
    for name, connector in connectors.items():
        where = f"connector {printable_word(name)}"
        if connector.get("name", name) != name:
            problems.append(Problem(where, "name", "must equal the connector's key, or be left out"))
        if not partial and _has_only_secrets(connector):
            declared = [each for each in connectors if not _has_only_secrets(connectors[each])]
            suggestion = did_you_mean(name, declared) or ": is it declared under another name?"
            problems.append(Problem(where, "", f"only secrets are given for it{suggestion}"))
    if problems:
        raise DeclarationError(problems)
    return [{**connector, "name": name} for name, connector in connectors.items()]


def _entries(layer: str, entries: Any, problems: list[Problem]) -> Iterator[tuple[str, Any]]:
    if entries is None or _is_blank(entries):
        return
    if not isinstance(entries, Mapping):
        problems.append(Problem("", layer, "must be a dictionary of connectors by their names"))
        return
    for name, entry in entries.items():
        if entry is None or isinstance(entry, Mapping):
            yield str(name), entry
        elif not _is_blank(entry):
            message = "must be a dictionary, or null to remove the connector"
            problems.append(Problem(layer, printable_word(str(name)), message))


def _overlay(lower: Mapping[str, Any], upper: Mapping[str, Any], block: str = "") -> dict[str, Any]:
    """Merge two layers: the upper wins, its nulls remove a key, its empty strings are ignored."""
    result = dict(lower)
    for key, value in upper.items():
        path = f"{block}.{key}" if block else str(key)
        if value is None:
            result.pop(key, None)
        elif _is_dictionary(path, value):
            below = result.get(key)
            inner = _overlay(below if isinstance(below, Mapping) else {}, value, path)
            # A dictionary of empty strings only is ignored: as {} it would clear the block.
            if inner or not value:
                result[key] = inner
        elif not _is_blank(value):
            result[key] = value
    return result


def _is_dictionary(path: str, value: Any) -> bool:
    """Whether a value is merged, not replaced: a service account key is a dictionary, but one value."""
    field = BY_PATH.get(path)
    return isinstance(value, Mapping) and field is not None and field.type == "dict"


def _is_blank(value: Any) -> bool:
    return not isinstance(value, (Mapping, list)) and bool(value == "")


def _has_only_secrets(connector: Mapping[str, Any]) -> bool:
    paths: set[str] = set()
    for name, value in connector.items():
        paths |= {f"{name}.{inner}" for inner in value} if _is_dictionary(name, value) else {name}
    paths.discard("name")
    return bool(paths) and paths <= SECRETS
