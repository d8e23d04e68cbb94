# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is derived from what was declared: every default of a connector, and the presets."""

from __future__ import annotations

from typing import Any, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.plugins.module_utils._connector.given import bounded, nested, unchecked

from ansible_collections.mailroom.core.plugins.module_utils._connector import effective as effective_file
from ansible_collections.mailroom.core.plugins.module_utils._connector.effective import (
    connector_type,
    derive_settings,
    resolve_preset,
    with_test_address,
)
from ansible_collections.mailroom.core.plugins.module_utils._connector.presets import PRESETS

Place = tuple[Optional[int], Optional[str]]

HOST = "mail.example.com"


def derived(flat: dict[str, Any], path: str) -> Any:
    block, _dot, inner = path.partition(".")
    value = with_test_address(unchecked(flat).effective_settings).get(block)
    return value.get(inner) if inner and value else value


SMTP_PLACES: dict[Place, tuple[int, str]] = {
    (None, None): (587, "starttls"),
    (465, None): (465, "tls"),
    (2465, None): (2465, "tls"),
    (587, None): (587, "starttls"),
    (2587, None): (2587, "starttls"),
    (25, None): (25, "starttls"),
    (2525, None): (2525, "starttls"),
    (4650, None): (4650, "starttls"),
    (None, "tls"): (465, "tls"),
    (None, "starttls"): (587, "starttls"),
    (None, "starttls_optional"): (587, "starttls_optional"),
    (None, "none"): (25, "none"),
    (465, "starttls"): (465, "starttls"),
    (465, "none"): (465, "none"),
    (587, "tls"): (587, "tls"),
    (25, "starttls_optional"): (25, "starttls_optional"),
}
IMAP_PLACES: dict[Place, tuple[int, str]] = {
    (None, None): (993, "tls"),
    (993, None): (993, "tls"),
    (143, None): (143, "starttls"),
    (1143, None): (1143, "tls"),
    (None, "tls"): (993, "tls"),
    (None, "starttls"): (143, "starttls"),
    (None, "starttls_optional"): (143, "starttls_optional"),
    (None, "none"): (143, "none"),
    (143, "tls"): (143, "tls"),
    (993, "none"): (993, "none"),
}


@pytest.mark.parametrize(("block", "places"), [("smtp", SMTP_PLACES), ("imap", IMAP_PLACES)])
def test_port_and_security_follow_each_other(block: str, places: dict[Place, tuple[int, str]]) -> None:
    def derived_place(port: int | None, security: str | None) -> tuple[int, str]:
        written = {"host": HOST, **({"port": port} if port else {}), **({"security": security} if security else {})}
        flat = {f"{block}.{name}": value for name, value in written.items()}
        return derived(flat, f"{block}.port"), derived(flat, f"{block}.security")

    assert {written: derived_place(*written) for written in places} == places


URIS: list[tuple[str, str | None, int, str]] = [
    ("smtp://mail.example.com", None, 587, "starttls"),
    ("smtp://mail.example.com:25", None, 25, "starttls"),
    ("smtp://mail.example.com;25", None, 25, "starttls"),
    ("smtp://mail.example.com:465", None, 465, "tls"),
    ("smtp://mail.example.com:2465", None, 2465, "tls"),
    ("smtp://mail.example.com", "none", 25, "none"),
    ("smtp://mail.example.com", "tls", 465, "tls"),
    ("smtp://mail.example.com", "starttls_optional", 587, "starttls_optional"),
    ("smtp://mail.example.com:2525", "none", 2525, "none"),
    ("smtps://mail.example.com", None, 465, "tls"),
    ("SMTPS://mail.example.com", None, 465, "tls"),
    ("smtps://mail.example.com:2525", None, 2525, "tls"),
    ("smtps://mail.example.com:587", "tls", 587, "tls"),
]


@pytest.mark.parametrize(("uri", "security", "port", "expected"), URIS)
def test_a_uri_says_host_port_and_security(uri: str, security: str | None, port: int, expected: str) -> None:
    flat = {"smtp.uri": uri, **({"smtp.security": security} if security else {})}
    assert derived(flat, "smtp.host") == HOST
    assert (derived(flat, "smtp.port"), derived(flat, "smtp.security")) == (port, expected)
    assert derived(flat, "smtp.uri") == uri


