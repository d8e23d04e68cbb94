# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What connector_api refuses before it talks to anybody, and how it talks to what answers strangely."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from peers.https import HttpsServer, Request, Response, Route, as_json

from ansible_collections.mailroom.core.plugins.module_utils._connector.secret import Secret
from ansible_collections.mailroom.core.plugins.module_utils._errors import RegistryError
from ansible_collections.mailroom.core.plugins.module_utils._registry.registry import Registry
from ansible_collections.mailroom.core.plugins.module_utils._target import api_target
from ansible_collections.mailroom.core.plugins.module_utils._target.api.keepnet import Keepnet

from .conftest import Play

PASSWORD = "Rumpelstilzchen-7f3a9c51e2"
SIGNED_IN = {"host": "mail.example.com", "username": "mailer@example.com", "password": PASSWORD}
LOGIN = {"username": "admin", "password": "Schneewittchen-81cc0a"}
TASK: dict[str, Any] = {
    "app": "privacyidea",
    "connector": "main",
    "url": "http://127.0.0.1:1",
    "login": LOGIN,
    "options": {"leave_out": ["smtp.validate_certs"]},
}


@pytest.fixture
def filled(play: Play) -> Play:
    entries = [
        {"name": "main", "smtp": SIGNED_IN},
        {"name": "masked", "smtp": {**SIGNED_IN, "password": "__CENSORED__"}},
        {"name": "off", "smtp": SIGNED_IN, "enabled": False},
        {"name": "reading", "imap": SIGNED_IN},
        {"name": "rich", "smtp": SIGNED_IN, "reply_to": "a@example.com"},
        {"name": "cloud", "graph": {"mailbox": "a@example.com"}, "oauth2": {"tenant_id": "t.example", "client_id": "c",
                                                                           "client_secret": "s3cret-of-a-client"}},
    ]  # fmt: skip
    played = play("connectors", connectors=entries, default="main")
    assert not played.get("failed"), played["msg"]
    return play


def fields_of(answer: dict[str, Any]) -> list[str]:
    assert answer["failed"]
    assert PASSWORD not in json.dumps(answer)
    return [problem["field"] for problem in answer["problems"]]


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"url": "http://example.com"}, "url"),
        ({"url": "ftp://example.com"}, "url"),
        ({"url": "https://user:word@example.com"}, "url"),
        ({"url": "https://example.com/a?b=c"}, "url"),
        ({"url": "https://example.com/\0"}, "url"),
        ({"url": "http://169.254.169.254"}, "url"),
        ({"url": ""}, "url"),
        ({"login": None}, "login"),
        ({"login": {"username": "admin"}}, "login"),
        ({"login": {**LOGIN, "token": "t"}}, "login"),
        ({"login": {"token": "a\r\nX-Header: b"}}, "login.token"),
        ({"login": {"token": "\u00e4"}}, "login.token"),
        ({"login": {"username": "admin", "password": "a\0b"}}, "login.password"),
        ({"target": {"name": "a\nb"}}, "target.name"),
        ({"target": {"name": "x" * 300}}, "target.name"),
        ({"target": {"name": "a/b"}}, "target.name"),
        ({"target": {"name": "send_test_email"}}, "target.name"),
        ({"target": {"company": "Acme"}}, "target.company"),
        ({"options": {"server": "zabbix.example.com"}}, "options.server"),
        ({"proxy": "http://user:word@proxy.example.com:3128"}, "proxy"),
        ({"ca_file": "ca.pem"}, "ca_file"),
        ({"to": "nobody"}, "to"),
        ({"timeout": 0}, "timeout"),
        ({"timeout": 10**9}, "timeout"),
        ({"app": "sendmail"}, "app"),
    ],
)
def test_each_mistake_names_its_option(filled: Play, options: dict[str, Any], field: str) -> None:
    answer = filled("connector_api", **{**TASK, **options})
    assert field in fields_of(answer)


@pytest.mark.parametrize(
    ("connector", "field"),
    [
        ("off", "enabled"),
        ("reading", "smtp"),
        ("cloud", "graph"),
        ("rich", "reply_to"),
        ("masked", "smtp.password"),
        ("nobody", ""),
    ],
)
def test_connector_that_it_cannot_express_is_refused(filled: Play, connector: str, field: str) -> None:
    assert fields_of(filled("connector_api", **{**TASK, "connector": connector})) == [field]


def test_certificates_that_are_to_be_checked_are_never_left_unchecked(filled: Play) -> None:
    refused = filled("connector_api", **{**TASK, "options": {}})
    assert fields_of(refused) == ["smtp.validate_certs"]
    assert "leave_out" in refused["msg"]


def test_removal_needs_a_name(filled: Play) -> None:
    refused = filled("connector_api", **{**TASK, "connector": None, "state": "absent"})
    assert fields_of(refused) == ["target.name"]


class Strange(HttpsServer):
    """Answers each request as it is told."""

    answer: Callable[[Request], Response]

    def routes(self) -> tuple[Route, ...]:
        return tuple(Route("any", method, "/.*", self.answer) for method in ("GET", "POST"))


