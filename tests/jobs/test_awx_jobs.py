# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The jobs of examples/awx against Postfix and Dovecot; all that is kept of them is searched for secrets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from integration.playing import TARGET_PYTHON, Stage
from integration.test_mail_servers import block
from integration.test_secrets import Secrets
from jobs.awx_jobs import Controller, Job
from jobs.awx_project import PROJECT
from peers.mail import MailServer
from peers.users import USERS
from servers.playing import run

ALICE, BOB, JINJA = (USERS[name] for name in ("alice", "bob", "jinja"))
LOCAL = {"ansible_connection": "local", "ansible_python_interpreter": TARGET_PYTHON}
WRONG = "not-the-password-of-anybody-1"


class Scene:
    """An AWX whose one host declares connectors of a real mail server, and the jobs that have run there."""

    def __init__(self, stage: Stage, server: MailServer) -> None:
        self.secrets = Secrets()
        for user in (ALICE, BOB, JINJA):
            self.secrets.seen(user.name, user.password)
        self.secrets.seen("wrong", WRONG)
        self.secrets.key("key")
        self.registry = str(stage.folder / "registry.db")
        self.credentials: dict[str, dict[str, str]] = {
            "Mail registry": {"registry_key": self.secrets.variables["key"], "registry": self.registry},
            "Mail connectors": {"alerts_smtp_password": ALICE.password, "support_imap_password": WRONG},
        }
        variables = {**LOCAL, **_of_the_example(server), "report_to": BOB.address}
        self.jobs: list[Job] = []
        self.controller = Controller(stage, {"all": {"hosts": {"app1": variables}}}, self.credentials)

    def launch(self, template: str, *arguments: str, user: str = "operator", **answers: str) -> Job:
        self.jobs.append(self.controller.launch(template, *arguments, user=user, **answers))
        return self.jobs[-1]

    def found(self) -> list[str]:
        """Where secrets show in what is kept of the jobs."""
        kept = ((name, content) for job in self.jobs for name, content in job.kept())
        return [f"{secret} in {name}" for name, content in kept for secret in self.secrets.found_in(content)]

    def connectors(self) -> dict[str, dict[str, Any]]:
        """What the host's registry holds."""
        found = run("connector_info", {"registry": self.registry, "history": True})
        return {each["name"]: each for each in found["connectors"]}

    def change(self, **fields: Any) -> None:
        """Changes a connector by hand."""
        assert run("connector", {"registry": self.registry, "registry_key": self.secrets.variables["key"], **fields})


def _of_the_example(server: MailServer) -> dict[str, Any]:
    """The variables of the example, at other servers; secrets come from the credential."""
    variables = yaml.safe_load((PROJECT / "inventory" / "group_vars" / "all.yml").read_text(encoding="utf-8"))
    alerts, support = variables["mailroom_connectors"]["alerts"], variables["mailroom_connectors"]["support"]
    del alerts["provider"]
    alerts |= {"from_address": ALICE.address, "test_address": BOB.address}
    alerts["smtp"] |= {**block(server, "submission", "starttls"), "password": ""}
    del support["smtp"]
    support["imap"] |= {**block(server, "imaps", "tls"), "username": JINJA.address, "password": ""}
    return dict(variables)


@pytest.fixture
def scene(stage: Stage, mail_server: MailServer) -> Iterator[Scene]:
    """A scene in which no job gives a secret away."""
    staged = Scene(stage, mail_server)
    yield staged
    assert staged.jobs
    assert all(job.events for job in staged.jobs)
    assert staged.found() == []


def test_jobs_declare_rotate_and_report(scene: Scene) -> None:
    declare(scene)
    rotate(scene)
    report_a_change(scene)


def declare(scene: Scene) -> None:
    """Blank answers say nothing."""
    applied = scene.launch("apply", mailroom_hosts="", mailroom_init_mail="true", mailroom_verify="none")
    assert applied.code == 0, applied.said
    assert f"alerts -> {BOB.address}" in applied.said


def rotate(scene: Scene) -> None:
    """An answer is no template: evaluated, this one would be another password."""
    answers = {"rotated_connector": "support", "rotated_secret": "imap.password", "new_secret": JINJA.password}
    rotated = scene.launch("rotate", "-vvvv", **answers, user="rotator")
    assert (rotated.code, rotated.changed) == (0, 1), rotated.said
    support = scene.connectors()["support"]
    assert (support["created_by"], support["history"][-1]["by"]) == ("operator", "rotator")


def report_a_change(scene: Scene) -> None:
    """A connector that has worked and fails now is reported by mail."""
    scene.change(name="support", imap={"mailbox": "Elsewhere"})
    failing = scene.launch("verify", mailroom_hosts="app1", mailroom_only="support, alerts")
    assert "2 tested: 1 ok, 0 warn, 1 fail" in failing.said
    assert reported(failing) == ["support"]


def reported(failing: Job) -> list[str]:
    """What a failing test has reported as changed, which it has mailed if there is anything."""
    assert failing.code == 2, failing.said
    (artifacts,) = [
        event["event_data"]["artifact_data"] for event in failing.events if event["event"] == "playbook_on_stats"
    ]
    assert "mailbox_missing" in artifacts["mailroom_x_report"]
    changed: list[str] = artifacts["mailroom_x_summary"]["changed"]
    assert failing.changed == len(changed), failing.said
    return changed


@pytest.mark.matrix
def test_a_state_that_stays_is_reported_once_and_an_old_secret_is_no_drift(scene: Scene) -> None:
    declare(scene)
    rotate(scene)
    report_a_change(scene)
    assert reported(scene.launch("verify", mailroom_hosts="app1")) == []
    # The credential still holds the old secret.
    drift = scene.launch("drift")
    assert drift.code == 2, drift.said
    assert "connector support: imap.mailbox: Elsewhere -> (none)" in drift.said
    assert "imap.password" not in drift.said
    assert scene.connectors()["support"]["imap"]["mailbox"] == "Elsewhere"


@pytest.mark.matrix
def test_a_blank_input_of_a_credential_is_a_missing_secret(scene: Scene) -> None:
    scene.credentials["Mail connectors"]["support_imap_password"] = ""
    refused = scene.launch("apply")
    assert refused.code == 2, refused.said
    assert "connector support: imap.password" in refused.said
    assert not Path(scene.registry).exists()


@pytest.mark.matrix
def test_the_inventory_of_the_example_is_accepted(scene: Scene) -> None:
    scene.credentials["Mail connectors"]["support_imap_password"] = ALICE.password
    scene.controller.inventory = {"all": {"hosts": {"app1": LOCAL}}}
    variables = PROJECT / "inventory" / "group_vars" / "all.yml"
    looked = scene.launch("apply", "--check", f"-e @{variables}", mailroom_verify="none")
    assert (looked.code, looked.changed) == (0, 1), looked.said
    assert "connector support: is new" in looked.said