@bounded
@given(
    st.sampled_from(["mail.example.com", "192.0.2.1", "2001:db8::1"]),
    st.none() | st.integers(1, 65535),
    st.none() | st.sampled_from(["none", "starttls", "starttls_optional", "tls"]),
)
def test_a_uri_means_the_same_as_its_host_and_port(host: str, port: int | None, security: str | None) -> None:
    beside = {"security": security} if security else {}
    written = f"[{host}]" if ":" in host else host
    uri = {"uri": f"smtp://{written}" + (f":{port}" if port else ""), **beside}
    spelled_out = {"host": host, **({"port": port} if port else {}), **beside}
    by_uri = derive_settings({"smtp": uri}, {}, (), "alpha")["smtp"]
    by_host = derive_settings({"smtp": spelled_out}, {}, (), "alpha")["smtp"]
    del by_uri["uri"]
    assert by_uri == by_host


@bounded
@given(
    st.sampled_from(["smtp", "imap"]),
    st.none() | st.integers(1, 65535),
    st.none() | st.sampled_from(sorted(PRESETS)),
)
def test_security_is_never_weak_unless_that_is_written(block: str, port: int | None, provider: str | None) -> None:
    flat = {
        f"{block}.host": HOST,
        **({f"{block}.port": port} if port else {}),
        **({"provider": provider} if provider else {}),
    }
    assert derived(flat, f"{block}.security") in ("tls", "starttls")


USER = {"username": "robot@example.com"}
AUTHS: list[tuple[dict[str, Any], str]] = [
    ({}, "none"),
    ({"B.username": "robot"}, "none"),
    ({"B.username": "robot", "B.password": "p"}, "password"),
    ({"B.username": "robot", "oauth2.client_id": "c"}, "oauth2"),
    ({"oauth2.client_id": "c"}, "oauth2"),
    ({"B.username": "robot", "B.password": "p", "oauth2.client_id": "c"}, "password"),
    ({"B.auth": "none", "B.username": "robot"}, "none"),
    ({"B.auth": "none", "oauth2.client_id": "c"}, "none"),
    ({"B.auth": "oauth2", "oauth2.client_id": "c"}, "oauth2"),
    ({"B.auth": "password", "B.username": "robot", "B.password": "p"}, "password"),
    ({"B.auth": "oauth2", "B.username": "robot", "oauth2.client_secret": "s"}, "oauth2"),
]


@pytest.mark.parametrize(("written", "expected"), AUTHS, ids=[str(row[0]) for row in AUTHS])
def test_auth_follows_from_what_is_there(written: dict[str, Any], expected: str) -> None:
    for block in ("smtp", "imap"):
        flat = {f"{block}.host": HOST, **{path.replace("B.", f"{block}."): value for path, value in written.items()}}
        assert derived(flat, f"{block}.auth") == expected, block


IMAP_USER = {"smtp.host": HOST, "imap.host": HOST, "imap.username": "robot@example.com", "imap.password": "p"}
SAME: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (IMAP_USER, {"auth": "none", "username": None}),
    ({**IMAP_USER, "smtp.same_credentials": False}, {"auth": "none", "username": None}),
    ({**IMAP_USER, "smtp.same_credentials": True}, {"auth": "password", "username": "robot@example.com"}),
    (
        {
            "smtp.host": HOST,
            "imap.host": HOST,
            "smtp.same_credentials": True,
            "oauth2.client_id": "c",
            "oauth2.username": "shared@example.com",
        },
        {"auth": "oauth2", "username": "shared@example.com"},
    ),
]


@pytest.mark.parametrize(("flat", "expected"), SAME)
def test_same_credentials_signs_in_as_the_imap_block_does(flat: dict[str, Any], expected: dict[str, Any]) -> None:
    assert {key: derived(flat, f"smtp.{key}") for key in expected} == expected


