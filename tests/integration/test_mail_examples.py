# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks of examples/mail, with a real mail server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from integration.playing import Stage
from peers.mail import MailServer
from peers.users import USERS
from servers.playing import run

pytestmark = [pytest.mark.oldest, pytest.mark.matrix]

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "mail"
ALICE, BOB, UMA = (USERS[name] for name in ("alice", "bob", "uma"))


class Office:
    """A registry whose connector serves every purpose of the examples, and mailboxes that are empty."""

    def __init__(self, stage: Stage, server: MailServer) -> None:
        self.stage = stage
        self.server = server
        self.registry = str(stage.folder / "registry.db")
        smtp = {
            "host": "127.0.0.1",
            "port": server.ports["submission"],
            "ca_file": str(server.ca_file),
            "security": "starttls",
            "username": ALICE.address,
            "password": ALICE.password,
        }
        connector = {"name": "usual", "from_address": ALICE.address, "cc": [UMA.address], "smtp": smtp}
        declare = {"connectors": [connector], "default": "usual", "registry": self.registry}
        assert run("connectors", declare)["changed"]

    def play(self, example: str, **variables: Any) -> tuple[int, str]:
        given = ["--extra-vars", json.dumps(variables)]
        done = self.stage.run("playbook", EXAMPLES / example, *given, MAILROOM_REGISTRY=self.registry)
        return done.returncode, done.stdout


@pytest.fixture
def office(stage: Stage, mail_server: MailServer) -> Iterator[Office]:
    for user in ("bob", "uma"):
        mail_server.empty(user)
    yield Office(stage, mail_server)
    for user in ("bob", "uma"):
        mail_server.empty(user)


def test_operators_are_notified_once(office: Office) -> None:
    code, said = office.play("notify.yml", version="2.4", operators=[BOB.address])
    assert code == 0, said
    message = office.server.wait_for("bob", "Subject", "shop 2.4 was deployed")
    assert message.get_content().splitlines() == ["shop 2.4 runs on 1 of 1 hosts:", "", "- testhost"]


def test_report_is_attached(office: Office, tmp_path: Path) -> None:
    report = tmp_path / "latest.csv"
    report.write_text("day;sum\n", encoding="utf-8")
    code, said = office.play("report.yml", report=str(report), finance=f"Finance <{BOB.address}>")
    assert code == 0, said
    (message,) = office.server.messages("uma") or [office.server.wait_for("uma", "From", ALICE.address)]
    (attached,) = message.iter_attachments()
    assert attached.get_content_type() == "text/csv"
    assert attached.get_content().strip() == "day;sum"


def test_only_what_was_refused_is_repeated(office: Office) -> None:
    notices = [
        {"to": BOB.address, "subject": "One", "body": "1"},
        {"to": [BOB.address, "nobody@example.com"], "subject": "Two", "body": "2"},
    ]
    code, said = office.play("repeat.yml", notices=notices, pause=0)
    assert code == 2
    assert "messages[1] to nobody@example.com was not sent" in said
    assert "messages[0] to nobody@example.com was not sent" in said
    for subject in ("One", "Two"):
        office.server.wait_for("bob", "Subject", subject)
        office.server.wait_for("uma", "Subject", subject)
    assert sorted(str(each["Subject"]) for each in office.server.messages("uma")) == ["One", "Two"]


@pytest.mark.parametrize(("command", "outcome"), [(["echo", "well"], "is done"), (["false"], "has failed")])
def test_a_job_mails_its_result(office: Office, command: list[str], outcome: str) -> None:
    variables = {"awx_job_id": 4711, "awx_job_template_name": "Nightly"}
    code, said = office.play("job.yml", command=command, operators=[BOB.address], **variables)
    assert (code == 0) == (outcome == "is done"), said
    message = office.server.wait_for("bob", "Subject", f"Nightly (4711) {outcome}")
    assert message["X-AWX-Job"] == "4711"
