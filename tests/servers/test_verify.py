# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is about to be committed is tested first, against Postfix and Dovecot."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from peers.mail import MailServer
from peers.users import USERS
from servers.playing import run
from servers.test_connector_test import Scene, connector

from ansible_collections.mailroom.core.plugins.module_utils._report.model import parse_results
from ansible_collections.mailroom.core.plugins.module_utils._report.table import table

ALICE, BOB = USERS["alice"].address, USERS["bob"].address
WRONG = "not-the-password-1"


class Registry(Scene):
    """A registry into which connectors are written with tests."""

    def one(self, declared: dict[str, Any], check: bool = False, **options: Any) -> dict[str, Any]:
        return run("connector", {**self.options, **declared, **options}, check)

    def many(self, declared: list[dict[str, Any]], check: bool = False, **options: Any) -> dict[str, Any]:
        return run("connectors", {**self.options, "connectors": declared, **options}, check)

    def held(self) -> dict[str, dict[str, Any]]:
        return {each["name"]: each for each in run("connector_info", self.options)["connectors"]}

    def sender(self, name: str = "alerts", place: str = "submission", **more: Any) -> dict[str, Any]:
        return connector(name, "smtp", self.block(place, **more), test_address=BOB)


@pytest.fixture
def registry(tmp_path: Path, mail_server: MailServer) -> Iterator[Registry]:
    mail_server.empty("bob")
    yield Registry(tmp_path, mail_server)
    mail_server.empty("bob")


def verdicts(answer: dict[str, Any]) -> dict[str, str]:
    return {result["connector"]: result["verdict"] for result in answer["results"]}


@pytest.mark.parametrize("depth", ["connect", "login", "send"])
def test_what_passes_is_committed(registry: Registry, mail_server: MailServer, depth: str) -> None:
    made = registry.one(registry.sender(), verify=depth)
    assert made["changed"]
    assert (made["result"]["status"], made["result"]["depth"]) == ("ok", depth)
    assert registry.held().keys() == {"alerts"}
    again = registry.one(registry.sender(), verify=depth)
    assert (again["changed"], again["result"]) == (False, None)
    if depth == "send":
        message_id = made["result"]["endpoints"][0]["message"]["message_id"]
        mail_server.wait_for("bob", "Message-ID", message_id)
    assert len(mail_server.messages("bob")) == (depth == "send")


def test_without_verify_nothing_is_said_of_tests(registry: Registry) -> None:
    assert "result" not in registry.one(registry.sender(password=WRONG))
    assert "results" not in registry.many([registry.sender("other", password=WRONG)])


def test_what_fails_is_not_committed(registry: Registry, tmp_path: Path) -> None:
    answer = registry.one(registry.sender(password=WRONG), verify="login")
    assert answer["failed"]
    heading, *lines = answer["msg"].splitlines()
    assert heading == "1 of 1 connectors failed the test, so nothing was changed:"
    assert lines == table(parse_results([answer["result"]]))
    assert answer["result"]["verdict"] == "auth_rejected"
    assert not answer["changed"]
    assert not any(tmp_path.iterdir())
    assert WRONG not in str(answer)


def test_one_that_fails_keeps_all_from_being_committed(registry: Registry) -> None:
    declared = [registry.sender("good"), registry.sender("bad", password=WRONG), registry.sender("fine", "smtps")]
    answer = registry.many(declared, verify="login")
    assert answer["failed"]
    assert verdicts(answer) == {"good": "ok", "bad": "auth_rejected", "fine": "ok"}
    assert "1 of 3 connectors" in answer["msg"]
    assert registry.held() == {}
    made = registry.many([registry.sender("good"), registry.sender("fine", "smtps")], verify="login")
    assert (made["created"], verdicts(made)) == (["good", "fine"], {"good": "ok", "fine": "ok"})


