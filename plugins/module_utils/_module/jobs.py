# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Makes test jobs from connectors, with the secrets for signing in and for redaction."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

from .._check.job import Job
from .._check.result import Depth, reaches
from .._connector.resolved import ResolvedConnector, resolve_connector
from .._connector.secret import Secret
from .._connector.state import Connector, Damage
from .._errors import ForeignSecret, MailroomError, MissingLibrary, RegistryError, RegistryKeyError
from .._registry.registry import Reader
from .._verdict.observation import Observation
from .stored import open_secrets


def stored_job(reader: Reader, connector: Connector, depth: Depth) -> Job:
    """The job for a connector that is stored or about to be stored."""
    if not connector.enabled:
        return disabled_job(connector.name)
    # A test without sign-in only uses the passwords of proxies for mail servers.
    needed = [
        path
        for path in connector.secrets
        if reaches(depth, "login") or (path.endswith("proxy_password") and not path.startswith("oauth2."))
    ]
    try:
        job = make_job(connector, open_secrets(reader, connector, needed))
    except ForeignSecret as foreign:
        return refused_job(connector.name, Observation("stored", text=str(foreign), facts={"field": foreign.field}))
    except MissingLibrary as missing:
        return refused_job(
            connector.name, Observation("not_ready", text=str(missing), facts={"library": missing.library})
        )
    except (RegistryError, RegistryKeyError) as error:
        return refused_job(connector.name, Observation("not_ready", text=str(error)))
    except MailroomError as error:
        return refused_job(connector.name, Observation("config", text=str(error)))
    unused: dict[str, Secret] = {}
    for path in connector.secrets.keys() - needed:
        # Opened where possible, only to redact them from results.
        with suppress(MailroomError):
            unused.update(open_secrets(reader, connector, [path]))
    return replace(job, secrets=(*job.secrets, *unused.values()))


def refused_job(name: str, refused: Observation) -> Job:
    """The job for a connector that cannot be tested, with the reason."""
    return Job(ResolvedConnector(name), refused=refused)


def disabled_job(name: str) -> Job:
    text = "the connector is disabled: set enabled to true"
    return refused_job(name, Observation("config", text=text, facts={"field": "enabled"}))


def damaged_job(damage: Damage) -> Job:
    return refused_job(damage.name, Observation("stored", text=str(damage)))


def make_job(connector: Connector, secrets: Mapping[str, Secret]) -> Job:
    return Job(resolve_connector(connector, secrets), tuple(secrets.values()))
