# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Reads connectors by name or purpose, and their secrets, from the registry."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .._connector import checks
from .._connector.resolve import Resolution, candidates, resolve
from .._connector.secret import Secret
from .._connector.state import Connector, Purpose, State, Wanted, parse_purpose
from .._connector.suggest import Suggestions, did_you_mean
from .._errors import DeclarationError, FieldMessage, MissingRegistry, Problem, RegistryError
from .._registry.registry import Reader, Registry
from .shared_options import Written


def listed_names(module: Written) -> list[str] | None:
    """The names in the option connectors; None where it is left out."""
    names: list[str] | None = module.params["connectors"]
    problems = [
        Problem("", "connectors", f"item {position} {problem.message}")
        for position, name in enumerate(names or (), 1)
        for problem in checks.run_check(checks.connector_name, name, "", "connectors")
    ]
    if problems:
        raise DeclarationError(problems)
    return names


def load_connectors(registry: Registry, reader: Reader, names: Sequence[str] | None) -> State:
    """Load the connectors of these names, or all; a missing one is an error, a damaged one is not."""
    state = reader.load(Wanted(None if names is None else frozenset(names)))
    unknown = [name for name in names or () if name not in state.connectors and name not in state.damaged]
    if unknown:
        require_registry(registry)
        missing = "there is no such connector"
        suggestions = Suggestions(state.all_names)
        raise DeclarationError(
            [Problem(f"connector {name}", "", missing + suggestions.did_you_mean(name)) for name in unknown]
        )
    return state


def require_registry(registry: Registry) -> None:
    """Fail where there is no registry, which is read as an empty one."""
    if not registry.exists():
        raise MissingRegistry(f"registry {registry.shown}: there is no registry here yet")


def resolve_purpose(module: Written, reader: Reader, purpose: Purpose) -> tuple[State, Resolution]:
    """The loaded state and the connector for a purpose; warns about a purpose that may be misspelt."""
    bindings = frozenset(candidates(purpose))
    state = reader.load(Wanted(frozenset(), bindings))
    known = [] if bindings & (state.bindings.keys() | state.lost) else reader.purpose_names()
    found = resolve(purpose, state, known)
    if found.by == "default" and purpose.name not in known:
        module.warn(
            f"purpose {purpose}: no connector is bound to it, for any tenant, so the default serves it:"
            f" {found.connector.name}{did_you_mean(purpose.name, known)}"
        )
    return state, found


def open_secrets(reader: Reader, connector: Connector, paths: Iterable[str]) -> dict[str, Secret]:
    """Open the secrets at these paths."""
    found: dict[str, Secret] = {}
    for path in paths:
        secret = connector.secrets[path]
        found[path] = secret if isinstance(secret, Secret) else reader.open_secret(secret)
    return found


def select_connector(module: Written, registry: Registry, reader: Reader) -> tuple[Connector, Purpose | None, bool]:
    """The connector that a task names, the purpose where it names it by that, and whether it is the default."""
    params = module.params
    if params["purpose"]:
        purpose, problems = parse_purpose(params["purpose"], params["tenant"])
        if problems:
            raise DeclarationError(problems)
        try:
            state, resolution = resolve_purpose(module, reader, purpose)
        except DeclarationError:
            require_registry(registry)
            raise
        return resolution.connector, purpose, resolution.connector.name == state.default
    name = params["connector"]
    problems = checks.run_check(checks.connector_name, name, "", "connector")
    if problems:
        raise DeclarationError(problems)
    state = load_connectors(registry, reader, [name])
    if name in state.damaged:
        raise RegistryError(str(state.damaged[name]))
    return state.connectors[name], None, name == state.default


def unsupported_error(connector: Connector, findings: Sequence[FieldMessage]) -> DeclarationError:
    """An option is the task's, every other field the connector's."""
    where = f"connector {connector.name}"
    return DeclarationError(
        [Problem("" if field.startswith("options.") else where, field, what) for field, what in findings]
    )
