# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which fields may not stand together, and what is worth a warning."""

from __future__ import annotations

from typing import Any

import pytest
from unit.plugins.module_utils._connector.given import (
    ACCEPTED,
    GOOGLE_KEY,
    PEM,
    declared,
    planned,
    refused,
    state_of,
    stored,
)

from ansible_collections.mailroom.core.plugins.module_utils._connector.plan import Request

Flat = dict[str, Any]

SMTP: Flat = {"smtp.host": "mail.example.com"}
IMAP: Flat = {"imap.host": "imap.example.com"}
USER: Flat = {"smtp.username": "robot@example.com", "smtp.password": "hunter2"}
IMAP_USER: Flat = {"imap.username": "robot@example.com", "imap.password": "hunter2"}
APP: Flat = {"oauth2.tenant_id": "contoso", "oauth2.client_id": "app"}
BY_SECRET: Flat = {**APP, "oauth2.client_secret": "s3cret"}
MAILBOX: Flat = {"graph.mailbox": "shared@example.com"}
PROXY = "http://proxy.example.com:3128"


def creating(flat: Flat) -> Request:
    return Request(declarations=(declared(flat),))


NOTHING_TO_SIGN_IN_WITH = (
    "{0}.username: is given without a credential: set {0}.password or oauth2, or auth: none to not sign in"
)

VALID: dict[str, Flat] = {
    "a relay without sign-in": {**SMTP, "smtp.relay": True},
    "smtp with a password": {**SMTP, **USER},
    "a user who does not sign in": {**SMTP, "smtp.username": "robot", "smtp.auth": "none"},
    "a user who signs in with a token": {**SMTP, "smtp.username": "robot", **BY_SECRET},
    "a proxy's user without a password": {**SMTP, "smtp.proxy": "http://proxy:3128", "smtp.proxy_username": "robot"},
    "a client secret that expires": {**SMTP, **BY_SECRET, "oauth2.client_secret_expires": "2027-05-31"},
    "receive only": {**IMAP, **IMAP_USER},
    "both ways with the same credentials": {**SMTP, **IMAP, **IMAP_USER, "smtp.same_credentials": True},
    "both ways with two passwords": {**SMTP, **USER, **IMAP, **IMAP_USER},
    "the host by uri": {"smtp.uri": "smtp://mail.example.com:25", "smtp.security": "starttls_optional", **USER},
    "smtps beside tls": {"smtp.uri": "smtps://mail.example.com", "smtp.security": "tls"},
    "the host by provider": {"provider": "gmail", "smtp.relay": False, "imap.mailbox": "INBOX"},
    "smtp with oauth2": {**SMTP, **BY_SECRET, "smtp.username": "robot@example.com"},
    "an oauth2 block beside passwords": {**SMTP, **USER, **BY_SECRET},
    "graph with a secret": {**BY_SECRET, **MAILBOX},
    "graph for the user": {**BY_SECRET, "graph.save_to_sent": True, "oauth2.username": "robot@example.com"},
    "graph with a certificate": {**APP, **MAILBOX, "oauth2.certificate": PEM, "oauth2.certificate_passphrase": "p"},
    "graph with a certificate file": {
        **APP,
        **MAILBOX,
        "oauth2.certificate_file": "/app.pfx",
        "oauth2.certificate_passphrase": "p",
    },
    "graph with an assertion": {**APP, **MAILBOX, "oauth2.assertion_file": "/run/assertion"},
    "graph with an identity": {**MAILBOX, "oauth2.managed_identity": "system"},
    "the resource owner alone": {**APP, **MAILBOX, "oauth2.username": "robot@example.com", "oauth2.password": "p"},
    "the resource owner and the client": {**BY_SECRET, **MAILBOX, "oauth2.username": "robot", "oauth2.password": "p"},
    "a google account": {
        "smtp.host": "smtp.gmail.com",
        "oauth2.service_account": GOOGLE_KEY,
        "oauth2.username": "robot@example.com",
    },
    "another provider": {
        **SMTP,
        "oauth2.token_url": "https://id.example.com/token",
        "oauth2.client_id": "app",
        "oauth2.client_secret": "s",
        "oauth2.username": "robot@example.com",
    },
    "proxies everywhere": {
        **SMTP,
        **IMAP,
        **{f"{block}.proxy": PROXY for block in ("smtp", "imap")},
        **{f"{block}.proxy_username": "robot" for block in ("smtp", "imap")},
        **{f"{block}.proxy_password": "p" for block in ("smtp", "imap")},
    },
    "a mechanism for passwords": {**SMTP, **USER, "smtp.mechanisms": ["CRAM-MD5", "XOAUTH2"]},
}


