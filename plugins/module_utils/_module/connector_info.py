# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The body of the module connector_info: returns connectors from the registry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from .._argspec import ArgumentSpec
from .._connector.records import Health
from .._connector.state import Connector, Purpose, State, Wanted, parse_purpose
from .._connector.view import views
from .._errors import DeclarationError, RegistryError, RegistryKeyError
from .._registry.applications import applications_of, orphaned_applications
from .._registry.registry import Reader
from .shared_options import Written, open_registry, registry_options
from .task import Task, run


def argument_spec() -> ArgumentSpec:
    options = ArgumentSpec(
        {
            "name": {"type": "str"},
            "purpose": {"type": "str"},
            "tenant": {"type": "str"},
            "history": {"type": "bool", "default": False},
        },
        mutually_exclusive=[("name", "purpose")],
        required_by={"tenant": ("purpose",)},
    )
    return options.merge(registry_options())


def run_module() -> None:
    run(Task(argument_spec()), read_connectors)


def read_connectors(module: Written) -> dict[str, Any]:
    """The connectors of a name, of a purpose, or all."""
    purpose: Purpose | None = None
    if module.params["purpose"]:
        purpose, problems = parse_purpose(module.params["purpose"], module.params["tenant"])
        if problems:
            raise DeclarationError(problems)
    registry = open_registry(module)
    if not registry.exists():
        module.warn(f"There is no registry {registry.shown} yet, so there are no connectors.")
    with registry.reading() as reader:
        state, found, resolved_by = _find_connectors(module, reader, purpose)
        own = {each.name: _drop_foreign_secrets(module, reader, each) for each in found}
        state = replace(state, connectors={**state.connectors, **own})
        applications = applications_of(reader, own, state.default)
        healths = reader.health(list(own))
        connectors = [
            {
                **entry,
                **resolved_by,
                "applications": applications[entry["name"]],
                "health": _health(healths.get(entry["name"])),
            }
            for entry in views(list(own), state)
        ]
        orphaned = [] if purpose else orphaned_applications(reader, module.params["name"])
        if module.params["history"]:
            revisions = reader.history(found)
            for entry in connectors:
                entry["history"] = revisions[entry["name"]]
            if module.params["name"] and not found:
                connectors = [
                    {"name": module.params["name"], "deleted": True, "history": each}
                    for each in reader.history_of_deleted(module.params["name"])
                ]
    for warning in _damage_warnings(state, connectors):
        module.warn(warning)
    return {
        "changed": False,
        "connectors": connectors,
        **({"orphaned_applications": orphaned} if orphaned else {}),
    }


def _health(health: Health | None) -> dict[str, Any] | None:
    """How a connector fared in the tests that were recorded; None where none was."""
    if health is None:
        return None
    shown = {**health._asdict(), "runs": [run._asdict() for run in health.runs]}
    return {**shown, "last_ok_at": health.last_ok_at or None, "expires": health.expires or None}


def _drop_foreign_secrets(module: Written, reader: Reader, connector: Connector) -> Connector:
    """The connector without foreign secrets, which count as not stored. Detecting them requires the key."""
    try:
        foreign = [path for path, token in connector.secrets.items() if reader.is_foreign(str(token))]
    except RegistryKeyError:
        return connector
    for path in foreign:
        module.warn(
            f"connector {connector.name}: {path}: what is stored was not sealed for this connector and its destination,"
            " or was changed from outside, so it counts as not stored: give it again."
        )
    own = {path: token for path, token in connector.secrets.items() if path not in foreign}
    return replace(connector, secrets=own) if foreign else connector


def _find_connectors(
    module: Written, reader: Reader, purpose: Purpose | None
) -> tuple[State, list[Connector], dict[str, str]]:
    """The loaded state, the requested connectors, and with a purpose how it was resolved."""
    if purpose:
        from .stored import resolve_purpose

        state, resolution = resolve_purpose(module, reader, purpose)
        return state, [resolution.connector], {"resolved_by": resolution.by}
    name = module.params["name"]
    state = reader.load(Wanted(frozenset([name]) if name else None))
    if name and name in state.damaged:
        raise RegistryError(str(state.damaged[name]))
    names = [name] if name else sorted(state.connectors)
    return state, [state.connectors[each] for each in names if each in state.connectors], {}


def _damage_warnings(state: State, connectors: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Warnings about data that cannot be read."""
    yield from map(str, state.damaged.values())
    for purpose in sorted(state.lost):
        yield f"purpose {purpose} is bound to a connector that does not exist in the registry: bind it again."
    for connector in connectors:
        damaged = [str(entry["revision"]) for entry in connector.get("history", ()) if entry["after"] is None]
        if damaged:
            yield f"connector {connector['name']}: its history is damaged at revision {', '.join(damaged)}."
