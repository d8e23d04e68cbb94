# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The test mail and the Init Mail of each product whose page the collection replaces, as they arrive."""

from __future__ import annotations

from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from peers.cloud import Cloud
from peers.mail import MailServer
from peers.users import USERS
from servers.playing import run
from servers.test_connector_test import Result, Scene, failing_phase

ALICE, BOB, UMA = (USERS[name].address for name in ("alice", "bob", "uma"))
MAILBOXES = ("alice", "bob", "uma")
APP_PASSWORD = "abcd efgh ijkl mnop"
FOREIGN = "it-desk@example.org"


class Page(Scene):
    """A product's connectors in a registry, and the mail that they send."""

    def prove(self, *names: str, **options: Any) -> dict[str, Any]:
        chosen = {"connectors": list(names)} if names else {}
        return run("init_mail", {**self.options, **chosen, **options})

    def save(self, **options: Any) -> dict[str, Any]:
        """One connector, as its form saves it."""
        return run("connector", {**self.options, **options})

    def info(self, **options: Any) -> list[dict[str, Any]]:
        return list(run("connector_info", {**self.options, **options})["connectors"])

    def init_mail(self, name: str, user: str, **options: Any) -> EmailMessage:
        """The Init Mail of a connector as it came to a user, with nothing else in the mailbox."""
        (sent,) = self.prove(name, **options)["sent"]
        assert (sent["connector"], sent["to"]) == (name, USERS[user].address)
        return self.the_mail(user, sent["message_id"])

    def test_mail(self, name: str, user: str, **options: Any) -> EmailMessage:
        """The test mail of a connector as it came to a user, with nothing else in the mailbox."""
        result = self.results(connectors=[name], depth="send", **options)[name]
        assert result["verdict"] == "ok", result["remedy"]
        return self.the_mail(user, result["endpoints"][0]["message"]["message_id"])

    def the_mail(self, user: str, message_id: str) -> EmailMessage:
        message = self.server.wait_for(user, "Message-ID", message_id)
        assert len(self.server.messages(user)) == 1
        self.server.empty(user)
        return message

    def nothing_came(self) -> bool:
        return not any(self.server.messages(user) for user in MAILBOXES)


@pytest.fixture
def page(tmp_path: Path, mail_server: MailServer) -> Iterator[Page]:
    """A registry of its own, and mailboxes that are empty before and after."""
    for user in MAILBOXES:
        mail_server.empty(user)
    yield Page(tmp_path, mail_server)
    for user in MAILBOXES:
        mail_server.empty(user)


def text_of(message: EmailMessage) -> str:
    body = message.get_body(("plain",))
    assert body
    return str(body.get_content()).replace("\r\n", "\n")


def facts(message: EmailMessage) -> dict[str, str]:
    """What the body names, by its label."""
    paragraph = text_of(message).split("\n\n")[1]
    return {label: value.strip() for label, _colon, value in (line.partition(":") for line in paragraph.splitlines())}


def addresses(message: EmailMessage, name: str) -> list[str]:
    return [each.addr_spec for each in message[name].addresses] if message[name] else []


def warned(result: Result) -> list[str]:
    return [each["code"] for each in result["warnings"]]


def signed_in(result: Result) -> dict[str, str]:
    """What came of signing in, by protocol."""
    return {
        each["protocol"]: next(phase["status"] for phase in each["phases"] if phase["phase"] == "auth")
        for each in result["endpoints"]
    }


@pytest.mark.parametrize(("place", "security"), [("submission", "starttls"), ("smtps", "tls")])
def test_accuknox_saving_is_followed_by_an_init_mail(page: Page, place: str, security: str) -> None:
    backend = {
        "name": "secure_email_backend",
        "display_name": "Secure Email Backend",
        "from_address": "security@example.com",
        "smtp": page.block(place, security=security),
        "default": True,
    }
    assert page.save(**backend)["connector"]["init_mail"]["due"]
    message = page.init_mail("secure_email_backend", "alice")
    assert message["Subject"] == "Init Mail"
    assert (addresses(message, "From"), addresses(message, "To")) == (["security@example.com"], [ALICE])
    assert message["Return-Path"].strip("<>") == "security@example.com"
    assert facts(message) == {
        "Connector": "secure_email_backend",
        "Display name": "Secure Email Backend",
        "Host": "127.0.0.1",
        "Port": str(page.server.ports[place]),
        "Type": "smtp",
        "Security": security,
        "User": ALICE,
    }
    assert "mail connector Secure Email Backend." in text_of(message)
    assert not page.save(**backend)["changed"]
    assert page.prove()["already_proven"] == ["secure_email_backend"]
    assert page.nothing_came()

    page.save(name="secure_email_backend", from_address=ALICE, test_address=BOB)
    as_the_user = page.init_mail("secure_email_backend", "bob")
    assert (addresses(as_the_user, "From"), addresses(as_the_user, "To")) == ([ALICE], [BOB])


