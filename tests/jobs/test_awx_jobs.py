# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The jobs of examples/awx against Postfix and Dovecot; all that is kept of them is searched for secrets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from integration.playing import TARGET_PYTHON, Stage
from integration.test_mail_servers import block
from integration.test_secrets import Secrets
from jobs.awx_jobs import Controller, Job
from jobs.awx_project import PROJECT
from peers.mail import MailServer
from peers.users import USERS
from servers.playing import run

ALICE, BOB = USERS["alice"], USERS["bob"]
LOCAL = {"ansible_connection": "local", "ansible_python_interpreter": TARGET_PYTHON}
WRONG = "not-the-password-of-anybody-1"


class Scene:
    """An AWX whose one host declares connectors of a real mail server, and the jobs that have run there."""

    def __init__(self, stage: Stage, server: MailServer) -> None:
        self.secrets = Secrets()
        for name, secret in {"alice": ALICE.password, "bob": BOB.password, "wrong": WRONG}.items():
            self.secrets.seen(name, secret)
        self.secrets.key("key")
        self.registry = str(stage.folder / "registry.db")
        self.credentials: dict[str, dict[str, str]] = {
            "Mail registry": {"registry_key": self.secrets.variables["key"], "registry": self.registry},
            "Mail connectors": {"alerts_smtp_password": ALICE.password, "support_imap_password": ALICE.password},
        }
        variables = {**LOCAL, **_declared(server), "report_to": BOB.address}
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


def _declared(server: MailServer) -> dict[str, Any]:
    """The connectors of the example, at other servers; their secrets come from the credential."""
    blocks = {"smtp": block(server, "submission", "starttls"), "imap": block(server, "imaps", "tls")}
    smtp, imap = ({**each, "password": "", "auth": "password"} for each in blocks.values())
    return {
        "mailroom_connectors": {
            "alerts": {"smtp": smtp, "from_address": ALICE.address, "test_address": BOB.address},
            "support": {"imap": imap},
        },
        "mailroom_default": "alerts",
        "mailroom_purposes": {"requests": "support"},
        "mailroom_purge": True,
    }


@pytest.fixture
def scene(stage: Stage, mail_server: MailServer) -> Iterator[Scene]:
    """A scene in which no job gives a secret away."""
    staged = Scene(stage, mail_server)
    yield staged
    assert staged.jobs
    assert all(job.events for job in staged.jobs)
    assert staged.found() == []


def test_jobs_declare_rotate_test_and_compare(scene: Scene) -> None:
    declare(scene)
    rotate(scene)
    verified = scene.launch("verify", mailroom_hosts="app1", mailroom_only="alerts, support")
    assert verified.code == 0, verified.said
    assert "2 tested: 2 ok" in verified.said
    scene.change(name="support", imap={"mailbox": "Elsewhere"})
    report_when_the_state_changes(scene)
    # The credential still holds the old secret, which does not count as drift.
    drift = scene.launch("drift")
    assert drift.code == 2, drift.said
    assert "connector support: imap.mailbox: Elsewhere -> (none)" in drift.said
    assert "imap.password" not in drift.said
    support = scene.connectors()["support"]
    assert support["imap"]["mailbox"] == "Elsewhere"
    assert (support["created_by"], support["history"][1]["by"]) == ("operator", "rotator")


def report_when_the_state_changes(scene: Scene) -> None:
    """The report is mailed once, not each time."""
    for times in (1, 0):
        failing = scene.launch("verify", mailroom_hosts="app1")
        assert failing.code == 2, failing.said
        assert failing.changed == times, failing.said
        (artifacts,) = [
            event["event_data"]["artifact_data"] for event in failing.events if event["event"] == "playbook_on_stats"
        ]
        assert artifacts["mailroom_x_summary"]["changed"] == ["support"] * times
        assert "mailbox_missing" in artifacts["mailroom_x_report"]


def declare(scene: Scene) -> None:
    """Blank inputs and blank answers say nothing."""
    given = scene.credentials["Mail connectors"]
    given["support_imap_password"] = ""
    refused = scene.launch("apply", mailroom_hosts="")
    assert refused.code == 2, refused.said
    assert "connector support: imap.password" in refused.said
    assert not Path(scene.registry).exists()
    given["support_imap_password"] = WRONG
    applied = scene.launch("apply", mailroom_hosts="", mailroom_init_mail="true", mailroom_verify="none")
    assert applied.code == 0, applied.said
    assert f"alerts -> {BOB.address}" in applied.said


def rotate(scene: Scene) -> None:
    """An answer is no template, and a secret that does not work is refused."""
    answers = {"rotated_connector": "support", "rotated_secret": "imap.password"}
    owned = f"{scene.registry}.owned"
    template = f"{{{{ lookup('ansible.builtin.pipe', 'touch {owned}') }}}}"
    scene.secrets.seen("template", template)
    refused = scene.launch("rotate", **answers, new_secret=template)
    assert refused.code == 2, refused.said
    assert "auth_rejected" in refused.said
    assert not Path(owned).exists()
    rotated = scene.launch("rotate", "-vvvv", **answers, new_secret=ALICE.password, user="rotator")
    assert (rotated.code, rotated.changed) == (0, 1), rotated.said


def test_the_inventory_of_the_example_is_accepted(scene: Scene) -> None:
    scene.controller.inventory = {"all": {"hosts": {"app1": LOCAL}}}
    variables = PROJECT / "inventory" / "group_vars" / "all.yml"
    looked = scene.launch("apply", "--check", f"-e @{variables}", mailroom_verify="none")
    assert (looked.code, looked.changed) == (0, 1), looked.said
    assert "connector support: is new" in looked.said