@pytest.mark.parametrize("case", VALID)
def test_a_valid_connector_is_accepted_and_accepted_again_unchanged(case: str) -> None:
    assert refused(creating(VALID[case]), state_of()) == []
    assert not planned(creating(VALID[case]), state_of(stored(VALID[case]))).changed


ONE_WAY = "oauth2: only one of these can be set:"
NO_WAY = (
    "oauth2: requires one of client_secret, certificate, certificate_file, assertion_file, managed_identity,"
    " service_account, or username and password"
)
READABLE = "gmail microsoft365 outlook_com zoho yahoo icloud fastmail".split()
CONTRADICTIONS: list[tuple[Flat, list[str]]] = [
    ({"description": "nothing"}, ["requires at least one of smtp, imap and graph"]),
    (BY_SECRET, ["requires at least one of smtp, imap and graph"]),
    ({"smtp.relay": True}, ["smtp.host: is required, or a provider that sets it"]),
    ({"provider": "custom", "smtp.relay": True}, ["smtp.host: is required, or a provider that sets it"]),
    ({"imap.mailbox": "INBOX"}, ["imap.host: is required, or a provider that sets it"]),
    (
        {"provider": "postmark", "imap.mailbox": "INBOX"},
        [
            "imap.host: is required: provider postmark has no imap server; providers with one: " + ", ".join(READABLE),
        ],
    ),
    ({**SMTP, "smtp.uri": "smtp://a.example.com"}, ["smtp.host: cannot be combined with uri"]),
    (
        {"smtp.port": 25, "smtp.uri": "smtp://a.example.com"},
        ["smtp.port: cannot be combined with uri"],
    ),
    *(
        (
            {"smtp.uri": "smtps://a.example.com", "smtp.security": security},
            ["smtp.security: must be tls or left out with an smtps:// uri"],
        )
        for security in ("none", "starttls", "starttls_optional")
    ),
    *(
        (
            {f"{block}.host": "h", f"{block}.auth": "password", **user},
            [f"{block}.{missing}: is required to sign in with a password" for missing in missing_ones],
        )
        for block in ("smtp", "imap")
        for user, missing_ones in (
            ({}, ("username", "password")),
            ({f"{block}.username": "robot"}, ("password",)),
            ({f"{block}.password": "p"}, ("username",)),
        )
    ),
    ({**SMTP, **USER, "smtp.auth": "none"}, ["smtp.password: is not allowed with auth none"]),
    ({**IMAP, **IMAP_USER, "imap.auth": "none"}, ["imap.password: is not allowed with auth none"]),
    (
        {**SMTP, **USER, **BY_SECRET, "smtp.auth": "oauth2"},
        ["smtp.password: is not allowed with auth oauth2"],
    ),
    (
        {**SMTP, "smtp.password": "p"},
        ["smtp.password: requires username, and auth password or left out"],
    ),
    ({**SMTP, "smtp.auth": "oauth2"}, ["smtp.auth: oauth2 requires an oauth2 block"]),
    ({**IMAP, "imap.auth": "oauth2"}, ["imap.auth: oauth2 requires an oauth2 block"]),
    ({**SMTP, "smtp.client_key": "/key"}, ["smtp.client_key: requires client_cert"]),
    ({**IMAP, "imap.client_key": "/key"}, ["imap.client_key: requires client_cert"]),
    (
        {**SMTP, **USER, "smtp.mechanisms": ["XOAUTH2"]},
        ["smtp.mechanisms: must contain at least one mechanism for auth password"],
    ),
    (
        {**SMTP, **BY_SECRET, "smtp.mechanisms": ["PLAIN", "CRAM-MD5"]},
        ["smtp.mechanisms: must contain at least one mechanism for auth oauth2"],
    ),
    ({**SMTP, "smtp.username": "robot"}, [NOTHING_TO_SIGN_IN_WITH.format("smtp")]),
    ({**IMAP, "imap.username": "robot"}, [NOTHING_TO_SIGN_IN_WITH.format("imap")]),
    (
        {**SMTP, **IMAP, "imap.username": "robot", "smtp.same_credentials": True},
        [
            NOTHING_TO_SIGN_IN_WITH.format("imap"),
            "smtp.same_credentials: requires an imap block with auth password or oauth2",
        ],
    ),
    (
        {**SMTP, **APP, "oauth2.assertion_file": "/run/assertion", "oauth2.client_secret_expires": "2027-05-31"},
        ["oauth2.client_secret_expires: requires client_secret"],
    ),
    ({**SMTP, "smtp.same_credentials": True}, ["smtp.same_credentials: requires an imap block"]),
    (
        {**SMTP, **IMAP, "smtp.same_credentials": True},
        ["smtp.same_credentials: requires an imap block with auth password or oauth2"],
    ),
    *(
        (
            {**SMTP, **IMAP, **IMAP_USER, "smtp.same_credentials": True, f"smtp.{field}": value},
            [f"smtp.{field}: cannot be combined with same_credentials"],
        )
        for field, value in (("auth", "password"), ("username", "robot"), ("password", "p"))
    ),
    *(
        (
            {**BY_SECRET, **MAILBOX, **SMTP, **IMAP, f"{block}.{field}": value},
            [
                "graph: cannot be combined with smtp: clear one of them",
                "graph: cannot be combined with imap: clear one of them",
                f"{block}.{field}: requires proxy",
            ],
        )
        for block in ("smtp", "imap", "graph", "oauth2")
        for field, value in (("proxy_username", "robot"), ("proxy_password", "p"))
    ),
    (MAILBOX, ["oauth2: is required for graph"]),
    ({**BY_SECRET, "graph.save_to_sent": True}, ["graph.mailbox: is required, or oauth2.username"]),
    (
        {**BY_SECRET, "graph.save_to_sent": True, "oauth2.username": "robot"},
        ["graph.mailbox: is required unless oauth2.username is a mail address"],
    ),
    ({**MAILBOX, **APP}, [NO_WAY]),
    ({**MAILBOX, **APP, "oauth2.username": "robot"}, [NO_WAY]),
    (
        {**MAILBOX, **APP, "oauth2.password": "p"},
        [NO_WAY, "oauth2.username: is required with oauth2.password"],
    ),
    (
        {**MAILBOX, **BY_SECRET, "oauth2.certificate_file": "/app.pfx"},
        [f"{ONE_WAY} client_secret, certificate_file"],
    ),
    (
        {**MAILBOX, **BY_SECRET, "oauth2.certificate": PEM, "oauth2.managed_identity": "system"},
        [f"{ONE_WAY} client_secret, certificate, managed_identity"],
    ),
    (
        {**MAILBOX, "oauth2.client_secret": "s"},
        [
            "oauth2.tenant_id: is required for this way to sign in",
            "oauth2.client_id: is required for this way to sign in",
        ],
    ),
    (
        {**SMTP, "oauth2.token_url": "https://id.example.com/token", "oauth2.client_secret": "s"},
        ["oauth2.client_id: is required for this way to sign in"],
    ),
    *(
        (
            {
                **SMTP,
                "oauth2.token_url": "https://id.example.com/token",
                "oauth2.client_id": "app",
                "oauth2.client_secret": "s",
                f"oauth2.{field}": ACCEPTED[f"oauth2.{field}"],
            },
            [f"oauth2.{field}: cannot be combined with token_url, which is for providers other than Microsoft"],
        )
        for field in ("authority", "cloud", "tenant_id")
    ),
    (
        {**SMTP, "oauth2.service_account": GOOGLE_KEY},
        ["oauth2.username: is required: the user that the service account acts for"],
    ),
    (
        {**MAILBOX, **BY_SECRET, "oauth2.certificate_passphrase": "p"},
        ["oauth2.certificate_passphrase: requires certificate or certificate_file"],
    ),
]


