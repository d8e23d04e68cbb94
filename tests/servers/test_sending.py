# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""connector_test at the depths that send mail, against Postfix and Dovecot."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from peers.cloud import Cloud
from peers.mail import MailServer
from peers.users import USERS
from servers.oauth_probing import Rig, steps, the_result
from servers.playing import run
from servers.test_connector_test import Result, Scene, connector, failing_phase

ALICE, BOB = USERS["alice"].address, USERS["bob"].address


@pytest.fixture
def scene(tmp_path: Path, mail_server: MailServer) -> Iterator[Scene]:
    """A registry of its own, and mailboxes that are empty before and after."""
    for user in ("alice", "bob"):
        mail_server.empty(user)
    yield Scene(tmp_path, mail_server)
    for user in ("alice", "bob"):
        mail_server.empty(user)


def sender(scene: Scene, name: str = "sender", **more: Any) -> dict[str, Any]:
    return connector(name, "smtp", scene.block("submission"), **more)


def reader(scene: Scene, name: str = "reader", user: str = "bob", **more: Any) -> dict[str, Any]:
    return {"name": name, "imap": scene.block("imaps", user, **more)}


def both(scene: Scene, name: str = "both", **imap: Any) -> dict[str, Any]:
    """Sends as alice, and reads her mailbox."""
    return sender(scene, name, imap=scene.block("imaps", **imap))


def phases(result: Result, protocol: str) -> dict[str, str]:
    """The outcome of each phase with a server, by its last occurrence."""
    endpoint = next(each for each in result["endpoints"] if each["protocol"] == protocol)
    return {phase["phase"]: phase["status"] for phase in endpoint["phases"]}


def message_of(result: Result) -> dict[str, Any]:
    """What is said of the mail that was sent."""
    return dict(result["endpoints"][0]["message"])


def test_send_sends_a_mail_that_names_the_server(scene: Scene, mail_server: MailServer) -> None:
    scene.store([sender(scene, test_address=BOB)])
    result = scene.results(depth="send")["sender"]
    assert (result["status"], result["verdict"], result["depth"]) == ("ok", "ok", "send")
    sent = message_of(result)
    assert sent.keys() == {"message_id", "queue_id"}
    assert sent["queue_id"]
    message = mail_server.wait_for("bob", "Message-ID", sent["message_id"])
    body = message.get_body(("plain",))
    assert body
    for fact in ("127.0.0.1", str(mail_server.ports["submission"]), "smtp", "starttls", ALICE):
        assert fact in body.get_content()
    assert phases(result, "smtp")["message"] == "ok"
    assert "delivery" not in phases(result, "smtp")


def test_send_goes_to_whom_the_task_names(scene: Scene, mail_server: MailServer) -> None:
    scene.store([sender(scene)])
    result = scene.results(depth="send", to=BOB)["sender"]
    mail_server.wait_for("bob", "Message-ID", message_of(result)["message_id"])


def test_deliver_finds_the_mail_and_removes_that_one(scene: Scene, mail_server: MailServer) -> None:
    scene.store([both(scene)])
    kept = message_of(scene.results(depth="send")["both"])["message_id"]
    mail_server.wait_for("alice", "Message-ID", kept)
    result = scene.results(depth="deliver")["both"]
    assert (result["status"], result["depth"]) == ("ok", "deliver")
    found = message_of(result)
    assert found.keys() == {"message_id", "queue_id", "delivered_ms", "authentication", "hops"}
    delivery = next(each for each in result["endpoints"][0]["phases"] if each["phase"] == "delivery")
    assert delivery["ms"] - 1 <= found["delivered_ms"] <= result["elapsed_ms"]
    assert found["hops"] >= 1
    assert [each["protocol"] for each in result["endpoints"]] == ["smtp", "imap"]
    assert (phases(result, "smtp")["message"], phases(result, "smtp")["delivery"]) == ("ok", "ok")
    assert list(phases(result, "imap"))[-1] == "select"
    assert result["endpoints"][1]["message"] is None
    assert [each["Message-ID"] for each in mail_server.messages("alice")] == [kept]


