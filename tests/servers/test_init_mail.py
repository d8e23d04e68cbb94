# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""init_mail against Postfix and Dovecot."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from peers import actions
from peers.mail import MailServer
from peers.smtp import SmtpScript
from peers.users import USERS
from servers.playing import MODULES, run
from servers.test_connector_test import Scene, connector

from ansible_collections.mailroom.core.plugins.module_utils._report.model import parse_results
from ansible_collections.mailroom.core.plugins.module_utils._report.table import table

ALICE, BOB = USERS["alice"].address, USERS["bob"].address


class Prover(Scene):
    """A registry of connectors that are to prove themselves."""

    def prove(self, check: bool = False, **options: Any) -> dict[str, Any]:
        return run("init_mail", {**self.options, **options}, check)

    def info(self, name: str) -> dict[str, Any]:
        found = run("connector_info", {**self.options, "name": name})["connectors"]
        return dict(found[0]["init_mail"])

    def forget_proofs(self) -> None:
        """As a crash leaves it between sending and recording."""
        with sqlite3.connect(self.options["registry"]) as database:
            database.execute("UPDATE connector SET proven_revision = NULL, proven_at = NULL, proven_to = NULL")
        database.close()


@pytest.fixture
def scene(tmp_path: Path, mail_server: MailServer) -> Iterator[Prover]:
    """A registry of its own, and mailboxes that are empty before and after."""
    for user in ("alice", "bob"):
        mail_server.empty(user)
    yield Prover(tmp_path, mail_server)
    for user in ("alice", "bob"):
        mail_server.empty(user)


def alerts(scene: Prover, name: str = "alerts", **more: Any) -> dict[str, Any]:
    """A connector that sends as alice, to bob."""
    settings = {"test_address": BOB, "signature": "The alerts team", **more}
    return connector(name, "smtp", scene.block("submission"), **settings)


def test_it_is_sent_once(scene: Prover, mail_server: MailServer) -> None:
    scene.store([alerts(scene, available_to=["acme"])])
    assert scene.info("alerts") == {"sent_at": None, "sent_to": None, "due": True}

    planned = scene.prove(check=True, tenant="acme")
    assert (planned["changed"], planned["already_proven"]) == (True, [])
    assert mail_server.messages("bob") == []
    assert scene.info("alerts")["due"]

    sent = scene.prove(tenant="acme")
    assert sent["changed"]
    (one,) = sent["sent"]
    assert one["queue_id"]
    assert [{**one, "queue_id": None}] == planned["sent"]
    assert (one["connector"], one["to"]) == ("alerts", BOB)
    message = mail_server.wait_for("bob", "Message-ID", one["message_id"])
    assert message["Subject"] == "Init Mail"
    body = message.get_body(("plain",))
    assert body
    text = body.get_content()
    port = str(mail_server.ports["submission"])
    for fact in ("acme", "alerts", "127.0.0.1", port, "smtp", "starttls", ALICE):
        assert fact in text
    assert USERS["alice"].password not in message.as_string()
    assert text.splitlines()[-2:] == ["-- ", "The alerts team"]
    assert (scene.info("alerts")["due"], scene.info("alerts")["sent_to"]) == (False, BOB)

    again = scene.prove(tenant="acme")
    assert (again["changed"], again["sent"], again["already_proven"]) == (False, [], ["alerts"])
    assert len(mail_server.messages("bob")) == 1


def test_a_repeat_after_a_crash_has_the_same_message_id(scene: Prover) -> None:
    scene.store([alerts(scene)])
    first = scene.prove()["sent"][0]
    scene.forget_proofs()
    repeated = scene.prove()["sent"][0]
    assert repeated["message_id"] == first["message_id"]
    assert repeated["queue_id"] != first["queue_id"]


KILLED_BEFORE_RECORDING = f"""
import os, runpy
from {MODULES[:-8]}.module_utils._registry.writer import Writer
Writer.record_proof = lambda *_rest: os.kill(os.getpid(), 9)
runpy.run_module("{MODULES}.init_mail", run_name="__main__")
"""


def test_a_task_that_is_killed_before_it_records_repeats_that_one_mail(scene: Prover, mail_server: MailServer) -> None:
    scene.store([alerts(scene, "first"), alerts(scene, "second", test_address=ALICE)])
    scene.prove(connectors=["first"])
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_BEFORE_RECORDING],
        input=json.dumps({"ANSIBLE_MODULE_ARGS": scene.options}),
        env={**os.environ, "PYTHONPATH": os.environ["ANSIBLE_COLLECTIONS_PATH"]},
        text=True,
        timeout=60,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    sent = mail_server.wait_for("alice", "Subject", "Init Mail")["Message-ID"]
    assert scene.info("second")["due"]
    again = scene.prove()
    assert again["already_proven"] == ["first"]
    (repeated,) = again["sent"]
    assert (repeated["connector"], repeated["message_id"]) == ("second", sent)
    assert scene.prove()["already_proven"] == ["first", "second"]


def test_it_is_due_again_when_sending_changes_and_not_for_a_description(scene: Prover) -> None:
    scene.store([alerts(scene)])
    first = scene.prove()["sent"][0]
    scene.store([alerts(scene, description="New words")])
    assert scene.prove()["already_proven"] == ["alerts"]
    scene.store([alerts(scene, description="New words", from_name="Alerts")])
    (second,) = scene.prove()["sent"]
    assert second["message_id"] != first["message_id"]


def test_it_can_be_forced(scene: Prover, mail_server: MailServer) -> None:
    scene.store([alerts(scene)])
    scene.prove()
    forced = scene.prove(force=True, to=ALICE)
    assert forced["changed"]
    assert forced["sent"][0]["to"] == ALICE
    mail_server.wait_for("alice", "Message-ID", forced["sent"][0]["message_id"])
    assert scene.info("alerts")["sent_to"] == ALICE