@pytest.mark.parametrize(("flat", "expected"), CONTRADICTIONS, ids=[row[1][-1][:70] for row in CONTRADICTIONS])
def test_a_contradiction_is_told_with_connector_and_field(flat: Flat, expected: list[str]) -> None:
    told = refused(creating(flat), state_of())
    assert sorted(told) == sorted(f"connector alpha: {message}" for message in expected)


def test_all_contradictions_of_all_connectors_are_told_at_once() -> None:
    bad = [declared({"smtp.relay": True}, name="one"), declared({**SMTP, "smtp.auth": "oauth2"}, name="two")]
    good = declared(SMTP, name="three")
    assert refused(Request(declarations=(*bad, good)), state_of()) == [
        "connector one: smtp.host: is required, or a provider that sets it",
        "connector two: smtp.auth: oauth2 requires an oauth2 block",
    ]


def warnings_of(flat: Flat, *existing: Any) -> list[str]:
    return list(planned(creating(flat), state_of(*existing)).warnings)


SPACES = "looks like an app password as it is displayed; if it is refused, give it without the spaces"
WHITE = "begins or ends with white space, which is taken as part of the password"
PASSWORDS: list[tuple[str, list[str]]] = [
    ("abcd efgh ijkl mnop", [SPACES]),
    ("ABCD efgh IJKL mnop", [SPACES]),
    ("abcdefghijklmnop", []),
    ("abcd efgh ijkl", []),
    ("abcd efgh ijkl mnop qrst", []),
    ("abcd efgh ijkl mno1", []),
    ("abcd  efgh ijkl mnop", []),
    ("two words", []),
    (" hunter2", [WHITE]),
    ("hunter2\n", [WHITE]),
    ("abcd efgh ijkl mnop\n", [WHITE]),
]


