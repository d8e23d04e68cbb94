# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is around the conversations: who goes after whom, who is not tried again, what deserves a warning."""

from __future__ import annotations

import sys
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from peers.connectors import job as connector_job

from ansible_collections.mailroom.core.plugins.module_utils._auth.identity import identity
from ansible_collections.mailroom.core.plugins.module_utils._check.credentials import RejectedCredentials
from ansible_collections.mailroom.core.plugins.module_utils._check.job import Job
from ansible_collections.mailroom.core.plugins.module_utils._check.result import EndpointResult
from ansible_collections.mailroom.core.plugins.module_utils._check.runner import _group_by_account
from ansible_collections.mailroom.core.plugins.module_utils._check.warnings import (
    RETIREMENTS,
    retirement_of,
    warnings_of,
)
from ansible_collections.mailroom.core.plugins.module_utils._connector.redaction import Redaction
from ansible_collections.mailroom.core.plugins.module_utils._connector.secret import Secret
from ansible_collections.mailroom.core.plugins.module_utils._connector.state import Connector
from ansible_collections.mailroom.core.plugins.module_utils._module.jobs import make_job
from ansible_collections.mailroom.core.plugins.module_utils._net.clock import Clock
from ansible_collections.mailroom.core.plugins.module_utils._net.record import Phase, Record
from ansible_collections.mailroom.core.plugins.module_utils._protocol.smtp import SmtpSession
from ansible_collections.mailroom.core.plugins.module_utils._verdict.observation import Observation, ProbeError

Server = dict[str, Any]


def _server(**more: Any) -> Server:
    server = {"host": "mail.example.com", "port": 587, "security": "starttls", "validate_certs": True}
    return {**server, "auth": "password", "username": "ann@example.com", **more}


def _job(smtp: Server | None = None, imap: Server | None = None, password: str = "secret", **more: Any) -> Job:
    blocks = {name: server for name, server in (("smtp", smtp), ("imap", imap)) if server}
    return connector_job("alpha", {**blocks, **more}, {f"{name}.password": Secret(password) for name in blocks})


def _user(name: str, host: str = "mail.example.com") -> Server:
    return _server(username=name, host=host)


GROUPS: dict[str, tuple[list[Job], list[list[int]]]] = {
    "none": ([], []),
    "all different": ([_job(_user("a")), _job(_user("b"))], [[0], [1]]),
    "the same": ([_job(_user("a")), _job(_user("b")), _job(_user("a"))], [[0, 2], [1]]),
    "the host's case does not matter": ([_job(_user("a")), _job(_user("a", "MAIL.example.com"))], [[0, 1]]),
    "the same user at another host of the site": ([_job(_user("a")), _job(_user("a", "other.example.com"))], [[0, 1]]),
    "the same user at another site": ([_job(_user("a")), _job(_user("a", "mail.example.org"))], [[0], [1]]),
    "the same user at other addresses": ([_job(_user("a", "192.0.2.1")), _job(_user("a", "192.0.2.2"))], [[0], [1]]),
    "the same user, another password": ([_job(_user("a")), _job(_user("a"), password="other")], [[0, 1]]),
    "the user's case does not matter": ([_job(_user("a")), _job(_user("A"))], [[0, 1]]),
    "across protocols": ([_job(_user("a")), _job(imap=_user("a"))], [[0, 1]]),
    "nobody signs in": ([_job(_server(auth="none")), _job(_server(auth="none"))], [[0], [1]]),
    "joined by a third": (
        [_job(_user("a")), _job(_user("b")), _job(_user("c")), _job(_user("a"), _user("b"))],
        [[0, 1, 3], [2]],
    ),
    "joined, then joined again": (
        [
            _job(_user("a")),
            _job(_user("b")),
            _job(_user("a"), _user("b")),
            _job(_user("b"), _user("c")),
            _job(_user("c")),
        ],
        [[0, 1, 2, 3, 4]],
    ),
    "in a chain": ([_job(_user(one), _user(other)) for one, other in ("ab", "cd", "bc")], [[0, 1, 2]]),
}


@pytest.mark.parametrize(("jobs", "groups"), GROUPS.values(), ids=GROUPS)
def test_those_who_sign_in_as_the_same_user_go_one_after_another(jobs: list[Job], groups: list[list[int]]) -> None:
    assert sorted(_group_by_account(jobs)) == groups


