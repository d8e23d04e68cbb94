# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright the mailroom.core contributors
"""The tenant that the suite is run against, as environment variables describe it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MODULE = "ansible_collections.mailroom.core.plugins.modules.connector_test"
PREFIX = "MAILROOM_LIVE_"
REQUIRED = ("TENANT_ID", "CLIENT_ID", "CLIENT_SECRET", "MAILBOX")
PROTOCOLS = ("graph", "smtp", "imap")
LONGEST = 120


class NotDescribed(Exception):
    """The environment does not say which tenant, or not in a way that can be used."""


@dataclass(frozen=True)
class Tenant:
    """A tenant with an application and a mailbox in it."""

    mailbox: str
    protocols: tuple[str, ...]
    sends: bool
    oauth2: Mapping[str, str]
    graph: Mapping[str, str]
    server: Mapping[str, str]
    secret: str = field(repr=False)

    def declaration(self, protocol: str, **changes: str) -> dict[str, Any]:
        """A connector that signs in to one service; `changes` are to the application, or to the mailbox."""
        mailbox = changes.pop("mailbox", self.mailbox)
        oauth2 = {**self.oauth2, "client_secret": self.secret, **changes}
        if protocol == "graph":
            block = {"mailbox": mailbox, **self.graph}
        else:
            block = {"auth": "oauth2", "username": mailbox, **self.server}
        return {"provider": "microsoft365", "from_address": mailbox, protocol: block, "oauth2": oauth2}

    def test(self, protocol: str, depth: str = "login", **changes: str) -> dict[str, Any]:
        """What connector_test finds out, run as Ansible does."""
        return self.result({"declaration": self.declaration(protocol, **changes), "depth": depth, "fail": False})

    def result(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """The only result of a task. What the module prints is not repeated where it holds the secret."""
        done = subprocess.run(
            [sys.executable, "-m", MODULE],
            input=json.dumps({"ANSIBLE_MODULE_ARGS": dict(options)}),
            env={**os.environ, "PYTHONPATH": os.environ["ANSIBLE_COLLECTIONS_PATH"]},
            capture_output=True,
            text=True,
            timeout=LONGEST,
            check=False,
        )
        try:
            answer = json.loads(done.stdout)
        except ValueError:
            raise AssertionError("the module printed no JSON") from None
        # Since 2.22 a module tells Ansible in this field, which goes no further, what to hide.
        answer.pop("_ansible_new_secrets", None)
        if self.secret in json.dumps(answer) + done.stderr:
            raise AssertionError("the module printed the client secret")
        if "results" not in answer:
            raise AssertionError(answer["msg"])
        (result,) = answer["results"]
        return dict(result)


def described(environment: Mapping[str, str]) -> Tenant:
    """The tenant of an environment."""
    given = {
        name.removeprefix(PREFIX): value.strip()
        for name, value in environment.items()
        if name.startswith(PREFIX) and value.strip()
    }
    missing = [PREFIX + name for name in REQUIRED if name not in given]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        raise NotDescribed(
            f"This suite signs in to a real tenant: {', '.join(missing)} {verb} not set"
            " (docs/docsite/rst/signing_in.rst says what to set)."
        )
    protocols = tuple(given.get("PROTOCOLS", "graph").replace(",", " ").split())
    if unknown := [each for each in protocols if each not in PROTOCOLS]:
        raise NotDescribed(f"{PREFIX}PROTOCOLS may name {', '.join(PROTOCOLS)}, and not {', '.join(unknown)}.")
    trust = _some(given, ca_file="CA_FILE")
    return Tenant(
        mailbox=given["MAILBOX"],
        protocols=protocols,
        sends=given.get("SEND") == "1",
        oauth2={
            "cloud": given.get("CLOUD", "global"),
            **_some(given, tenant_id="TENANT_ID", client_id="CLIENT_ID", authority="AUTHORITY", scope="SCOPE"),
            **trust,
        },
        graph={**_some(given, url="GRAPH_URL"), **trust},
        server=trust,
        secret=given["CLIENT_SECRET"],
    )


def _some(given: Mapping[str, str], **names: str) -> dict[str, str]:
    """The fields whose variables are set."""
    return {field_name: given[name] for field_name, name in names.items() if name in given}