def test_accuknox_test_mail_names_the_backend(page: Page) -> None:
    page.save(name="backend", display_name="Secure Email Backend", smtp=page.block("submission"))
    message = page.test_mail("backend", "alice")
    assert message["Subject"] == "Test mail from Secure Email Backend"
    assert (addresses(message, "From"), addresses(message, "To")) == ([ALICE], [ALICE])


def test_kianda_without_send_from_sends_nothing(page: Page) -> None:
    page.store([{"name": "intake", "display_name": "Order intake", "imap": page.block("imaps"), "test_address": BOB}])
    tested = page.results(connectors=["intake"])["intake"]
    assert (tested["verdict"], signed_in(tested)) == ("ok", {"imap": "ok"})
    sending = page.results(connectors=["intake"], depth="send")["intake"]
    assert (sending["verdict"], [each["protocol"] for each in sending["endpoints"]]) == ("ok", ["imap"])
    assert all(each["message"] is None for each in sending["endpoints"])
    proven = page.prove()
    assert not proven.get("failed")
    assert (proven["changed"], proven["sent"], proven["already_proven"]) == (False, [], [])
    named = page.prove("intake")
    assert named["failed"]
    assert "intake: config_invalid" in named["msg"]
    assert "the connector only receives mail" in " ".join(named["msg"].split())
    assert page.nothing_came()


def test_kianda_sends_to_its_test_address_with_the_same_credentials(page: Page) -> None:
    smtp = page.block("smtps", username=None, password=None, same_credentials=True)
    support = {"name": "support", "display_name": "Support mailbox", "imap": page.block("imaps"), "smtp": smtp}
    page.save(**support, test_address=BOB)
    tested = page.results(connectors=["support"])["support"]
    assert (tested["depth"], tested["verdict"]) == ("login", "ok")
    assert signed_in(tested) == {"smtp": "ok", "imap": "ok"}
    assert page.nothing_came()
    for message in (page.test_mail("support", "bob"), page.init_mail("support", "bob")):
        assert (addresses(message, "From"), addresses(message, "To")) == ([ALICE], [BOB])
        assert (facts(message)["User"], facts(message)["Security"]) == (ALICE, "tls")
        assert facts(message)["Port"] == str(page.server.ports["smtps"])


def test_kianda_sends_with_other_credentials_and_without_ssl(page: Page) -> None:
    smtp = page.block("no_starttls", "alice", security="none")
    page.save(name="plant", imap=page.block("imap", "bob"), smtp=smtp, test_address=UMA)
    tested = page.results(connectors=["plant"])["plant"]
    assert (signed_in(tested), warned(tested)) == ({"smtp": "ok", "imap": "ok"}, ["cleartext_login"])
    message = page.test_mail("plant", "uma")
    assert (addresses(message, "From"), facts(message)["User"], facts(message)["Security"]) == ([ALICE], ALICE, "none")

    page.save(name="plant", smtp={"password": "not-it-3"})
    failed = page.results(connectors=["plant"])["plant"]
    assert (failed["verdict"], failing_phase(failed)) == ("auth_rejected", "auth")
    assert signed_in(failed) == {"smtp": "fail", "imap": "ok"}
    assert page.nothing_came()


def test_kianda_main_connector_sends_for_whoever_has_none(page: Page) -> None:
    page.save(name="first", smtp=page.block("submission"), default=True)
    page.save(name="main", smtp=page.block("submission", "bob"))
    page.save(name="main", state="default")
    (chosen,) = page.info(purpose="a_form", tenant="acme")
    assert (chosen["name"], chosen["is_default"]) == ("main", True)
    message = page.init_mail(chosen["name"], "bob", tenant="acme")
    assert addresses(message, "From") == [BOB]
    assert (facts(message)["Tenant"], facts(message)["Connector"]) == ("acme", "main")