FROM = {"from_address": "alerts@example.com"}
TEST_ADDRESSES: dict[str, tuple[dict[str, Any], str | None]] = {
    "a mailbox of graph that sends as another": ({"graph.mailbox": "box@example.com", **FROM}, "alerts@example.com"),
    "the mailbox of graph": ({"graph.mailbox": "box@example.com"}, "box@example.com"),
    "written": ({"smtp.username": "robot@example.com", "test_address": "t@example.com", **FROM}, "t@example.com"),
    "the user who signs in to send": (
        {"smtp.username": "robot@example.com", "smtp.password": "p", **FROM},
        "robot@example.com",
    ),
    "a user who is no address": ({"smtp.username": "apikey", "smtp.password": "p", **FROM}, "alerts@example.com"),
    "nobody signs in": ({"smtp.host": HOST, **FROM}, "alerts@example.com"),
    "a user of another sign-in": (
        {"smtp.username": "apikey", "smtp.password": "p", "oauth2.username": "admin@example.com", **FROM},
        "alerts@example.com",
    ),
    "a user who only reads": ({"smtp.host": HOST, **IMAP_USER, **FROM}, "alerts@example.com"),
    "a user who does not sign in": (
        {"smtp.username": "robot@example.com", "smtp.auth": "none", **FROM},
        "alerts@example.com",
    ),
    "a user who is no address, with a token of one who is": (
        {"smtp.username": "apikey", "oauth2.client_id": "c", "oauth2.username": "robot@example.com", **FROM},
        "robot@example.com",
    ),
    "neither user nor sender": ({"smtp.host": HOST}, None),
    "the same credentials as imap": ({**IMAP_USER, "smtp.same_credentials": True, **FROM}, "robot@example.com"),
    "receive only": ({"imap.host": HOST, "imap.username": "in@example.com", "imap.password": "p"}, "in@example.com"),
    "the user of a token": (
        {"smtp.host": HOST, "oauth2.client_id": "c", "oauth2.username": "robot@example.com", **FROM},
        "robot@example.com",
    ),
    "the user who signs in for graph": (
        {"graph.save_to_sent": True, "oauth2.client_id": "c", "oauth2.username": "robot@example.com", **FROM},
        "robot@example.com",
    ),
    "the user who signs in for graph, not the shared mailbox": (
        {
            "graph.mailbox": "shared@example.com",
            "oauth2.client_id": "c",
            "oauth2.username": "robot@example.com",
            "oauth2.password": "p",
            **FROM,
        },
        "robot@example.com",
    ),
}


@pytest.mark.parametrize("case", TEST_ADDRESSES)
def test_test_address_is_derived_from_who_signs_in_or_sends(case: str) -> None:
    flat, expected = TEST_ADDRESSES[case]
    assert derived(flat, "test_address") == expected


DEFAULTS: list[tuple[dict[str, Any], str, Any]] = [
    ({"smtp.host": HOST}, "display_name", "alpha"),
    ({"smtp.host": HOST, "display_name": "Alpha!"}, "display_name", "Alpha!"),
    ({"smtp.host": HOST}, "enabled", True),
    ({"smtp.host": HOST, "enabled": False}, "enabled", False),
    ({"smtp.host": HOST}, "smtp.validate_certs", True),
    ({"smtp.host": HOST, "smtp.validate_certs": False}, "smtp.validate_certs", False),
    ({"imap.host": HOST}, "imap.validate_certs", True),
    ({"smtp.host": HOST}, "smtp.same_credentials", False),
    ({"smtp.host": HOST}, "smtp.relay", False),
    ({"imap.host": HOST}, "imap.mailbox", "INBOX"),
    ({"imap.host": HOST, "imap.mailbox": "Archive"}, "imap.mailbox", "Archive"),
    ({"graph.ca_file": "/ca"}, "graph.save_to_sent", True),
    ({"graph.ca_file": "/ca", "oauth2.username": "a@example.com"}, "graph.mailbox", "a@example.com"),
    ({"graph.mailbox": "b@example.com", "oauth2.username": "a@example.com"}, "graph.mailbox", "b@example.com"),
    ({"oauth2.client_id": "c"}, "oauth2.cloud", "global"),
    ({"oauth2.client_id": "c", "oauth2.cloud": "china"}, "oauth2.cloud", "china"),
    ({"smtp.host": HOST}, "imap", None),
    ({"imap.host": HOST}, "smtp", None),
    ({"smtp.host": HOST}, "provider", None),
]