def test_one_that_fails_keeps_no_other_from_proving_itself(scene: Prover, mail_server: MailServer) -> None:
    wrong = connector("wrong", "smtp", scene.block("submission", password="not-it-0"))
    reading = connector("reading", "imap", scene.block("imaps"))
    retired = alerts(scene, "retired", enabled=False)
    scene.store([wrong, alerts(scene), reading, retired])
    answer = scene.prove()
    assert answer["failed"]
    heading, *lines = answer["msg"].splitlines()
    assert heading == "1 of 2 connectors could not send:"
    assert lines == table(parse_results(answer["results"]))
    assert [each["connector"] for each in answer["sent"]] == ["alerts"]
    assert answer["changed"]
    assert (scene.info("alerts")["due"], scene.info("wrong")["due"]) == (False, True)
    mail_server.wait_for("bob", "Message-ID", answer["sent"][0]["message_id"])

    named = scene.prove(connectors=["reading", "retired", "alerts"])
    assert named["failed"]
    assert named["already_proven"] == ["alerts"]
    said = " ".join(named["msg"].split())
    assert "reading: config_invalid (certain). Correct the declaration: the connector only receives mail" in said
    assert "retired: config_invalid (certain), field enabled. Correct the declaration: the connector is" in said


def test_only_the_server_that_sends_is_asked(scene: Prover) -> None:
    imap = scene.block("imaps", password="not-it-1")
    scene.store([alerts(scene, imap=imap)])
    assert [each["connector"] for each in scene.prove()["sent"]] == ["alerts"]


def test_a_tenant_whom_the_connector_is_not_for_is_refused(scene: Prover, mail_server: MailServer) -> None:
    scene.store([alerts(scene, available_to=["acme"]), alerts(scene, "shared")])
    refused = scene.prove(connectors=["shared", "alerts"], tenant="other")
    assert refused["failed"]
    assert "connector alerts: tenant: it is available to these tenants only: acme" in refused["msg"]
    assert mail_server.messages("bob") == []
    assert [each["connector"] for each in scene.prove(tenant="other")["sent"]] == ["shared"]


@pytest.mark.parametrize("check", [True, False])
def test_without_anybody_to_send_to_nothing_is_tried(scene: Prover, check: bool) -> None:
    smtp = scene.block("no_auth", username=None, password=None, security="none")
    scene.store([{"name": "alerts", "smtp": smtp}])
    answer = scene.prove(check=check)
    assert answer["failed"]
    said = " ".join(answer["msg"].split())
    assert "Correct the declaration: there is no sender: set from_address" in said
    assert answer["sent"] == []


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "nobody": ({"connectors": ["nobody"]}, "connector nobody: there is no such connector"),
    "no address": ({"to": "not an address"}, "to: must be"),
    "no tenant": ({"tenant": "no\ttenant"}, "tenant: must be"),
}


@pytest.mark.parametrize(("options", "says"), WRONG.values(), ids=WRONG)
def test_what_is_asked_for_wrongly_is_told(scene: Prover, options: dict[str, Any], says: str) -> None:
    scene.store([alerts(scene)])
    answer = scene.prove(**options)
    assert answer["failed"]
    assert says in answer["msg"]


def test_two_tasks_at_once_send_one_mail(scene: Prover) -> None:
    script = SmtpScript({"rcpt": actions.slow(0.5)})
    with script.server() as server, ThreadPoolExecutor(3) as together:
        block = {"host": "127.0.0.1", "port": server.port, "security": "none"}
        scene.store([connector("alerts", "smtp", block, test_address=BOB)])
        answers = list(together.map(lambda _number: scene.prove(), range(3)))
        mails = b"".join(server.received).count(b"Subject: Init Mail")
    assert sorted(len(answer["sent"]) for answer in answers) == [0, 0, 1]
    assert sorted(answer["already_proven"] for answer in answers) == [[], ["alerts"], ["alerts"]]
    assert mails == 1


NEVER_RECORDED = f"""
import runpy
from {MODULES[:-8]}.module_utils._errors import RegistryError
from {MODULES[:-8]}.module_utils._registry.writer import Writer
def prove(*_rest):
    raise RegistryError("The disk is full.")
Writer.record_proof = prove
runpy.run_module("{MODULES}.init_mail", run_name="__main__")
"""


def prove_unrecorded(scene: Prover) -> dict[str, Any]:
    """The answer where the mail goes out and the registry does not take that down."""
    done = subprocess.run(
        [sys.executable, "-c", NEVER_RECORDED],
        input=json.dumps({"ANSIBLE_MODULE_ARGS": scene.options}),
        env={**os.environ, "PYTHONPATH": os.environ["ANSIBLE_COLLECTIONS_PATH"]},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_mail_that_could_not_be_recorded_is_told(scene: Prover, mail_server: MailServer) -> None:
    scene.store([alerts(scene)])
    answer = prove_unrecorded(scene)
    assert answer["failed"]
    assert "connector alerts: the Init Mail was sent, but this could not be recorded" in answer["msg"]
    assert [each["connector"] for each in answer["sent"]] == ["alerts"]
    mail_server.wait_for("bob", "Message-ID", answer["sent"][0]["message_id"])


def test_what_was_sent_and_not_recorded_is_told_also_where_another_fails(scene: Prover) -> None:
    scene.store([alerts(scene, "good"), alerts(scene, "bad", test_address="unknown@example.com")])
    message = prove_unrecorded(scene)["msg"]
    assert "bad: recipient_rejected" in message
    assert "connector good: the Init Mail was sent, but this could not be recorded: The disk is full." in message