def campaigns(page: Page, **more: Any) -> dict[str, Any]:
    """Keepnet's setting with every field that its page has."""
    nobody: dict[str, Any] = {"username": None, "password": None}
    return {
        "name": "campaigns",
        "display_name": "Campaign relay",
        "provider": "custom",
        "from_address": FOREIGN,
        "test_address": ALICE,
        "smtp": page.block("relay", auth="none", relay=True, **nobody),
        "available_to": ["north", "south"],
        "reply_to": "replies@example.net",
        "errors_to": "bounces@example.com",
        "cc": [BOB],
        "bcc": [UMA],
        "headers": {"X-Campaign-Source": "awareness"},
        **more,
    }


@pytest.mark.parametrize("kind", ["test", "init"])
def test_keepnet_every_field_arrives_at_every_recipient(page: Page, kind: str) -> None:
    page.store([campaigns(page)])
    if kind == "test":
        result = page.results(connectors=["campaigns"], depth="send", include_copies=True)["campaigns"]
        assert (result["verdict"], result["warnings"]) == ("ok", [])
        message_id, subject = result["endpoints"][0]["message"]["message_id"], "Test mail from Campaign relay"
    else:
        (sent,) = page.prove("campaigns", tenant="north", include_copies=True)["sent"]
        message_id, subject = sent["message_id"], "Init Mail"
    for user in MAILBOXES:
        message = page.the_mail(user, message_id)
        assert message["Subject"] == subject
        assert (addresses(message, "From"), addresses(message, "To")) == ([FOREIGN], [ALICE])
        assert (addresses(message, "Reply-To"), addresses(message, "Cc")) == (["replies@example.net"], [BOB])
        assert message["Return-Path"].strip("<>") == "bounces@example.com"
        assert message["X-Campaign-Source"] == "awareness"
        assert message["Bcc"] is None
        assert facts(message)["User"] == "none, it does not sign in"
        assert UMA not in message.as_string().replace(f"for <{USERS[user].address}>", "")


@pytest.mark.parametrize("kind", ["test", "init"])
def test_keepnet_copies_go_out_only_where_they_are_asked_for(page: Page, mail_server: MailServer, kind: str) -> None:
    page.store([campaigns(page)])
    if kind == "test":
        result = page.results(connectors=["campaigns"], depth="send")["campaigns"]
        message_id = result["endpoints"][0]["message"]["message_id"]
    else:
        (sent,) = page.prove("campaigns", tenant="north")["sent"]
        message_id = sent["message_id"]
    message = page.the_mail("alice", message_id)
    assert message["Cc"] is None
    # One after another: what follows has arrived, so what went before it would have too.
    later = page.results(connectors=["campaigns"], depth="send", include_copies=True)["campaigns"]
    for user in ("bob", "uma"):
        mail_server.wait_for(user, "Message-ID", later["endpoints"][0]["message"]["message_id"])
        assert message_id not in [each["Message-ID"] for each in mail_server.messages(user)]


def test_keepnet_only_a_relay_sends_for_foreign_domains(page: Page) -> None:
    strict, open_to_all = page.block("own_sender"), page.block("submission")
    foreign = {"from_address": FOREIGN, "test_address": BOB}
    relay = {"name": "relay", "smtp": {**open_to_all, "relay": True}, **foreign}
    undeclared = {"name": "undeclared", "smtp": open_to_all, **foreign}
    page.store([relay, undeclared, {"name": "refused", "smtp": strict, **foreign}])
    results = page.results(depth="send")
    told = {name: (result["verdict"], failing_phase(result), warned(result)) for name, result in results.items()}
    assert told["relay"] == ("ok", "", [])
    assert told["undeclared"] == ("ok", "", ["from_domain_differs"])
    assert told["refused"][:2] == ("sender_rejected", "recipient")  # Postfix refuses a sender no earlier
    arrived = [results[name]["endpoints"][0]["message"]["message_id"] for name in ("relay", "undeclared")]
    for message_id in arrived:
        assert addresses(page.server.wait_for("bob", "Message-ID", message_id), "From") == [FOREIGN]
    assert len(page.server.messages("bob")) == 2