def test_deliver_looks_into_the_mailbox_of_another_connector(scene: Scene, mail_server: MailServer) -> None:
    scene.store([sender(scene), both(scene), reader(scene)])
    options = {"connectors": ["sender", "both", "reader"], "deliver_via": "reader", "to": BOB}
    results = scene.results(depth="deliver", **options)
    assert {name: result["verdict"] for name, result in results.items()} == dict.fromkeys(results, "ok")
    assert "delivered_ms" in message_of(results["sender"])
    shown = {name: [each.get("connector") for each in result["endpoints"]] for name, result in results.items()}
    assert shown == {"sender": [None, "reader"], "both": [None, None, "reader"], "reader": [None]}
    assert mail_server.messages("bob") == mail_server.messages("alice") == []


def test_deliver_without_a_mailbox_sends_nothing(scene: Scene, mail_server: MailServer) -> None:
    scene.store([sender(scene, test_address=BOB)])
    answer = scene.test(depth="deliver")
    (result,) = answer["results"]
    assert (result["verdict"], failing_phase(result)) == ("config_invalid", "config")
    assert "deliver_via" in result["remedy"]
    assert phases(result, "smtp")["delivery"] == "skipped"
    assert message_of_none(result)
    assert mail_server.messages("bob") == []


def message_of_none(result: Result) -> bool:
    return all(each["message"] is None for each in result["endpoints"])


@pytest.mark.parametrize("imap", [{"password": "not-it-2"}, {"mailbox": "Nowhere"}])
def test_a_mailbox_that_cannot_be_read_keeps_the_mail_from_being_sent(
    scene: Scene, mail_server: MailServer, imap: dict[str, Any]
) -> None:
    scene.store([both(scene, **imap)])
    result = scene.results(depth="deliver")["both"]
    assert result["verdict"] == ("auth_rejected" if "password" in imap else "mailbox_missing")
    assert phases(result, "smtp")["recipient"] == "ok"
    assert (phases(result, "smtp")["message"], phases(result, "smtp")["delivery"]) == ("skipped", "skipped")
    assert message_of_none(result)
    assert mail_server.messages("alice") == []


def test_mail_that_does_not_come_is_a_delivery_timeout(scene: Scene, mail_server: MailServer) -> None:
    scene.store([both(scene)])
    result = scene.results(depth="deliver", to=BOB, deadline=4)["both"]
    assert (result["verdict"], failing_phase(result)) == ("delivery_timeout", "delivery")
    assert message_of(result).keys() == {"message_id", "queue_id"}
    mail_server.wait_for("bob", "Message-ID", message_of(result)["message_id"])


@pytest.mark.parametrize("depth", ["send", "deliver"])
def test_a_connector_that_only_receives_just_signs_in(scene: Scene, depth: str) -> None:
    scene.store([reader(scene)])
    result = scene.results(depth=depth)["reader"]
    assert (result["status"], result["depth"]) == ("ok", depth)
    assert message_of_none(result)


@pytest.mark.parametrize("depth", ["send", "deliver"])
def test_check_mode_ends_with_the_envelope_and_says_so(scene: Scene, mail_server: MailServer, depth: str) -> None:
    scene.store([both(scene)])
    answer = run("connector_test", {**scene.options, "depth": depth}, check=True)
    (result,) = answer["results"]
    assert (result["depth"], [each["code"] for each in result["warnings"]]) == ("envelope", ["check_mode"])
    assert phases(result, "smtp")["recipient"] == "ok"
    assert mail_server.messages("alice") == []


def test_a_declaration_is_sent_and_found(scene: Scene, mail_server: MailServer) -> None:
    scene.store([reader(scene)])
    declared = {key: value for key, value in sender(scene).items() if key != "name"}
    answer = scene.test(declaration=declared, depth="deliver", deliver_via="reader", to=BOB)
    assert not answer.get("failed"), answer["msg"]
    assert "delivered_ms" in message_of(answer["results"][0])
    assert mail_server.messages("bob") == []


def test_a_reader_that_cannot_be_used_is_told(scene: Scene) -> None:
    retired = {**reader(scene, "retired"), "enabled": False}
    scene.store([sender(scene), retired, both(scene)])
    says = {
        "nobody": "deliver_via: there is no connector nobody",
        "sender": "deliver_via: connector sender reads no mail",
        "not-a-name": "deliver_via: must be",
    }
    for name, words in says.items():
        answer = scene.test(connectors=["both"], depth="deliver", deliver_via=name)
        assert answer["failed"]
        assert words in answer["msg"]
    assert not scene.test(connectors=["sender"], depth="send", deliver_via="both").get("failed")


