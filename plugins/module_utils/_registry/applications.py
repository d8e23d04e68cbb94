# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Who uses what: the recorded applications of connectors, each with whether it would be given the same again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .._connector.records import ApplicationRecord
from .._connector.resolve import candidates, resolve
from .._connector.state import Connector, Purpose, State, Wanted
from .._errors import DeclarationError, RegistryError
from .registry import Reader


def applications_of(
    reader: Reader, connectors: Mapping[str, Connector], default: str | None
) -> dict[str, list[dict[str, Any]]]:
    """The applications of each of these connectors, which the reader has loaded, as a module returns them."""
    recorded = reader.applications(connectors)
    bound = _bound_connectors(reader, recorded)
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in connectors}
    for application in recorded:
        name = application.connector
        is_bound = application.purpose is None or bound[application.purpose] == name
        is_current = is_bound and reader.is_current(application, connectors[name], is_default=name == default)
        found[name].append(_shown(application, is_current))
    return found


def orphaned_applications(reader: Reader, name: str | None = None) -> list[dict[str, Any]]:
    """The applications that still have the settings of a connector that is deleted, of this name or of any."""
    recorded = reader.applications([name] if name else None)
    there = frozenset(reader.load(Wanted(frozenset())).all_names()) if recorded else frozenset()
    left = [each for each in recorded if each.connector not in there]
    return [{"connector": each.connector, **_shown(each, is_current=False)} for each in left]


def _bound_connectors(reader: Reader, applications: Iterable[ApplicationRecord]) -> dict[Purpose, str | None]:
    """The name of the connector that each purpose stands for now."""
    purposes = {each.purpose for each in applications if each.purpose}
    if not purposes:
        return {}
    bindings = frozenset(binding for purpose in purposes for binding in candidates(purpose))
    state = reader.load(Wanted(frozenset(), bindings))
    return {purpose: _resolved_name(purpose, state) for purpose in purposes}


def _resolved_name(purpose: Purpose, state: State) -> str | None:
    try:
        return resolve(purpose, state).connector.name
    except (DeclarationError, RegistryError):
        return None


def _shown(application: ApplicationRecord, is_current: bool | None) -> dict[str, Any]:
    purpose = application.purpose
    return {
        "app": application.app,
        "host": application.host,
        "place": application.place,
        "purpose": purpose.name if purpose else None,
        "tenant": (purpose.tenant or None) if purpose else None,
        "written_at": application.written.at,
        "written_by": application.written.by,
        "current": is_current,
    }