def test_only_what_connects_otherwise_is_tested(registry: Registry) -> None:
    untested = [registry.sender(name, password=WRONG) for name in ("described", "renamed", "moved", "retired")]
    assert not registry.many(untested).get("failed")
    described = {**untested[0], "description": "New words", "from_name": "Alerts"}
    retired = {**untested[3], "enabled": False, "smtp": {**untested[3]["smtp"], "port": 26}}
    moved = registry.sender("moved", "smtps")
    answer = registry.many([described, retired, moved, registry.sender("new")], verify="login", merge=True)
    assert not answer.get("failed"), answer["msg"]
    assert verdicts(answer) == {"moved": "ok", "new": "ok"}
    assert answer["updated"] == ["described", "retired", "moved"]
    enabled = registry.one({"name": "retired", "enabled": True}, verify="connect")
    assert enabled["result"]["status"] == "fail"
    assert not registry.held()["retired"]["enabled"]


def test_stored_secrets_that_stay_are_used(registry: Registry) -> None:
    registry.many([registry.sender()])
    described = {"name": "alerts", "smtp": {"mechanisms": ["PLAIN"]}}
    answer = registry.one(described, verify="login")
    assert answer["result"]["verdict"] == "ok"
    assert registry.held()["alerts"]["smtp"]["mechanisms"] == ["PLAIN"]


@pytest.mark.parametrize("module", ["connector", "connectors"])
def test_a_new_password_is_proven_before_the_old_one_is_replaced(registry: Registry, module: str) -> None:
    registry.many([registry.sender()])
    before = registry.held()["alerts"]

    def rotate(password: str) -> dict[str, Any]:
        rotated = {"name": "alerts", "smtp": {"password": password}}
        if module == "connector":
            return registry.one(rotated, verify="login")
        return registry.many([rotated], merge=True, verify="login")

    failed = rotate(WRONG)
    assert failed["failed"]
    assert "alerts: auth_rejected" in failed["msg"]
    assert registry.held()["alerts"] == before
    assert registry.results(depth="login")["alerts"]["verdict"] == "ok"

    run("connector", {**registry.options, "name": "alerts", "smtp": {"password": WRONG}})
    assert registry.results(depth="login")["alerts"]["verdict"] == "auth_rejected"
    mended = rotate(USERS["alice"].password)
    assert mended["changed"]
    assert registry.results(depth="login")["alerts"]["verdict"] == "ok"


@pytest.mark.parametrize("depth", ["connect", "login", "send"])
def test_check_mode_tests_no_deeper_than_the_envelope(registry: Registry, mail_server: MailServer, depth: str) -> None:
    planned = registry.many([registry.sender()], verify=depth, check=True)
    assert planned["changed"]
    (result,) = planned["results"]
    assert result["depth"] == ("envelope" if depth == "send" else depth)
    assert [each["code"] for each in result["warnings"]] == (["check_mode"] if depth == "send" else [])
    assert registry.held() == {}
    assert mail_server.messages("bob") == []
    failed = registry.one(registry.sender(password=WRONG), verify="login", check=True)
    assert failed["failed"]
    assert failed["result"]["verdict"] == "auth_rejected"


def test_duplicates_and_renamed_ones_are_tested_by_their_new_name(registry: Registry) -> None:
    registry.many([registry.sender()])
    password = {"smtp": {"password": USERS["alice"].password}}
    copied = registry.one({"state": "duplicated", "copy_from": "alerts", **password}, verify="login")
    assert copied["result"]["connector"] == "alerts_copied"
    renamed = registry.one({"name": "alerts", "new_name": "alarms", "smtp": {"mechanisms": ["LOGIN"]}}, verify="login")
    assert renamed["result"]["connector"] == "alarms"
    gone = registry.one({"name": "alarms", "state": "absent"}, verify="login")
    assert (gone["changed"], gone["result"]) == (True, None)


def test_tasks_at_once_lose_nothing(registry: Registry) -> None:
    registry.many([registry.sender("alerts")])
    answers: list[dict[str, Any]] = []
    changes: list[dict[str, Any]] = [{"mechanisms": ["PLAIN"]}, {"ehlo_name": "client.example.com"}]

    def change(smtp: dict[str, Any]) -> None:
        answers.append(registry.one({"name": "alerts", "smtp": smtp}, verify="login"))

    threads = [threading.Thread(target=change, args=(each,)) for each in changes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [each.get("msg") for each in answers] == [None, None]
    smtp = registry.held()["alerts"]["smtp"]
    assert (smtp["mechanisms"], smtp["ehlo_name"]) == (["PLAIN"], "client.example.com")