def test_keepnet_an_inactive_setting_is_never_used(page: Page) -> None:
    page.store([campaigns(page, enabled=False)])
    (listed,) = page.info()
    assert (listed["enabled"], listed["created_by"], listed["init_mail"]["due"]) == (False, "tester", False)
    assert page.prove()["sent"] == []
    assert page.results(depth="send") == {}
    for forced in (False, True):
        named = page.prove("campaigns", force=forced)
        assert named["failed"]
        assert "campaigns: config_invalid (certain)" in named["msg"]
        assert "the connector is disabled" in " ".join(named["msg"].split())
    tested = page.results(connectors=["campaigns"], depth="send")["campaigns"]
    assert (tested["verdict"], tested["endpoints"]) == ("config_invalid", [])
    assert "the connector is disabled" in tested["remedy"]
    assert page.nothing_came()


def test_keepnet_the_test_tells_what_is_wrong_with_the_setting(page: Page) -> None:
    wrong = {
        "password": page.block("submission", password="not-it-4"),
        "ssl": page.block("submission", security="tls"),
        "no_starttls": page.block("no_starttls"),
        "no_sign_in": page.block("submission", auth="none", username=None, password=None),
    }
    page.store([{"name": name, "smtp": smtp, "from_address": ALICE} for name, smtp in wrong.items()])
    answer = page.test(depth="send", to=BOB)
    assert answer["failed"]
    assert {each["connector"]: (each["verdict"], failing_phase(each)) for each in answer["results"]} == {
        "password": ("auth_rejected", "auth"),
        "ssl": ("security_mismatch", "tls"),
        "no_starttls": ("starttls_missing", "starttls"),
        "no_sign_in": ("relay_denied", "recipient"),
    }
    assert all(each["remedy"] in " ".join(answer["msg"].split()) for each in answer["results"])
    assert page.nothing_came()


@pytest.mark.parametrize("separator", [";", ":"])
def test_privilege_manager_sends_by_its_base_uri(page: Page, separator: str) -> None:
    port = page.server.ports["relay"]
    uri = f"smtp://localhost{separator}{port}"
    task = {"send_e-mail_for_new_approval_task": "smtp_server"}
    resource = {"display_name": "SMTP server", "from_address": "approvals@example.com", "test_address": BOB}
    plain = {"name": "smtp_server", "smtp": {"uri": uri, "security": "none"}, **resource}
    encrypted = {"name": "cloud", "smtp": {"uri": uri, "ca_file": str(page.server.ca_file)}, **resource}
    written = run(
        "connectors", {**page.options, "connectors": [plain, encrypted], "default": "cloud", "purposes": task}
    )
    assert not written.get("failed"), written["msg"]
    expected = {"smtp_server": ("send_e-mail_for_new_approval_task", "none"), "cloud": ("another_task", "starttls")}
    for name, (purpose, security) in expected.items():
        (selected,) = page.info(purpose=purpose)
        assert (selected["name"], selected["smtp"]["uri"]) == (name, uri)
        for message in (page.test_mail(name, "bob"), page.init_mail(name, "bob")):
            assert addresses(message, "From") == ["approvals@example.com"]
            named = facts(message)
            assert (named["Host"], named["Port"], named["Security"]) == ("localhost", str(port), security)


def generic(page: Page, **more: Any) -> dict[str, Any]:
    """EvoluteIQ's configuration of the type Generic."""
    addressed = {"from_address": "workflow@example.com", "signature": "The workflow team\nExample Ltd."}
    return {"name": "Generic_1", "smtp": page.block("submission"), **addressed, **more}


def test_evoluteiq_test_mail_names_the_server_and_ends_with_the_signature(page: Page) -> None:
    page.store([generic(page)])
    for message in (page.test_mail("Generic_1", "bob", to=BOB), page.init_mail("Generic_1", "alice")):
        assert addresses(message, "From") == ["workflow@example.com"]
        assert facts(message) == {
            "Connector": "Generic_1",
            "Host": "127.0.0.1",
            "Port": str(page.server.ports["submission"]),
            "Type": "smtp",
            "Security": "starttls",
            "User": ALICE,
        }
        assert text_of(message).endswith("\n\n-- \nThe workflow team\nExample Ltd.\n")
        assert text_of(message).count("\n-- \n") == 1


def test_evoluteiq_test_fails_on_an_invalid_address_and_on_invalid_details(page: Page) -> None:
    page.store([generic(page)])
    invalid = page.test(depth="send", to="not an address")
    assert invalid["failed"]
    assert "to: must be" in invalid["msg"]
    unknown = page.results(depth="send", to="unknown@example.com")["Generic_1"]
    assert (unknown["verdict"], failing_phase(unknown)) == ("recipient_rejected", "recipient")
    page.save(name="Generic_1", smtp={"password": "not-it-5"})
    wrong = page.results(depth="send", to=BOB)["Generic_1"]
    assert (wrong["verdict"], failing_phase(wrong)) == ("auth_rejected", "auth")
    assert page.nothing_came()


