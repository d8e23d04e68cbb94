# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role environment writes to applications with an API, once for all hosts, and drift compares them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from integration.playing import TARGET_PYTHON, Stage
from peers.keepnet import Keepnet

# With the oldest ansible-core in `make test`.
pytestmark = [pytest.mark.oldest, pytest.mark.matrix]

PASSWORD = "Rumpelstilzchen-7f3a9c51e2"
CONNECTORS = {
    "campaigns": {
        "smtp": {"host": "smtp.example.com", "port": 587, "username": "campaigns@example.com", "password": PASSWORD},
        "display_name": "Campaigns",
    }
}


class Estate:
    """Two hosts, each with a registry of its own, and what is written for both."""

    def __init__(self, stage: Stage, keepnet: Keepnet) -> None:
        self.stage = stage
        self.keepnet = keepnet
        client, secret = keepnet.client
        entry = {"app": "keepnet", "url": keepnet.url, "login": {"client_id": client, "client_secret": secret}}
        variables = {
            "ansible_connection": "local",
            "ansible_python_interpreter": TARGET_PYTHON,
            "mailroom_registry": f"{stage.folder}/{{{{ inventory_hostname }}}}.db",
            "mailroom_connectors": CONNECTORS,
            "mailroom_default": "campaigns",
            # Blank values are those of a survey that was not filled in.
            "mailroom_apis": [{**entry, "connector": "campaigns", "validate_certs": "", "options": {"leave_out": ""}}],
        }
        hosts = {"one": {}, "other": {}}
        self.inventory = stage.write("estate.json", {"all": {"hosts": hosts, "vars": variables}})

    def play(self, playbooks: str, *arguments: object, **variables: Any) -> tuple[int, str]:
        given = self.stage.write("extra.json", variables)
        more = ["--inventory", self.inventory, "--extra-vars", f"@{given}", "-v", *arguments]
        done = self.stage.run("playbook", *(f"mailroom.core.{name}" for name in playbooks.split()), *more)
        for secret in (PASSWORD, self.keepnet.client[1]):
            assert secret not in done.stdout
        return done.returncode, done.stdout

    def writes(self) -> list[str]:
        return [each.operation for each in self.keepnet.requests if each.operation in ("create", "update", "delete")]


def test_one_host_writes_for_all_and_drift_tells_what_differs(stage: Stage) -> None:
    with Keepnet(None) as keepnet:
        estate = Estate(stage, keepnet)
        code, said = estate.play("apply")
        assert code == 0, said
        assert estate.writes() == ["create"]
        (setting,) = keepnet.own.settings.values()
        assert (setting["name"], setting["password"]) == ("Campaigns", PASSWORD)
        code, said = estate.play("apply drift", mailroom_serial=1)
        assert (code, estate.writes()) == (0, ["create"]), said
        setting["serverAddress"] = "somewhere.example.com"
        code, said = estate.play("drift", "--limit", "one")
        assert code != 0
        assert "keepnet Campaigns: has other settings" in said
        assert estate.writes() == ["create"]
        assert json.dumps(setting).count("somewhere") == 1
