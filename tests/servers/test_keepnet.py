# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""connector_api writes to Keepnet: every field of its page, companies by name, passwords shown or not, its own test."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from peers.keepnet import Keepnet
from peers.mail import MailServer
from peers.users import USERS
from servers.playing import run
from servers.test_connector_test import Scene, connector

ALICE, BOB = USERS["alice"].address, USERS["bob"].address
NAME = "Main"
FIELDS: dict[str, Any] = {
    "display_name": NAME,
    "reply_to": "replies@example.com",
    "errors_to": "bounces@example.com",
    "cc": ["one@example.com", "two@example.com"],
    "bcc": ["hidden@example.com"],
    "headers": {"X-Campaign": "phishing"},
    "available_to": ["Acme"],
}
LEFT_OUT = ["from_address", "smtp.ca_file"]


@pytest.fixture
def keepnet() -> Iterator[Keepnet]:
    with Keepnet(None) as service:
        yield service


class Desk(Scene):
    """A registry, the service, and what tasks print."""

    def __init__(self, folder: Path, server: MailServer, keepnet: Keepnet) -> None:
        super().__init__(folder, server)
        self.folder = folder
        self.keepnet = keepnet
        self.printed: list[str] = []
        self.login = {"client_id": keepnet.client[0], "client_secret": keepnet.client[1]}

    def declare(self, block: dict[str, Any] | None = None, **more: Any) -> None:
        self.store([connector("told", "smtp", {**self.block("submission"), **(block or {})}, **{**FIELDS, **more})])

    def play(self, check: bool = False, **options: Any) -> dict[str, Any]:
        task = {"app": "keepnet", "connector": "told", "url": self.keepnet.url, "login": self.login}
        options = {**self.options, **task, "options": {"leave_out": LEFT_OUT}, **options}
        answer = run("connector_api", options, check)
        self.printed.append(json.dumps(answer))
        return answer

    def done(self, check: bool = False, **options: Any) -> dict[str, Any]:
        answer = self.play(check, **options)
        assert not answer.get("failed"), answer["msg"]
        return answer

    def only(self) -> dict[str, Any]:
        (setting,) = self.keepnet.own.settings.values()
        return setting

    def writes(self) -> list[str]:
        return [each.operation for each in self.keepnet.requests if each.operation in ("create", "update", "delete")]


@pytest.fixture
def desk(tmp_path: Path, mail_server: MailServer, keepnet: Keepnet) -> Desk:
    desk = Desk(tmp_path, mail_server, keepnet)
    desk.declare()
    return desk


def test_every_field_of_the_page_is_written_and_nothing_again(desk: Desk) -> None:
    planned, made, again = desk.done(check=True), desk.done(), desk.done()
    assert [each["changed"] for each in (planned, made, again)] == [True, True, False]
    assert (made["secret"], again["secret"], made["diff"]) == ("sent", "unchanged", planned["diff"])
    acme = desk.keepnet.companies[0].id
    assert desk.only() == {
        "name": NAME,
        "serverAddress": "127.0.0.1",
        "serverPort": str(desk.server.ports["submission"]),
        "userName": ALICE,
        "password": USERS["alice"].password,
        "useAuthentication": True,
        "useSSL": True,
        "hasSMTPRelay": False,
        "replyTo": "replies@example.com",
        "errorTo": "bounces@example.com",
        "cc": "one@example.com,two@example.com",
        "bcc": "hidden@example.com",
        "customHeader": "X-Campaign: phishing",
        "statusId": 1,
        "availableForRequests": [{"type": "Company", "resourceId": acme}],
    }
    assert desk.writes() == ["create"]


@pytest.mark.parametrize("envelope", ["status", "isSuccess"])
@pytest.mark.parametrize(("shows", "secret"), [("nothing", "unchanged"), ("mask", "unchanged"), ("clear", "verified")])
def test_password_is_compared_whatever_reading_shows(desk: Desk, envelope: Any, shows: Any, secret: str) -> None:
    desk.keepnet.shows, desk.keepnet.envelope = shows, envelope
    desk.done()
    again = desk.done()
    assert (again["changed"], again["secret"]) == (False, secret)
    desk.declare({"password": "another-password-of-alice"})
    changed = desk.done()
    assert (changed["secret"], list(changed["diff"][0]["after"])) == ("sent", ["password"])
    assert desk.only()["password"] == "another-password-of-alice"