def test_default_holds_where_nothing_is_written() -> None:
    assert [(flat, path, derived(flat, path)) for flat, path, _expected in DEFAULTS] == DEFAULTS


def test_nothing_derived_is_stored_and_no_secret_is_derived() -> None:
    flat = {"smtp.host": HOST, "smtp.username": "robot", "smtp.password": "hunter2"}
    connector = unchecked(flat)
    assert connector.settings == {"smtp": {"host": HOST, "username": "robot"}}
    assert "hunter2" not in repr(with_test_address(connector.effective_settings))
    assert connector.settings == {"smtp": {"host": HOST, "username": "robot"}}


@pytest.mark.parametrize(
    ("blocks", "expected"),
    [(["smtp"], "smtp"), (["imap"], "imap"), (["smtp", "imap"], "smtp"), (["graph", "oauth2"], "graph"), ([], "")],
)
def test_the_type_is_what_a_connector_sends_with_else_what_it_reads_with(blocks: list[str], expected: str) -> None:
    assert connector_type({block: {} for block in blocks}) == expected


PROVIDERS: dict[str, tuple[str, str | None, tuple[int, ...]]] = {
    "gmail": ("smtp.gmail.com", "imap.gmail.com", (465, 587)),
    "workspace_relay": ("smtp-relay.gmail.com", None, (465, 587, 25)),
    "microsoft365": ("smtp.office365.com", "outlook.office365.com", (587,)),
    "outlook_com": ("smtp-mail.outlook.com", "outlook.office365.com", (587,)),
    "ses": ("email-smtp.us-east-1.amazonaws.com", None, (465, 2465, 587, 2587, 25)),
    "ses_eu_west_1": ("email-smtp.eu-west-1.amazonaws.com", None, (465, 2465, 587, 2587, 25)),
    "ses_us_gov_west_1": ("email-smtp.us-gov-west-1.amazonaws.com", None, (465, 2465, 587, 2587, 25)),
    "sendgrid": ("smtp.sendgrid.net", None, (465, 587, 2525)),
    "mailgun": ("smtp.mailgun.org", None, (465, 587, 2525)),
    "postmark": ("smtp.postmarkapp.com", None, (587, 2525, 25)),
    "mailjet": ("in-v3.mailjet.com", None, (465, 587, 2525)),
    "brevo": ("smtp-relay.brevo.com", None, (465, 587, 2525)),
    "sparkpost": ("smtp.sparkpostmail.com", None, (587, 2525)),
    "zoho": ("smtp.zoho.com", "imap.zoho.com", (465, 587)),
    "yahoo": ("smtp.mail.yahoo.com", "imap.mail.yahoo.com", (465,)),
    "icloud": ("smtp.mail.me.com", "imap.mail.me.com", (587,)),
    "fastmail": ("smtp.fastmail.com", "imap.fastmail.com", (465,)),
    "proton": ("smtp.protonmail.ch", None, (587,)),
}


def test_provider_fills_host_port_and_security() -> None:
    for provider, (smtp, imap, ports) in PROVIDERS.items():
        flat = {"provider": provider, "smtp.validate_certs": True, **({"imap.validate_certs": True} if imap else {})}
        smtp_place = [derived(flat, f"smtp.{key}") for key in ("host", "port", "security")]
        assert smtp_place == [smtp, *SMTP_PLACES[ports[0], None]], provider
        assert set(ports) <= set(PRESETS[provider]["ports"]), provider
        imap_place = imap and [derived(flat, f"imap.{key}") for key in ("host", "port", "security")]
        assert imap_place == (imap and [imap, 993, "tls"]), provider
        assert ("imap" in PRESETS[provider]) == bool(imap), provider