@pytest.fixture
def strange() -> Iterator[Strange]:
    with Strange(None) as server:
        yield server


DEEP = b'{"result": ' * 5000


@pytest.mark.parametrize(
    ("response", "told"),
    [
        (Response(200, b"<html>"), "is not the API of privacyIDEA"),
        (Response(200, b""), "is not the API of privacyIDEA"),
        (as_json([1, 2]), "is not the API of privacyIDEA"),
        (as_json({"result": {"status": True}}), "is not the API of privacyIDEA"),
        (as_json({"result": {"status": True, "value": {"token": "t\n"}}}), "is not the API of privacyIDEA"),
        (as_json({"result": {"status": True, "value": {"token": "t"}}}), "reading shows nothing of it"),
        (Response(200, DEEP), "is not the API of privacyIDEA"),
        (Response(500, b"Oops"), "answers with HTTP status 500"),
        (Response(301, b"", {"Location": "/elsewhere"}), "redirects a request that changes settings"),
        (Response(307, b"", {"Location": "http://localhost:1/"}), "redirects to another origin"),
        (Response(307, b"", {"Location": "/auth"}), "redirects too often"),
        (Response(307, b"", {"Location": "//[x"}), "is not the API of privacyIDEA"),
        (Response(429, b""), "takes no more requests for now (HTTP status 429)"),
    ],
)
def test_strange_answers_are_one_sentence(filled: Play, strange: Strange, response: Response, told: str) -> None:
    strange.answer = lambda _request: response
    answer = filled("connector_api", **{**TASK, "url": strange.url})
    assert told in answer["msg"]
    assert "\n" not in answer["msg"]
    assert len(answer["msg"]) < 1000


@pytest.mark.parametrize("depth", [50, 500, 2000, 20000])
def test_nested_answers_are_one_sentence_at_any_depth(filled: Play, strange: Strange, depth: int) -> None:
    deep = b'{"result": {"status": true, "value": {"token": "t", "main": {"server": %s%s}}}}'
    strange.answer = lambda _request: Response(200, deep % (b"[" * depth, b"]" * depth))
    answer = filled("connector_api", **{**TASK, "url": strange.url})
    assert answer["msg"] == "url: what answers there is not the API of privacyIDEA."


@pytest.mark.parametrize(
    "data",
    [
        {"results": 5},
        {"results": [{"name": "main", "resourceId": "1"}], "availableForList": 5},
        {"results": [{"name": "main", "resourceId": "\ud800"}]},
    ],
)
def test_other_types_than_keepnet_has_are_one_sentence(filled: Play, strange: Strange, data: Any) -> None:
    strange.answer = lambda _request: as_json({"data": data, "status": "SUCCESS"})
    task = {
        "app": "keepnet",
        "url": strange.url,
        "login": {"token": "a-token-of-a-client"},
        "options": {"leave_out": ["from_address"]},
    }
    answer = filled("connector_api", **{**TASK, **task, "target": {"name": "main"}})
    assert answer["msg"] == "url: what answers there is not the API of Keepnet."


def test_what_is_said_is_without_secrets(filled: Play, strange: Strange) -> None:
    def echo(request: Request) -> Response:
        said = {"result": {"status": False, "error": {"message": f"You sent {request.body.decode()} and {PASSWORD}"}}}
        return as_json(said, 401)

    strange.answer = echo
    answer = json.dumps(filled("connector_api", **{**TASK, "url": strange.url}))
    assert "You sent" in answer
    assert PASSWORD not in answer
    assert LOGIN["password"] not in answer


class PrivacyIdea(HttpsServer):
    """Holds definitions, and forgets nothing of what it was asked."""

    def __init__(self) -> None:
        super().__init__(None)
        self.definitions: dict[str, Any] = {}
        self.when_written: Callable[[], object] = lambda: None

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("auth", "POST", "/auth", lambda _request: self.value({"token": "a-token-of-this-session"})),
            Route("read", "GET", "/smtpserver/", self.read),
            Route("test", "POST", "/smtpserver/send_test_email", lambda _request: self.value(True)),
            Route("write", "POST", "/smtpserver/([^/]+)", self.write),
            Route("remove", "DELETE", "/smtpserver/([^/]+)", self.remove),
        )

    def value(self, value: Any) -> Response:
        return as_json({"result": {"status": True, "value": value}})

    def read(self, _request: Request) -> Response:
        return self.value({name: {**each, "password": "__CENSORED__"} for name, each in self.definitions.items()})

    def write(self, request: Request, name: str) -> Response:
        self.definitions[name] = request.json
        self.when_written()
        return self.value(1)

    def remove(self, _request: Request, name: str) -> Response:
        del self.definitions[name]
        return self.value(1)

    def asked(self) -> list[str]:
        return [each.operation for each in self.requests]


@pytest.fixture
def privacyidea() -> Iterator[PrivacyIdea]:
    with PrivacyIdea() as server:
        yield server