def test_password_that_was_taken_away_or_replaced_inside_is_sent_again(desk: Desk) -> None:
    desk.keepnet.shows = "clear"
    desk.done()
    desk.only()["password"] = "a-password-of-somebody"
    assert desk.done()["secret"] == "sent"
    desk.keepnet.shows = "mask"
    assert desk.done()["secret"] == "sent"
    assert desk.only()["password"] == USERS["alice"].password


def test_each_update_carries_the_password_and_never_a_mask(desk: Desk) -> None:
    desk.keepnet.shows = "mask"
    desk.done()
    desk.declare(reply_to="others@example.com")
    refused = desk.play(update_secret="never")
    assert "update_secret: cannot be never where anything changes" in refused["msg"]
    changed = desk.done()
    assert (changed["secret"], desk.only()["password"]) == ("sent", USERS["alice"].password)


def test_what_somebody_changed_inside_is_found_and_what_is_not_ours_stays(desk: Desk) -> None:
    desk.declare(available_to=[])
    globex = desk.keepnet.companies[2].id
    kept = [{"type": "Company", "resourceId": globex}]
    desk.keepnet.add(desk.keepnet.own, name=NAME, availableForRequests=kept)
    found = desk.done(check=True)
    assert found["diff"][0]["before"]["serverAddress"] == "somewhere.example.com"
    assert desk.done()["changed"]
    assert (desk.only()["serverAddress"], desk.only()["availableForRequests"]) == ("127.0.0.1", kept)


def test_a_company_is_addressed_by_its_exact_name_on_any_page(desk: Desk) -> None:
    desk.done(target={"company": "Acme Labs"})
    acme, labs, _globex = desk.keepnet.companies
    assert (len(acme.settings), len(labs.settings), desk.keepnet.own.settings) == (0, 1, {})
    missing = desk.play(target={"company": "Acm"})
    assert missing["msg"].startswith("target.company: there is no company Acm")


def test_settings_are_found_among_many_pages(desk: Desk) -> None:
    for number in range(5):
        desk.keepnet.add(desk.keepnet.own, name=f"{NAME} {number}")
    desk.keepnet.add(desk.keepnet.own, name=NAME)
    assert desk.done()["changed"]
    assert desk.writes() == ["update"]


def test_several_of_one_name_and_one_that_is_shared_are_refused(desk: Desk) -> None:
    desk.keepnet.own.shared.append({"name": NAME, "isOwner": False, "companyName": "Parent"})
    assert "is shared by company Parent" in desk.play()["msg"]
    desk.keepnet.own.shared.clear()
    desk.keepnet.add(desk.keepnet.own, name=NAME)
    desk.keepnet.add(desk.keepnet.own, name=NAME)
    assert "has 2 SMTP settings named Main" in desk.play()["msg"]
    assert desk.writes() == []


def test_its_test_sends_and_proves_the_password(desk: Desk, mail_server: MailServer) -> None:
    mail_server.empty("bob")
    desk.done()
    tested = desk.done(test=True, to=BOB)
    assert (tested["test"]["status"], tested["secret"]) == ("ok", "verified")
    assert mail_server.wait_for("bob", "Subject", "Test")
    mail_server.empty("bob")


@pytest.mark.parametrize(
    ("block", "to", "verdict"),
    [
        ({"password": "not-the-password-of-alice"}, BOB, "auth_rejected"),
        ({"port": 1}, BOB, "connect_refused"),
        ({}, "nobody@example.com", "recipient_rejected"),
    ],
)
def test_its_words_become_our_verdict(desk: Desk, block: dict[str, Any], to: str, verdict: str) -> None:
    desk.declare(block)
    failed = desk.play(test=True, to=to)
    assert failed["failed"]
    assert (failed["changed"], failed["test"]["status"], failed["test"]["verdict"]) == (True, "failed", verdict)
    assert len(desk.keepnet.own.settings) == 1


def test_wrong_client_and_one_without_the_right(desk: Desk) -> None:
    wrong = desk.play(login={**desk.login, "client_secret": "not-the-secret-at-all"})
    assert wrong["msg"].startswith("login: Keepnet does not accept it")
    other, secret = desk.keepnet.powerless
    powerless = desk.play(login={"client_id": other, "client_secret": secret})
    assert powerless["msg"].startswith("login: the account may not do this in Keepnet: it needs a REST API client")


def test_removal(desk: Desk) -> None:
    desk.done()
    assert desk.done(state="absent", target={"name": NAME})["changed"]
    assert desk.keepnet.own.settings == {}
    assert not desk.done(state="absent", target={"name": NAME})["changed"]