REFUSED = Observation("reply", "auth", "smtp", 535, "5.7.8", "No", refused="everywhere")


def test_a_refused_credential_is_not_tried_again_over_any_protocol() -> None:
    refusals = RejectedCredentials()
    assert refusals.earlier(["ann"], "imap") is None
    refusals.note(["ann", "ann at another name"], "smtp", REFUSED, "mail.example.com port 587")
    for known in ("ann", "ann at another name"):
        earlier = refusals.earlier(["nobody", known], "imap")
        assert earlier
        assert earlier.text.startswith("No (")
        assert "mail.example.com port 587" in earlier.text
        assert "not tried again" in earlier.text
    assert refusals.earlier(["bob"], "smtp") is None


def test_a_credential_refused_over_one_protocol_may_be_tried_over_another() -> None:
    refusals = RejectedCredentials()
    refusals.note(["ann"], "smtp", REFUSED.with_context(refused="here"))
    assert refusals.earlier(["ann"], "smtp") is not None
    assert refusals.earlier(["ann"], "imap") is None


def test_a_failure_that_refused_nothing_is_not_kept() -> None:
    refusals = RejectedCredentials()
    refusals.note(["ann"], "smtp", REFUSED.with_context(refused=""))
    assert refusals.earlier(["ann"], "smtp") is None


def test_the_first_refusal_is_the_one_that_is_told() -> None:
    refusals = RejectedCredentials()
    refusals.note(["ann"], "smtp", REFUSED)
    refusals.note(["ann"], "imap", REFUSED.with_context(text="Again"))
    earlier = refusals.earlier(["ann"], "imap")
    assert earlier
    assert earlier.text.count("not tried again") == 1
    assert earlier.text.startswith("No ")


@pytest.mark.parametrize(
    ("one", "other", "are_the_same"),
    [
        (("smtp.example.com", "ann", "a"), ("imap.example.com", "ann", "a"), True),
        (("smtp.example.com", "ann", "a"), ("SMTP.EXAMPLE.COM.", "ann", "a"), True),
        (("smtp.example.com", "ann", "a"), ("smtp.example.com", "bob", "a"), False),
        (("smtp.example.com", "ann", "a"), ("smtp.example.com", "ann", "b"), False),
        (("smtp.example.com", "ann", "a"), ("smtp.example.org", "ann", "a"), False),
        (("192.0.2.1", "ann", "a"), ("192.0.2.2", "ann", "a"), False),
        (("2001:db8::a", "ann", "a"), ("2001:db8::b", "ann", "a"), False),
        (("smtp.m\u00fcller.example", "ann", "a"), ("smtp.xn--mller-kva.example.", "ann", "a"), True),
        (("smtp.example.com", "Ann@Example.com", "a"), ("smtp.example.com", "ann@example.com", "a"), True),
        (("smtp.example.com", "ann", "a"), ("smtp.example.com", "ann", "A"), False),
        (("localhost", "ann", "a"), ("localhost", "ann", "a"), True),
    ],
)
def test_whose_credentials_are_the_same(one: tuple[str, ...], other: tuple[str, ...], *, are_the_same: bool) -> None:
    found = [identity(host, user, Secret(password)) for host, user, password in (one, other)]
    assert (found[0] == found[1]) == are_the_same
    assert "ann" not in found[0]


