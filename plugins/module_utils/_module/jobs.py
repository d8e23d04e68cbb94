# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""From connectors to what is tested of them, with the secrets that the test needs and no others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from .._connector.secret import Secret
from .._connector.state import Connector, State, Wanted
from .._errors import DeclarationError, MailroomError, MissingLibrary, Problem, RegistryError, RegistryKeyError
from .._probe.job import Job
from .._probe.result import reaches
from .._registry.interface import Reader, Registry
from .._verdict.observed import Signal


def load_named(registry: Registry, reader: Reader, names: Sequence[str] | None) -> State:
    """The connectors of these names, or all; one that does not exist is an error."""
    state = reader.load(Wanted(None if names is None else frozenset(names)))
    unknown = [name for name in names or () if name not in state.connectors]
    if unknown:
        missing = "there is no such connector" + ("" if registry.exists() else ": there is no registry here yet")
        raise DeclarationError([Problem(f"connector {name}", "", missing) for name in unknown])
    return state


def stored_job(reader: Reader, connector: Connector, depth: str) -> Job:
    """A connector as it is kept, or as it is about to be."""
    if not connector.enabled:
        return Job(
            connector.name, refused=Signal("config", text="the connector is disabled", facts={"field": "enabled"})
        )
    try:
        return job_of(connector, open_secrets(reader, connector, _needed(connector.secrets, depth)))
    except (MissingLibrary, RegistryError, RegistryKeyError) as error:
        return Job(connector.name, refused=Signal("not_ready", text=str(error)))
    except MailroomError as error:
        return Job(connector.name, refused=Signal("config", text=str(error)))


def job_of(connector: Connector, secrets: Mapping[str, Secret]) -> Job:
    return Job(connector.name, connector.effective(), dict(secrets))


def open_secrets(reader: Reader, connector: Connector, paths: Iterable[str]) -> dict[str, Secret]:
    """The secrets at these paths, and no others."""
    found: dict[str, Secret] = {}
    for path in paths:
        secret = connector.secrets[path]
        found[path] = secret if isinstance(secret, Secret) else reader.open_secret(secret)
    return found


def _needed(paths: Iterable[str], depth: str) -> Iterator[str]:
    """The secrets that a test of this depth uses."""
    for path in paths:
        if reaches(depth, "login") or (path.endswith("proxy_password") and not path.startswith("oauth2.")):
            yield path