def test_every_preset_requires_encryption_and_says_how_to_sign_in() -> None:
    for provider, preset in PRESETS.items():
        assert preset["sign_in"].strip(), provider
        assert preset["ports"][0] == preset["smtp"]["port"], provider
        for block in {"smtp", "imap"} & preset.keys():
            assert set(preset[block]) == {"host", "port", "security"}, provider
            assert preset[block]["security"] in ("tls", "starttls"), provider
            places = SMTP_PLACES if block == "smtp" else IMAP_PLACES
            place = (preset[block]["port"], preset[block]["security"])
            assert places[preset[block]["port"], None] == place, provider


WINS: list[tuple[dict[str, Any], tuple[str, int, str]]] = [
    ({"smtp.relay": True}, ("smtp.gmail.com", 465, "tls")),
    ({"smtp.host": HOST}, (HOST, 465, "tls")),
    ({"smtp.port": 587}, ("smtp.gmail.com", 587, "starttls")),
    ({"smtp.security": "starttls"}, ("smtp.gmail.com", 587, "starttls")),
    ({"smtp.port": 587, "smtp.security": "none"}, ("smtp.gmail.com", 587, "none")),
    ({"smtp.uri": "smtp://mail.example.com"}, (HOST, 587, "starttls")),
]


@pytest.mark.parametrize(("written", "expected"), WINS, ids=[str(row[0]) for row in WINS])
def test_what_is_given_explicitly_wins_over_the_provider(
    written: dict[str, Any], expected: tuple[str, int, str]
) -> None:
    flat = {"provider": "gmail", **written}
    assert tuple(derived(flat, f"smtp.{key}") for key in ("host", "port", "security")) == expected


@pytest.mark.parametrize("provider", [None, "custom"])
def test_a_custom_provider_fills_nothing(provider: str | None) -> None:
    settings = {"smtp": {}, **({"provider": provider} if provider else {})}
    assert resolve_preset(settings, {}, {}) == {}


OLD = {"smtp": {"host": "old.example.com", "port": 465, "security": "tls"}}
NEW = {
    "smtp": {"host": "new.example.com", "port": 587, "security": "starttls"},
    "imap": {"host": "imap.example.com", "port": 993, "security": "tls"},
}


@pytest.fixture
def upgraded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(effective_file.PRESETS, "gmail", {**NEW, "ports": (587,), "sign_in": "so"})


@pytest.mark.usefixtures("upgraded")
@pytest.mark.parametrize(
    ("settings", "before", "expected"),
    [
        ({"provider": "gmail", "smtp": {}}, {"provider": "gmail", "smtp": {}}, OLD),
        ({"provider": "gmail", "smtp": {"port": 25}}, {"provider": "gmail", "smtp": {}}, OLD),
        ({"provider": "gmail", "smtp": {}}, {"provider": "yahoo", "smtp": {}}, {"smtp": NEW["smtp"]}),
        ({"provider": "gmail", "smtp": {}}, {"smtp": {}}, {"smtp": NEW["smtp"]}),
        (
            {"provider": "gmail", "smtp": {}, "imap": {}},
            {"provider": "gmail", "smtp": {}},
            {**OLD, "imap": NEW["imap"]},
        ),
        ({"provider": "gmail", "imap": {}}, {"provider": "gmail", "smtp": {}}, {"imap": NEW["imap"]}),
        ({"provider": "custom", "smtp": {}}, {"provider": "gmail", "smtp": {}}, {}),
        ({"smtp": {}}, {"provider": "gmail", "smtp": {}}, {}),
    ],
)
def test_an_upgrade_moves_no_connector_until_its_provider_changes(
    settings: dict[str, Any], before: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert resolve_preset(settings, before, OLD) == expected


@pytest.mark.usefixtures("upgraded")
def test_a_stored_connector_is_read_with_the_preset_of_its_time() -> None:
    settings = nested({"provider": "gmail", "smtp.username": "robot"})
    assert derive_settings(settings, OLD, (), "alpha")["smtp"]["host"] == "old.example.com"