GOOD = {"version": "TLSv1.3", "days_left": 90, "not_after": "2030-01-01T00:00:00Z", "signature_hash": "sha256"}
# What differs from a connector that works well: the server, what TLS says, the connector; and the warnings.
REMARKS: dict[str, tuple[Server, dict[str, Any] | None, dict[str, Any], set[str]]] = {
    "all is well": ({}, GOOD, {}, set()),
    "optional and encrypted": ({"security": "starttls_optional"}, GOOD, {}, {"starttls_optional"}),
    "optional, not encrypted": (
        {"security": "starttls_optional"},
        None,
        {},
        {"starttls_optional", "cleartext_login"},
    ),
    "without encryption": ({"security": "none"}, None, {}, {"cleartext_login"}),
    "without encryption or sign-in": ({"security": "none", "auth": "none", "username": ""}, None, {}, set()),
    "unchecked": ({"validate_certs": False}, GOOD, {}, {"certificate_unchecked"}),
    "unchecked without encryption": (
        {"validate_certs": False, "security": "none"},
        None,
        {},
        {"cleartext_login"},
    ),
    "near the end": ({}, {**GOOD, "days_left": 13}, {}, {"certificate_ends"}),
    "not near the end": ({}, {**GOOD, "days_left": 14}, {}, set()),
    "the last day": ({}, {**GOOD, "days_left": 0}, {}, {"certificate_ends"}),
    "an end that is not known": ({}, {**GOOD, "days_left": None}, {}, set()),
    "SHA-1": ({}, {**GOOD, "signature_hash": "sha1"}, {}, {"certificate_weak"}),
    "MD5": ({}, {**GOOD, "signature_hash": "md5"}, {}, {"certificate_weak"}),
    "TLS 1.2": ({}, {**GOOD, "version": "TLSv1.2"}, {}, {"tls_old"}),
    "another domain": ({}, GOOD, {"from_address": "ann@example.org"}, {"from_domain_differs"}),
    "the same domain": ({}, GOOD, {"from_address": "bob@EXAMPLE.com"}, set()),
    "another domain, meant to": ({"relay": True}, GOOD, {"from_address": "ann@example.org"}, set()),
    "a user without a domain": ({"username": "ann"}, GOOD, {"from_address": "ann@example.org"}, set()),
    "a provider that ends this": ({"host": "smtp.office365.com"}, GOOD, {}, {"basic_auth_retirement"}),
    "the same with oauth2": ({"host": "smtp.office365.com", "auth": "oauth2"}, GOOD, {}, set()),
}


def _codes(server: Server, tls: dict[str, Any] | None, connector: dict[str, Any], *phases: str) -> set[str]:
    job = _job(_server(**server), **connector)
    endpoint, record = job.endpoints()[0], Record("smtp")
    record.phases = [Phase(name) for name in phases]
    session = SmtpSession(endpoint, Clock(5, 5), record, Redaction())
    session.connection.tls = tls
    session.connection.is_encrypted = tls is not None
    session.has_sent_credentials = "auth" in phases
    return {remark.code for remark in warnings_of(job, endpoint, session, 14)}


@pytest.mark.parametrize(("server", "tls", "connector", "codes"), REMARKS.values(), ids=REMARKS)
def test_warnings_of_an_endpoint(
    server: Server, tls: dict[str, Any] | None, connector: dict[str, Any], codes: set[str]
) -> None:
    phases = [] if server.get("auth") == "none" else ["auth"]
    assert _codes(server, tls, connector, *phases) == codes


@pytest.mark.parametrize(
    ("server", "is_told"),
    [
        ({"port": 25}, True),
        ({"uri": "smtp://mail.example.com:25"}, True),
        ({"port": 25, "security": "starttls"}, False),
        ({"uri": "smtps://mail.example.com:25"}, False),
        ({"port": 587}, False),
    ],
)
def test_port_25_that_means_starttls_by_itself_is_told(server: Server, is_told: bool) -> None:
    settings = {"smtp": server if "uri" in server else {"host": "mail.example.com", **server}}
    job = make_job(Connector("alpha", settings), {})
    session = SmtpSession(job.endpoints()[0], Clock(5, 5), Record("smtp"), Redaction())
    codes = {remark.code for remark in warnings_of(job, job.endpoints()[0], session, 14)}
    assert ("security_assumed" in codes) is is_told