def test_a_reader_that_is_disabled_is_named_with_each_connector(scene: Scene, mail_server: MailServer) -> None:
    scene.store([sender(scene), both(scene), {**reader(scene, "retired"), "enabled": False}])
    answer = scene.test(connectors=["sender", "both"], depth="deliver", deliver_via="retired")
    assert answer["failed"]
    for result in answer["results"]:
        assert (result["verdict"], result["field"]) == ("config_invalid", "deliver_via")
        assert "connector retired" in result["remedy"]
    assert answer["msg"].count("mailbox of retired") == 2
    assert mail_server.messages("alice") == mail_server.messages("bob") == []


def test_many_are_delivered_in_one_task(scene: Scene, mail_server: MailServer) -> None:
    names = [f"both_{number}" for number in range(6)]
    scene.store([both(scene, name) for name in names])
    results = scene.results(depth="deliver")
    assert {name: result["verdict"] for name, result in results.items()} == dict.fromkeys(names, "ok")
    assert mail_server.messages("alice") == []


@pytest.fixture
def rig(mail_server: MailServer, scene: Scene, tmp_path: Path) -> Iterator[Rig]:
    """Services of a cloud for one test."""
    with Cloud(mail_server) as made:
        yield Rig(made, mail_server, tmp_path)


MAY_REMOVE = ("Mail.Send", "Mail.ReadWrite")


def test_graph_sends_and_finds(rig: Rig, mail_server: MailServer) -> None:
    app = rig.app(roles=MAY_REMOVE)
    result = the_result({**rig.graph(rig.by_secret(app)), "from_address": ALICE}, "deliver")
    assert (result["verdict"], result["warnings"]) == ("ok", [])
    assert [name for name, _status in steps(result)] == "config dns tcp tls token mailbox message delivery".split()
    assert "delivered_ms" in message_of(result)
    assert mail_server.messages("alice") == []


def test_graph_sends_where_it_may_not_read(rig: Rig, mail_server: MailServer) -> None:
    app = rig.app(roles=("Mail.Send",))
    declared = {**rig.graph(rig.by_secret(app)), "from_address": ALICE, "test_address": BOB}
    result = the_result(declared, "send")
    assert (result["verdict"], result["warnings"]) == ("ok", [])
    mail_server.wait_for("bob", "Message-ID", message_of(result)["message_id"])
    unread = the_result(declared, "deliver")
    assert (unread["verdict"], failing_phase(unread)) == ("mailbox_denied", "mailbox")
    assert message_of_none(unread)
    assert len(mail_server.messages("bob")) == 1


def test_mail_that_may_not_be_removed_is_told(rig: Rig, mail_server: MailServer) -> None:
    app = rig.app(roles=("Mail.Send", "Mail.Read"))
    result = the_result({**rig.graph(rig.by_secret(app)), "from_address": ALICE}, "deliver")
    assert (result["verdict"], [each["code"] for each in result["warnings"]]) == ("ok", ["not_removed"])
    assert [each["Message-ID"] for each in mail_server.messages("alice")] == [message_of(result)["message_id"]]


@pytest.mark.parametrize("way", ["smtp to graph", "graph to imap"])
def test_mail_is_found_in_another_connectors_mailbox(scene: Scene, rig: Rig, mail_server: MailServer, way: str) -> None:
    by_graph = {"name": "cloud", "from_address": ALICE, **rig.graph(rig.by_secret(rig.app(roles=MAY_REMOVE)))}
    scene.store([sender(scene), by_graph, reader(scene)])
    sending, reading, to = ("sender", "cloud", ALICE) if way == "smtp to graph" else ("cloud", "reader", BOB)
    result = scene.results(connectors=[sending], depth="deliver", deliver_via=reading, to=to)[sending]
    assert (result["verdict"], result["warnings"]) == ("ok", [])
    assert [each["protocol"] for each in result["endpoints"]] == way.split(" to ")
    assert "delivered_ms" in message_of(result)
    assert mail_server.messages("alice") == mail_server.messages("bob") == []