def test_evoluteiq_an_app_password_with_spaces_warns(page: Page) -> None:
    page.store([generic(page)])
    written = page.save(name="Generic_1", smtp={"password": APP_PASSWORD})
    assert len([each for each in written["warnings"] if "Generic_1: smtp.password: " in str(each)]) == 1
    assert APP_PASSWORD not in str(written)
    assert "app password" in str(written["warnings"])
    joined = page.save(name="Generic_1", smtp={"password": APP_PASSWORD.replace(" ", "")})
    assert "smtp.password" not in str(joined.get("warnings", []))


def test_evoluteiq_a_duplicate_needs_the_password_and_proves_itself(page: Page) -> None:
    page.store([generic(page, test_address=BOB)])
    page.init_mail("Generic_1", "bob")
    refused = page.save(state="duplicated", copy_from="Generic_1")
    assert refused["failed"]
    assert "connector Generic_1_copied: smtp.password: must be given" in refused["msg"]
    assert [each["name"] for each in page.info()] == ["Generic_1"]
    page.save(state="duplicated", copy_from="Generic_1", smtp={"password": USERS["alice"].password})
    message = page.init_mail("Generic_1_copied", "bob")
    assert (addresses(message, "From"), facts(message)["Connector"]) == (["workflow@example.com"], "Generic_1_copied")
    assert text_of(message).endswith("\n-- \nThe workflow team\nExample Ltd.\n")


def by_graph(cloud: Cloud, **more: Any) -> dict[str, Any]:
    """EvoluteIQ's configuration of the type MS Graph API."""
    app = cloud.entra.add_app()
    return {
        "name": "Graph_1",
        "from_address": ALICE,
        "signature": "The robot",
        "graph": {"url": cloud.graph.url, "ca_file": str(cloud.ca_file)},
        "oauth2": {
            "authority": cloud.entra.url,
            "ca_file": str(cloud.ca_file),
            "tenant_id": cloud.entra.tenant_id,
            "client_id": app.client_id,
            "client_secret": app.secret,
            "username": ALICE,
            "password": USERS["alice"].password,
        },
        **more,
    }


def test_evoluteiq_graph_sends_and_reads(page: Page, cloud: Cloud) -> None:
    page.store([by_graph(cloud)])
    place = urlsplit(cloud.graph.url)
    for message in (page.test_mail("Graph_1", "bob", to=BOB), page.init_mail("Graph_1", "alice")):
        assert addresses(message, "From") == [ALICE]
        assert facts(message) == {
            "Connector": "Graph_1",
            "Host": place.hostname,
            "Port": str(place.port),
            "Type": "graph",
            "Security": "tls",
            "User": ALICE,
        }
        assert text_of(message).endswith("\n-- \nThe robot\n")
    granted = {each.form["grant_type"] for each in cloud.entra.requests if each.operation == "token"}
    assert granted == {"password"}
    found = page.results(depth="deliver")["Graph_1"]
    assert (found["verdict"], warned(found)) == ("ok", ["user_password"])
    assert "delivered_ms" in found["endpoints"][0]["message"]
    assert page.nothing_came()


def test_evoluteiq_graph_fails_on_invalid_details_and_copies_no_secret(page: Page, cloud: Cloud) -> None:
    page.store([by_graph(cloud)])
    for option, verdict in {"password": "token_user", "client_secret": "token_secret"}.items():
        before = by_graph(cloud)
        wrong = {**before, "oauth2": {**before["oauth2"], option: "not-it-6"}}
        declaration = {key: value for key, value in wrong.items() if key != "name"}
        (result,) = page.test(declaration=declaration, depth="send", to=BOB, fail=False)["results"]
        assert (result["verdict"], failing_phase(result)) == (verdict, "token")
    refused = page.save(state="duplicated", copy_from="Graph_1", oauth2={"password": USERS["alice"].password})
    assert refused["failed"]
    assert "connector Graph_1_copied: oauth2.client_secret: must be given" in refused["msg"]
    assert [each["name"] for each in page.info()] == ["Graph_1"]
    assert page.nothing_came()
