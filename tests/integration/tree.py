# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An inventory tree with two environments, whose connectors work at Postfix and Dovecot."""

from __future__ import annotations

import json
import re
from typing import Any

from integration.playing import TARGET_PYTHON, Stage
from integration.test_mail_servers import block
from peers.mail import MailServer
from peers.users import USERS
from servers.playing import run

ALICE, BOB = USERS["alice"], USERS["bob"]
WRONG = "not-the-password-of-anybody-1"
LOCAL = {"ansible_connection": "local", "ansible_python_interpreter": TARGET_PYTHON}


class Tree:
    """An inventory tree: what all environments share in group_vars/all, the differences in the groups of each."""

    def __init__(self, stage: Stage, server: MailServer) -> None:
        self.stage = stage
        self.server = server
        self.registries = stage.folder / "registries"
        self.folder = stage.folder / "inventory"
        (self.folder / "group_vars").mkdir(parents=True)
        self.hosts(test=["test1"], production=["prod1"])
        sending = {**block(server, "submission", "starttls"), "password": ""}
        self.variables(
            "all",
            mailroom_registry=f"{self.registries}/{{{{ inventory_hostname }}}}.db",
            mailroom_connectors={
                "alerts": {"smtp": sending, "from_address": ALICE.address, "test_address": BOB.address},
                "support": {"imap": {**block(server, "imaps", "tls"), "password": ""}, "description": "Reads requests"},
            },
            mailroom_connectors_secrets={
                "alerts": {"smtp": {"password": ALICE.password}},
                "support": {"imap": {"password": ALICE.password}},
            },
            mailroom_default="alerts",
            mailroom_purge=True,
        )
        self.variables("test", mailroom_connectors_environment={"support": None, "alerts": {"description": "Of test"}})
        self.rc = stage.folder / "msmtprc"
        self.variables(
            "production",
            mailroom_purposes={"requests": "support"},
            mailroom_apps=[
                {"app": "msmtp", "path": str(self.rc), "connector": "alerts", "options": {"leave_out": ""}},
            ],
        )

    def write(self, name: str, content: Any) -> None:
        (self.folder / name).write_text(json.dumps(content), encoding="utf-8")

    def hosts(self, **groups: list[str]) -> None:
        """Which hosts each environment has."""
        children = {group: {"hosts": {host: {} for host in hosts}} for group, hosts in groups.items()}
        self.write("hosts.json", {"all": {"vars": LOCAL, "children": children}})

    def variables(self, group: str, **variables: Any) -> None:
        """What the group's file of variables holds."""
        self.write(f"group_vars/{group}.json", variables)

    def play(self, playbooks: str, *arguments: object, **variables: Any) -> Played:
        """Plays playbooks of the collection; `variables` are given on the command line, as AWX does."""
        given = self.stage.write("extra.json", variables)
        more = ["--inventory", self.folder, "--extra-vars", f"@{given}", *arguments]
        done = self.stage.run("playbook", *(f"mailroom.core.{name}" for name in playbooks.split()), *more)
        for secret in (ALICE.password, WRONG):
            assert secret not in done.stdout
        return Played(done.returncode, done.stdout)

    def connectors(self, host: str) -> dict[str, dict[str, Any]]:
        """What a host's registry holds."""
        found = run("connector_info", {"registry": str(self.registries / f"{host}.db")})
        return {each["name"]: each for each in found["connectors"]}

    def change(self, host: str, connectors: list[dict[str, Any]]) -> None:
        """Changes connectors by hand, past the inventory."""
        changing = {"registry": str(self.registries / f"{host}.db"), "connectors": connectors, "merge": True}
        assert run("connectors", changing)["changed"]

    def configure(self, registry_of: str, **options: str) -> str:
        """Write a connector of a host's registry into an application that no variable names; say its path."""
        path = str(self.stage.folder / f"written-{options['app']}")
        task = {"registry": str(self.registries / f"{registry_of}.db"), "path": path, **options}
        assert run("connector_config", task)["changed"]
        return path


class Played:
    """How a playbook went."""

    def __init__(self, code: int, said: str) -> None:
        self.code = code
        self.said = said

    @property
    def changed(self) -> dict[str, int]:
        return {host: int(count) for host, count in re.findall(r"^(\S+) +: .*changed=(\d+)", self.said, re.MULTILINE)}
