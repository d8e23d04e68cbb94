# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The roles for one application, without a mail server: what they write, and what they say where something is missing.

That mail arrives is shown by the scenario of molecule.
"""

from __future__ import annotations

import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from integration.playing import Stage
from integration.test_variables import LOCAL, errors, outcomes
from servers.playing import run

# In `make test` those that are marked oldest are played, with the oldest ansible-core.
pytestmark = pytest.mark.matrix

SERVER = {"host": "127.0.0.1", "port": 1, "security": "none"}
# What the installed programs are not needed for.
UNCHECKED = {"validate": "true %s"}
HIDDEN = 0o600
ALERTMANAGER = "route:\n  receiver: nobody\nreceivers:\n  - name: nobody\n"


class Hosts:
    """Each has variables of its own, and a folder for the settings of its applications."""

    def __init__(self, folder: Path) -> None:
        self.stage = Stage(folder)
        self.folder = folder
        self.registry = str(folder / "registry.db")
        connector = {"name": "alerts", "from_address": "alerts@example.com", "smtp": SERVER}
        assert run("connectors", {"registry": self.registry, "connectors": [connector]})["changed"]
        self.roles: dict[str, list[str]] = {}
        self._hosts: dict[str, dict[str, Any]] = {}

    def add(self, name: str, roles: list[str], **variables: Any) -> None:
        (self.folder / name).mkdir()
        self.roles[name] = roles
        self._hosts[name] = variables

    def path(self, host: str, name: str) -> Path:
        return self.folder / host / name

    def play(self, *arguments: str, only: str = "all") -> str:
        """Plays the roles of each host, and returns what is said."""
        shared = {**LOCAL, "mailroom_registry": self.registry}
        self.stage.write("inventory.json", {"all": {"vars": shared, "hosts": self._hosts}})
        book: list[dict[str, Any]] = []
        for host, roles in self.roles.items():
            named = [f"mailroom.core.{role}" for role in roles]
            # A play ends when all of its hosts have failed, and the others would not be played.
            both = {"hosts": f"{host},bystander", "gather_facts": False}
            book.append(
                {**both, "roles": [{"role": name, "when": "inventory_hostname != 'bystander'"} for name in named]}
            )
        limit = ["--limit", f"bystander,{only}"]
        return self.stage.run("playbook", self.stage.write("book.json", book), *limit, *arguments).stdout


@pytest.fixture(scope="module")
def hosts() -> Iterator[Hosts]:
    with tempfile.TemporaryDirectory(prefix="mailroom-", dir="/tmp") as name:
        hosts = Hosts(Path(name))
        folder = f"{name}/{{{{ inventory_hostname }}}}"
        hosts.add("bystander", [])
        none: dict[str, Any] = {f"mailroom_{role}_packages": [] for role in ("msmtp", "postfix_relay", "alertmanager")}
        hosts.add(
            "everything",
            ["msmtp", "postfix_relay", "alertmanager", "grafana"],
            **none,
            mailroom_msmtp={
                "connector": "alerts",
                "purpose": "",
                "path": f"{folder}/msmtprc",
                "group": "",
                **UNCHECKED,
            },
            mailroom_msmtp_prove_to="",
            mailroom_prove_always="",
            mailroom_postfix_relay={
                "connector": "alerts",
                "path": f"{folder}/main.cf",
                "options": {"leave_out": ["from_address"]},
                "reload": f"touch {folder}/postfix_reloaded",
                **UNCHECKED,
            },
            mailroom_alertmanager={
                "connector": "alerts",
                "path": f"{folder}/alertmanager.yml",
                "reload": f"touch {folder}/alertmanager_reloaded",
                **UNCHECKED,
            },
            mailroom_grafana={
                "connector": "alerts",
                "path": f"{folder}/grafana.ini",
                "reload": f"touch {folder}/grafana",
            },
            mailroom_grafana_packages="",
        )
        hosts.path("everything", "main.cf").write_text("relayhost = old.example.com\n", encoding="utf-8")
        hosts.path("everything", "alertmanager.yml").write_text(ALERTMANAGER, encoding="utf-8")
        of_msmtp = {"connector": "alerts", "path": f"{folder}/msmtprc"}
        hosts.add("not_sent", ["msmtp"], **none, mailroom_msmtp=of_msmtp, mailroom_msmtp_prove_to="bob@example.com")
        hosts.add("nothing_chosen", ["msmtp"], **none, mailroom_msmtp={"connector": "", "path": f"{folder}/msmtprc"})
        hosts.add("no_package", ["msmtp"], mailroom_msmtp_packages=["no-such-package"], mailroom_msmtp=of_msmtp)
        hosts.add("misspelt", ["msmtp"], mailroom_msmtp={**of_msmtp, "paht": "/x"})
        hosts.add("no_grafana", ["grafana"], mailroom_grafana={**of_msmtp, "path": f"{folder}/nowhere/grafana.ini"})
        of_alertmanager = {"connector": "alerts", "path": f"{folder}/alertmanager.yml"}
        hosts.add("not_valid", ["alertmanager"], **none, mailroom_alertmanager=of_alertmanager)
        text = ALERTMANAGER.replace("receiver: nobody", "receiver: somebody")
        hosts.path("not_valid", "alertmanager.yml").write_text(text, encoding="utf-8")
        hosts.add(
            "half",
            ["applications"],
            mailroom_apps=[
                {**of_msmtp, "app": "msmtp", "reload": f"touch {folder}/reloaded"},
                {"app": "postfix", "path": f"{folder}/main.cf", "connector": "alerts", "service": True},
            ],
        )
        yield hosts


@pytest.fixture(scope="module")
def said(hosts: Hosts) -> str:
    return hosts.play()


@pytest.mark.oldest
def test_all_of_them_work_on_one_host_and_each_is_reloaded(hosts: Hosts, said: str) -> None:
    assert outcomes(said, "failed")["everything"] == 0, said
    written = {path.name: path.read_text(encoding="utf-8") for path in (hosts.folder / "everything").iterdir()}
    assert written.keys() == {
        *("msmtprc", "main.cf", "alertmanager.yml", "grafana.ini"),
        *("postfix_reloaded", "alertmanager_reloaded", "grafana"),
    }
    assert "host 127.0.0.1\n" in written["msmtprc"]
    assert "relayhost = [127.0.0.1]:1\n" in written["main.cf"]
    assert 'smtp_smarthost: "127.0.0.1:1"\n' in written["alertmanager.yml"]
    assert "host = 127.0.0.1:1\n" in written["grafana.ini"]
    assert stat.S_IMODE(hosts.path("everything", "msmtprc").stat().st_mode) == HIDDEN


def test_second_run_changes_nothing(hosts: Hosts, said: str) -> None:
    assert outcomes(said, "changed")["everything"] > 0
    assert outcomes(hosts.play(only="everything"), "changed")["everything"] == 0


def test_check_mode_says_what_would_change_and_changes_nothing(hosts: Hosts, said: str) -> None:
    assert said
    for name in ("msmtprc", "postfix_reloaded"):
        hosts.path("everything", name).unlink()
    checked = hosts.play("--check", only="everything")
    assert (outcomes(checked, "failed")["everything"], outcomes(checked, "changed")["everything"]) == (0, 1), checked
    assert not hosts.path("everything", "msmtprc").exists()
    assert not hosts.path("everything", "postfix_reloaded").exists()


@pytest.mark.oldest
def test_failures_are_told_in_a_sentence(hosts: Hosts, said: str) -> None:
    told, folder = errors(said), hosts.folder
    assert told.pop("not_sent").startswith(
        "msmtp on not_sent has not sent a mail to bob@example.com: msmtp: cannot connect to 127.0.0.1, port 1"
    )
    assert told.pop("no_package").startswith(
        "The packages of mailroom_msmtp_packages cannot be installed on no_package:"
    )
    refused = f"{folder}/not_valid/alertmanager.yml was not changed: the command of validate refuses it: "
    assert told.pop("not_valid").startswith(f"alertmanager {folder}/not_valid/alertmanager.yml: {refused}")
    assert told == {
        "nothing_chosen": "mailroom_msmtp: must name a connector or a purpose.",
        "misspelt": "mailroom_msmtp: paht: there is no such option; did you mean path?",
        "no_grafana": f"Grafana is not installed on no_grafana: there is no {folder}/no_grafana/nowhere. Where its"
        " vendor's repository is set up, or the distribution has it, set mailroom_grafana_packages: [grafana].",
        "half": "1 of 2 applications could not be configured:"
        rf"\n- postfix {folder}/half/main.cf: path: does not exist: postfix must be configured there first",
    }
    for advice in ("mailroom.core.connector_test", "mailroom_prove_always: true"):
        assert advice in errors(said)["not_sent"]


@pytest.mark.oldest
def test_what_has_been_written_is_reloaded_although_another_application_failed(hosts: Hosts, said: str) -> None:
    assert outcomes(said, "failed")["half"] == 1
    assert hosts.path("half", "reloaded").exists()