@pytest.mark.parametrize(
    ("days", "auth", "told"),
    [
        (-1, "oauth2", "oauth2.client_secret has expired, on {} as declared"),
        (0, "oauth2", "oauth2.client_secret expires in 0 days, on {} as declared"),
        (13, "oauth2", "oauth2.client_secret expires in 13 days, on {} as declared"),
        (14, "oauth2", None),
        (3, "password", None),
    ],
)
def test_client_secret_near_its_declared_end_is_told(
    monkeypatch: pytest.MonkeyPatch, days: int, auth: str, told: str | None
) -> None:
    class Noon(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime(2027, 5, 17, 12, tzinfo=tz)

    monkeypatch.setattr(sys.modules[warnings_of.__module__], "datetime", Noon)
    expires = (date(2027, 5, 17) + timedelta(days=days)).isoformat()
    job = _job(_server(auth=auth), oauth2={"client_secret_expires": expires})
    session = SmtpSession(job.endpoints()[0], Clock(5, 5), Record("smtp"), Redaction())
    found = [
        each.text for each in warnings_of(job, job.endpoints()[0], session, 14) if each.code == "client_secret_ends"
    ]
    assert found == ([told.format(expires)] if told else [])


def test_a_password_that_was_not_sent_crosses_no_network() -> None:
    assert _codes({"security": "none"}, None, {}, "tcp") == set()


def test_an_expired_certificate_does_not_end_in_the_future() -> None:
    job = _job(_server(validate_certs=False))
    session = SmtpSession(job.endpoints()[0], Clock(5, 5), Record("smtp"), Redaction())
    session.connection.tls = {**GOOD, "days_left": -3}
    texts = [remark.text for remark in warnings_of(job, job.endpoints()[0], session, 14)]
    assert not [text for text in texts if "-3 days" in text]


HOSTS: tuple[tuple[str, str, bool], ...] = (
    ("smtp.office365.com", "smtp", True),
    ("SMTP.Office365.com", "smtp", True),
    ("smtp-mail.outlook.com", "smtp", True),
    ("outlook.office365.com", "imap", True),
    ("office365.com", "imap", True),
    ("notoffice365.com", "smtp", False),
    ("office365.com.example.com", "smtp", False),
    ("mail.example.com", "smtp", False),
)


@pytest.mark.parametrize(("host", "protocol", "is_retired"), HOSTS)
def test_retirements_are_told_by_host(host: str, protocol: str, is_retired: bool) -> None:
    assert (retirement_of(host, protocol) is not None) == is_retired


def test_retirements_are_dated() -> None:
    for retirement in RETIREMENTS:
        year, month, day = map(int, retirement.announced.split("-"))
        assert 2020 <= year <= 2100
        assert 1 <= month <= 12
        assert 1 <= day <= 31
        assert all(host.startswith(".") for host in retirement.hosts)


@pytest.mark.parametrize("user", ["ann", "ann@", "ann@mail example", "ann@example.com> SIZE=1", "<ann@example.com"])
def test_a_user_who_is_no_address_is_no_sender(user: str) -> None:
    assert _job(_user(user)).connector.envelope_sender == ""
    assert _job(_user("ann@example.com")).connector.envelope_sender == "ann@example.com"


def test_wait_for_another_sign_in_that_takes_too_long_fails_in_the_phase_auth() -> None:
    refusals, record = RejectedCredentials(), Record("smtp")
    session = SmtpSession(_job(_server()).endpoints()[0], Clock(0.1, 5), record, Redaction())
    with refusals.turn("ann", session), pytest.raises(ProbeError) as stopped, refusals.turn("ann", session):
        pass
    assert (stopped.value.observation.kind, stopped.value.observation.phase) == ("timeout", "auth")
    assert [(phase.phase, phase.status) for phase in record.phases] == [("auth", "fail")]
    with refusals.turn("ann", session), refusals.turn("bob", session):
        pass


def test_what_a_result_holds_is_redacted_even_in_fields_that_nobody_has_thought_of() -> None:
    secret, job = "hunter2-not-to-be-seen", _job(_server(host="hunter2.example.com"))
    redact = Redaction([Secret(secret)])
    session = SmtpSession(job.endpoints()[0], Clock(5, 5), Record("smtp"), redact)
    session.connection.address = f"address {secret}"
    session.connection.tls = {"of_tomorrow": {"deep": [secret.upper()]}}
    session.capabilities = {"after_everything": [secret[:12], secret[12:]]}
    result = EndpointResult(session.endpoint, session.record, redact, session)
    result.message = {"message_id": "<1@hunter2.example.com>", "of_tomorrow": secret}
    shown = result.to_dict()
    assert shown["host"] == "hunter2.example.com"
    assert shown["address"] == "address ********"
    assert shown["tls"] == {"of_tomorrow": {"deep": ["********"]}}
    assert shown["capabilities"] == {"after_everything": ["********", "********"]}
    assert shown["message"] == {"message_id": "<1@hunter2.example.com>", "of_tomorrow": "********"}