@pytest.fixture
def api(filled: Play, privacyidea: PrivacyIdea) -> Callable[..., dict[str, Any]]:
    return lambda **options: filled("connector_api", **{**TASK, "url": privacyidea.url, **options})


def test_record_that_cannot_be_doubted_before_a_write_is_a_warning(
    api: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    api()

    def fail(_registry: Registry, _work: object) -> None:
        raise RegistryError("The disk is full.")

    monkeypatch.setattr(Registry, "write", fail)
    answer = api(update_secret="always")
    assert answer["changed"]
    assert "is being changed, so a later task may take the former password" in answer["warnings"][0]


def test_registry_that_is_lost_after_a_write_is_a_warning(
    api: Callable[..., dict[str, Any]], privacyidea: PrivacyIdea, registry_path: Path
) -> None:
    privacyidea.when_written = lambda: registry_path.write_bytes(b"no database" * 1000)
    answer = api()
    assert (answer.get("failed", False), answer["changed"], answer["secret"]) == (False, True, "sent")
    assert "The registry could not be read, so what it records of privacyidea" in answer["warnings"][-1]


def test_never_keeps_the_password_out_of_the_test_too(
    filled: Play, api: Callable[..., dict[str, Any]], privacyidea: Any
) -> None:
    # The sentence of ours has words of this password.
    filled("connector", name="main", smtp={"password": "update_secret-and-a-password"})
    api()
    answer = api(update_secret="never", test=True, to="a@example.com")
    assert answer["test"]["status"] == "not_supported"
    assert "update_secret is never" in answer["test"]["text"]
    assert "test" not in privacyidea.asked()


@pytest.mark.parametrize(("held", "secret"), [(PASSWORD, "verified"), ("a-password-of-somebody", "unchanged")])
def test_a_test_proves_only_what_is_known_to_be_the_connectors(
    filled: Play, monkeypatch: pytest.MonkeyPatch, strange: Strange, held: str, secret: str
) -> None:
    fields: dict[str, Any] = {"serverAddress": "mail.example.com"}
    monkeypatch.setattr(Keepnet, "fields", lambda *_asked: fields)
    monkeypatch.setattr(Keepnet, "sign_in", lambda *_asked: None)
    monkeypatch.setattr(Keepnet, "read", lambda *_asked: api_target.Stored("1", fields, Secret(held)))
    monkeypatch.setattr(Keepnet, "test", lambda *_asked: api_target.Tested("ok", is_of_stored=True))
    task = {
        "app": "keepnet",
        "url": strange.url,
        "login": {"token": "a-token-of-a-client"},
        "options": {"leave_out": ["from_address"]},
    }
    answer = filled("connector_api", **{**TASK, **task, "update_secret": "never", "test": True, "to": "a@example.com"})
    assert answer["secret"] == secret
    warned = "is not known to be the password of the connector" in "".join(answer.get("warnings", []))
    assert warned == (secret == "unchanged")


@pytest.fixture
def deleted(filled: Play, api: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """The API, with what was written of a connector that is deleted."""

    def of_deleted(*names: str, **options: Any) -> dict[str, Any]:
        filled("connector", name="short_lived", smtp=SIGNED_IN)
        for name in names:
            assert api(connector="short_lived", target={"name": name} if name else None)["changed"]
        filled("connector", name="short_lived", state="absent")
        return api(connector="short_lived", **options)

    return of_deleted


def orphans(play: Play) -> list[str]:
    return [each["place"].rpartition("=")[2] for each in play("connector_info").get("orphaned_applications", [])]


@pytest.mark.parametrize("state", ["absent", "forgotten"])
def test_what_was_written_of_a_deleted_connector_can_be_removed(
    filled: Play, privacyidea: PrivacyIdea, deleted: Callable[..., dict[str, Any]], state: str
) -> None:
    results = [deleted("", state=state), deleted("other", state=state), deleted(state=state)]
    assert [(each.get("msg"), each["changed"]) for each in results] == [(None, True), (None, True), (None, False)]
    assert sorted(privacyidea.definitions) == ([] if state == "absent" else ["other", "short_lived"])
    assert orphans(filled) == []


def test_all_that_was_written_of_a_deleted_connector_is_forgotten(
    filled: Play, deleted: Callable[..., dict[str, Any]]
) -> None:
    assert deleted("one", "two", state="forgotten")["changed"]
    assert orphans(filled) == []


def test_which_of_several_is_removed_is_asked(filled: Play, deleted: Callable[..., dict[str, Any]]) -> None:
    refused = deleted("one", "two", state="absent")
    assert fields_of(refused) == ["target.name"]
    assert "connector short_lived does not exist any more and is recorded by several names" in refused["msg"]
    assert sorted(orphans(filled)) == ["one", "two"]


def test_what_is_not_recorded_of_a_deleted_connector_needs_a_name_where_that_is_another(filled: Play) -> None:
    task = {"app": "keepnet", "connector": "nobody", "login": {"token": "a-token-of-a-client"}, "state": "absent"}
    assert fields_of(filled("connector_api", **{**TASK, **task})) == ["target.name"]