def test_password_that_was_probably_pasted_is_warned_about() -> None:
    def told(block: str, password: str) -> list[str]:
        warnings = warnings_of({f"{block}.host": "h", f"{block}.username": "robot", f"{block}.password": password})
        return [warning.removeprefix(f"connector alpha: {block}.password: ") for warning in warnings]

    assert [(password, told("smtp", password)) for password, _expected in PASSWORDS] == PASSWORDS
    assert told("imap", PASSWORDS[0][0]) == PASSWORDS[0][1]


def test_a_pasted_password_is_taken_literally_all_the_same() -> None:
    plan = planned(creating({**SMTP, **USER, "smtp.password": "abcd efgh ijkl mnop"}), state_of())
    assert plan.after.connectors["alpha"].secrets["smtp.password"].reveal() == "abcd efgh ijkl mnop"


OWNER: Flat = {**APP, **MAILBOX, "oauth2.username": "robot@example.com", "oauth2.password": "p"}


def test_the_resource_owner_flow_is_warned_about_when_it_is_declared() -> None:
    (warning,) = warnings_of(OWNER)
    assert warning.startswith("connector alpha: oauth2.password: ")
    assert "client credentials" in warning


def test_the_resource_owner_flow_is_warned_about_again_when_its_password_is_kept() -> None:
    (warning,) = warnings_of({"description": "new"}, stored(OWNER))
    assert warning.startswith("connector alpha: oauth2.password: ")


REMARKS: list[tuple[Flat, list[str]]] = [
    ({**SMTP, **USER}, []),
    (SMTP, []),
    ({**SMTP, "smtp.username": "robot", "smtp.auth": "none"}, []),
    (
        {**SMTP, **BY_SECRET},
        ["connector alpha: smtp.username: is missing: most servers refuse a token without a user name"],
    ),
    ({**SMTP, **BY_SECRET, "oauth2.username": "robot@example.com"}, []),
]


PAIRS: list[tuple[str, int, str | None, str]] = [
    ("smtp", 465, "starttls", "starttls is unusual on port 465: use tls on port 465, or starttls on port 587"),
    ("smtp", 465, "none", "none is unusual on port 465: use tls on port 465, or none on port 25"),
    (
        "smtp",
        2465,
        "starttls_optional",
        "starttls_optional is unusual on port 2465: use tls on port 2465, or starttls_optional on port 587",
    ),
    ("smtp", 587, "tls", "tls is unusual on port 587: use starttls on port 587, or tls on port 465"),
    ("smtp", 25, "tls", "tls is unusual on port 25: use starttls on port 25, or tls on port 465"),
    ("imap", 993, "starttls", "starttls is unusual on port 993: use tls on port 993, or starttls on port 143"),
    ("imap", 143, "tls", "tls is unusual on port 143: use starttls on port 143, or tls on port 993"),
    *(("smtp", port, None, "") for port in (25, 465, 587, 2465, 2525, 2587, 8025)),
    *(("imap", port, None, "") for port in (143, 993, 8143)),
    ("smtp", 25, "none", ""),
    ("smtp", 587, "starttls_optional", ""),
    ("smtp", 8465, "tls", ""),
]


def test_unusual_pair_of_port_and_security_is_warned_about_with_the_usual_ones() -> None:
    def told(block: str, port: int, security: str | None) -> str:
        flat = {f"{block}.host": "mail.example.com", f"{block}.port": port}
        warnings = warnings_of({**flat, f"{block}.security": security} if security else flat)
        return "".join(warnings).removeprefix(f"connector alpha: {block}.security: ")

    assert [(*pair, told(*pair)) for *pair, _expected in PAIRS] == PAIRS


def test_pair_of_a_uri_is_compared_as_well() -> None:
    flat = {"smtp.uri": "smtps://mail.example.com:587"}
    assert warnings_of(flat) == [
        "connector alpha: smtp.security: tls is unusual on port 587: use starttls on port 587, or tls on port 465"
    ]


@pytest.mark.parametrize(("flat", "expected"), REMARKS)
def test_what_is_allowed_but_probably_not_meant_is_warned_about(flat: Flat, expected: list[str]) -> None:
    assert warnings_of(flat) == expected


def test_a_warning_comes_with_an_unchanged_connector_too() -> None:
    flat = {**SMTP, **USER, "smtp.password": "abcd efgh ijkl mnop"}
    plan = planned(creating(flat), state_of(stored(flat)))
    assert not plan.changed
    assert len(plan.warnings) == 1
