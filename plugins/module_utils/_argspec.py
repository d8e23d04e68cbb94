# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Argument specs that can be merged, and those of a connector's fields."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ._connector.fields import FIELDS, Field

Options = dict[str, dict[str, Any]]

UPDATE_PASSWORD: Options = {
    "update_password": {"type": "str", "choices": ["always", "on_create"], "default": "always", "no_log": False}
}

VERIFY: Options = {
    "verify": {"type": "str", "choices": ["none", "connect", "login", "send"], "default": "none"},
    "record": {"type": "bool", "default": False},
    "host": {"type": "str"},
}
"""Tests before a change, and whether the registry keeps their outcome, and under which host."""


class ArgumentSpec:
    """The argument spec of a module."""

    def __init__(self, options: Options, *, declares: Iterable[str] = (), **conditions: Any) -> None:
        self.options = options
        self.declares = frozenset(declares)
        """The options that hold connectors, or parts of one."""
        self.conditions = conditions

    def merge(self, *others: ArgumentSpec) -> ArgumentSpec:
        """Merge this spec with others."""
        options, declares, conditions = dict(self.options), self.declares, dict(self.conditions)
        for other in others:
            options.update(other.options)
            declares |= other.declares
            for condition, groups in other.conditions.items():
                own = conditions.get(condition)
                if own:
                    conditions[condition] = {**own, **groups} if isinstance(own, dict) else [*own, *groups]
                else:
                    conditions[condition] = groups
        return ArgumentSpec(options, declares=declares, **conditions)

    def to_kwargs(self) -> dict[str, Any]:
        """The keyword arguments for AnsibleModule."""
        return {"argument_spec": self.options, **self.conditions}


def connector_fields() -> ArgumentSpec:
    """The fields of a connector besides its name, as options of the module."""
    return ArgumentSpec(_options(FIELDS), declares=[field.name for field in FIELDS])


def connector_list() -> ArgumentSpec:
    """A list of whole connectors."""
    entry = {"name": {"type": "str", "required": True}, **_options(FIELDS)}
    option = {"type": "list", "elements": "dict", "options": entry, "required": True}
    return ArgumentSpec({"connectors": option}, declares=["connectors"])


def reduce_option(option: Mapping[str, Any], values: Iterable[Any]) -> Mapping[str, Any]:
    """An option without the suboptions that none of its values gives, since looking up each of them takes long."""
    entries = [entry for value in values for entry in (value if isinstance(value, list) else [value])]
    given = [entry for entry in entries if entry is not None]
    if "options" not in option or not all(isinstance(entry, dict) for entry in given):
        return option
    kept = {}
    for name, inner in option["options"].items():
        contents = [entry[name] for entry in given if name in entry]
        if contents or inner.get("required"):
            kept[name] = reduce_option(inner, contents)
    return {**option, "options": kept}


def connector_declaration() -> ArgumentSpec:
    """A connector that is declared inline, for this task alone."""
    fields = {"name": {"type": "str"}, **_options(FIELDS)}
    return ArgumentSpec({"declaration": {"type": "dict", "options": fields}}, declares=["declaration"])


def _options(fields: Iterable[Field]) -> Options:
    return {field.name: _option(field) for field in fields}


def _option(field: Field) -> dict[str, Any]:
    """The option for a field, without a default or choices: omitted fields must stay distinguishable, and checks of
    fields include their choices."""
    option: dict[str, Any] = {"type": field.type}
    if field.elements:
        option["elements"] = field.elements
    if field.fields:
        option["options"] = _options(field.fields)
    if field.secret or field.name in _NOT_SECRET:
        option["no_log"] = field.secret
    return option


_NOT_SECRET = ("client_key", "token_url", "client_secret_expires")