@pytest.mark.parametrize(
    ("block", "more", "field"),
    [
        ({"security": "tls", "port": 587}, {}, "smtp.security"),
        ({"security": "starttls", "port": 465}, {}, "smtp.security"),
        ({"validate_certs": False}, {}, "smtp.validate_certs"),
        ({"username": None, "password": None, "auth": "none"}, {}, "smtp.auth"),
        ({}, {"headers": {"X-Long": "x" * 900, "X-Longer": "y" * 900, "X-Third": "z" * 900}}, "headers"),
        ({}, {"cc": [f"somebody-with-a-long-name-{number}@example.com" for number in range(9)]}, "cc"),
    ],
)
def test_what_it_cannot_express_is_refused(desk: Desk, block: dict[str, Any], more: dict[str, Any], field: str) -> None:
    given = {name: value for name, value in {**desk.block("submission"), **block}.items() if value is not None}
    desk.store([connector("told", "smtp", given, **{**FIELDS, **more})])
    refused = desk.play()
    assert [problem["field"] for problem in refused["problems"]] == [field]
    assert desk.keepnet.requests == []


def test_status_and_relay_are_written(desk: Desk) -> None:
    desk.declare({"relay": True})
    desk.done(options={"leave_out": LEFT_OUT, "status": "inactive"})
    assert (desk.only()["statusId"], desk.only()["hasSMTPRelay"]) == (2, True)


class TestAnswersThatAreLost:
    """No creation is repeated without looking first."""

    @pytest.mark.parametrize("fault", ["closed", "reset", "half"])
    def test_creation_is_not_repeated_in_the_task(self, desk: Desk, fault: str) -> None:
        with desk.keepnet.failing(fault, at="create"):
            lost = desk.play()
        assert "the answer was lost" in lost["msg"]
        assert desk.writes() == ["create"]
        assert desk.done()["changed"]

    def test_secret_that_may_have_arrived_is_not_taken_for_the_former_one(self, desk: Desk) -> None:
        desk.done()
        desk.declare({"password": "another-password-of-alice"})
        with desk.keepnet.failing("html_500", at="get"):
            assert desk.play()["failed"]
        with desk.keepnet.failing("html_500", at="update"):
            assert desk.play()["failed"]
        desk.declare()
        assert desk.done()["secret"] == "sent"

    def test_update_is_repeated_once(self, desk: Desk) -> None:
        desk.done()
        desk.declare(reply_to="others@example.com")
        with desk.keepnet.failing("closed", at="update", times=1):
            assert desk.done()["changed"]
        assert desk.only()["replyTo"] == "others@example.com"

    def test_refusal_for_a_while_is_waited_for(self, desk: Desk) -> None:
        with desk.keepnet.failing("throttled_briefly", at="create", times=1):
            assert desk.done()["changed"]
        assert desk.writes() == ["create", "create"]

    def test_refusal_without_a_time_is_told(self, desk: Desk) -> None:
        with desk.keepnet.failing("unavailable", at="search"):
            assert "is not available for now (HTTP status 503)" in desk.play()["msg"]


def test_secrets_are_nowhere(desk: Desk) -> None:
    secret = "Rumpelstilzchen-7f3a9c51e2"
    desk.keepnet.shows = "clear"
    desk.declare({"password": secret})
    desk.done()
    desk.play(test=True, to=BOB)
    stored = b"".join(path.read_bytes() for path in desk.folder.iterdir() if path.is_file())
    assert secret not in "".join(desk.printed)
    assert desk.login["client_secret"] not in "".join(desk.printed)
    assert secret.encode() not in stored


def test_it_is_recorded_who_uses_the_connector(desk: Desk) -> None:
    def recorded() -> list[tuple[str, str, bool]]:
        (found,) = run("connector_info", {**desk.options, "name": "told"})["connectors"]
        return [(each["app"], each["host"], each["current"]) for each in found["applications"]]

    desk.done(host="desk")
    assert recorded() == [("keepnet", "desk", True)]
    desk.declare(reply_to="others@example.com")
    assert recorded() == [("keepnet", "desk", False)]
    desk.done(host="desk")
    assert recorded() == [("keepnet", "desk", True)]
    assert desk.done(host="desk", state="forgotten")["changed"]
    assert recorded() == []
    assert desk.done(host="desk")["secret"] == "sent"
    assert desk.done(host="desk", state="absent")["changed"]
    assert recorded() == []


def test_it_is_one_place_wherever_it_is_written_from(desk: Desk) -> None:
    desk.done(host="one")
    again = desk.done(host="other")
    assert (again["changed"], again["secret"]) == (False, "unchanged")
    (found,) = run("connector_info", {**desk.options, "name": "told"})["connectors"]
    assert [each["host"] for each in found["applications"]] == ["other"]
