# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rule 5: a stored secret is never offered to a new place."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.plugins.module_utils._connector.given import (
    GOOGLE_KEY,
    PEM,
    SECRET_VALUES,
    applied,
    bounded,
    declared,
    nested,
    planned,
    refused,
    sealed,
    state_of,
    stored,
)

from ansible_collections.mailroom.core.plugins.module_utils._connector.effective import with_test_address
from ansible_collections.mailroom.core.plugins.module_utils._connector.plan import Request
from ansible_collections.mailroom.core.plugins.module_utils._connector.secret_destinations import (
    destination,
    destination_digest,
)
from ansible_collections.mailroom.core.plugins.module_utils._connector.state import Connector, State
from ansible_collections.mailroom.core.plugins.module_utils._errors import DeclarationError

Flat = dict[str, Any]

SMTP: Flat = {
    "smtp.host": "mail.example.com",
    "smtp.username": "robot@example.com",
    "smtp.password": SECRET_VALUES["smtp.password"],
}
IMAP: Flat = {
    "imap.host": "imap.example.com",
    "imap.username": "robot@example.com",
    "imap.password": SECRET_VALUES["imap.password"],
}
BOTH = {**SMTP, **IMAP}
SHARED: Flat = {**IMAP, "smtp.host": "mail.example.com", "smtp.same_credentials": True}
PROXIED: Flat = {
    **SMTP,
    "smtp.proxy": "http://proxy.example.com:3128",
    "smtp.proxy_username": "robot",
    "smtp.proxy_password": SECRET_VALUES["smtp.proxy_password"],
}
APP: Flat = {"oauth2.tenant_id": "contoso", "oauth2.client_id": "app"}
BY_SECRET: Flat = {**APP, "oauth2.client_secret": SECRET_VALUES["oauth2.client_secret"]}
GRAPH: Flat = {**BY_SECRET, "graph.mailbox": "shared@example.com"}
GRAPH_PROXIED: Flat = {
    **GRAPH,
    "graph.proxy": "http://proxy.example.com:3128",
    "graph.proxy_username": "robot",
    "graph.proxy_password": SECRET_VALUES["graph.proxy_password"],
}
BY_CERTIFICATE: Flat = {
    **APP,
    "graph.mailbox": "shared@example.com",
    "oauth2.certificate": PEM,
    "oauth2.certificate_passphrase": SECRET_VALUES["oauth2.certificate_passphrase"],
}
BY_OWNER: Flat = {
    **GRAPH,
    "oauth2.username": "robot@example.com",
    "oauth2.password": SECRET_VALUES["oauth2.password"],
}
BY_GOOGLE: Flat = {
    "smtp.host": "smtp.gmail.com",
    "oauth2.username": "robot@example.com",
    "oauth2.service_account": SECRET_VALUES["oauth2.service_account"],
}
OTHER_PROVIDER: Flat = {
    "smtp.host": "mail.example.com",
    "smtp.username": "robot@example.com",
    "oauth2.client_id": "app",
    "oauth2.token_url": "https://id.example.com/token",
    "oauth2.client_secret": SECRET_VALUES["oauth2.client_secret"],
}
IMAP_TOKEN: Flat = {"imap.host": "imap.example.com", "imap.username": "robot@example.com", "imap.auth": "oauth2"}
SMTP_TOKEN: Flat = {**BY_SECRET, "smtp.host": "mail.example.com", "smtp.username": "robot@example.com"}


class Case(NamedTuple):
    name: str
    before: Flat
    change: Flat
    clear: tuple[str, ...] = ()
    again: tuple[str, ...] = ()


def with_security(block: Flat, security: str) -> Flat:
    (name,) = {path.partition(".")[0] for path in block}
    return {**block, f"{name}.security": security}


def with_mechanisms(block: str, mechanisms: list[str]) -> Flat:
    return {f"{block}.mechanisms": mechanisms} if mechanisms else {}


OLD_URI = "smtp://mail.example.com:587"
SMTP_BY_URI = {"smtp.uri": OLD_URI, "smtp.username": "robot@example.com", "smtp.password": "p"}
PASS, IPASS, SECRET = ("smtp.password",), ("imap.password",), ("oauth2.client_secret",)
CERTIFICATE = ("oauth2.certificate", "oauth2.certificate_passphrase")
OWNER = ("oauth2.client_secret", "oauth2.password")
ACCOUNT = ("oauth2.service_account",)

MOVES: list[Case] = [
    Case("another host", SMTP, {"smtp.host": "evil.example.com"}, again=PASS),
    Case("another host beside the imap one", BOTH, {"smtp.host": "evil.example.com"}, again=PASS),
    Case("another host by uri", SMTP, {"smtp.uri": "smtp://evil.example.com"}, again=PASS),
    Case("another host in the uri", SMTP_BY_URI, {"smtp.uri": "smtp://evil.example.com:587"}, again=PASS),
    Case("another host in place of the uri", SMTP_BY_URI, {"smtp.host": "evil.example.com"}, again=PASS),
    Case("another host by provider", {**SMTP, "provider": "gmail"}, {}, clear=("smtp.host",), again=PASS),
    Case(
        "another provider",
        {"provider": "gmail", "smtp.username": "robot", "smtp.password": "p"},
        {"provider": "yahoo"},
        again=PASS,
    ),
    Case("another service on the host", SMTP, {"smtp.port": 8025}, again=PASS),
    Case("another service by uri", SMTP, {"smtp.uri": "smtp://mail.example.com:8025"}, again=PASS),
    Case("reading at the sending port", IMAP, {"imap.port": 587}, again=IPASS),
    Case("sending at the reading port", SMTP, {"smtp.port": 993}, again=PASS),
    Case("back from another service", {**SMTP, "smtp.port": 8025}, {"smtp.port": 587}, again=PASS),
    Case("another user", SMTP, {"smtp.username": "other@example.com"}, again=PASS),
    Case("a proxy", SMTP, {"smtp.proxy": "http://proxy.example.com:3128"}, again=PASS),
    Case("no proxy any more", PROXIED, {}, clear=("smtp.proxy",), again=PASS),
    Case(
        "another proxy",
        PROXIED,
        {"smtp.proxy": "http://evil.example.com:3128"},
        again=("smtp.password", "smtp.proxy_password"),
    ),
    Case("another user at the proxy", PROXIED, {"smtp.proxy_username": "other"}, again=("smtp.proxy_password",)),
    *(
        Case(f"from {old} to {new}", with_security(SMTP, old), {"smtp.security": new}, again=PASS)
        for old, new in (
            ("tls", "none"),
            ("tls", "starttls_optional"),
            ("starttls", "none"),
            ("starttls", "starttls_optional"),
            ("starttls_optional", "none"),
        )
    ),
    Case("certificates not checked any more", SMTP, {"smtp.validate_certs": False}, again=PASS),
    Case("another imap host", IMAP, {"imap.host": "evil.example.com"}, again=IPASS),
    Case("another imap user", IMAP, {"imap.username": "other@example.com"}, again=IPASS),
    Case("an imap proxy", IMAP, {"imap.proxy": "socks5://proxy.example.com:1080"}, again=IPASS),
    Case("weaker imap security", IMAP, {"imap.security": "none"}, again=IPASS),
    Case("imap certificates not checked any more", IMAP, {"imap.validate_certs": False}, again=IPASS),
    Case(
        "the imap password for smtp too",
        IMAP,
        {"smtp.host": "mail.example.com", "smtp.same_credentials": True},
        again=IPASS,
    ),
    Case(
        "the imap password in place of the smtp one",
        {**BOTH},
        {"smtp.same_credentials": True},
        again=IPASS,
    ),
    Case("another host that shares the imap password", SHARED, {"smtp.host": "evil.example.com"}, again=IPASS),
    Case("weaker security that shares the imap password", SHARED, {"smtp.security": "none"}, again=IPASS),
    Case("unchecked certificates that share the imap password", SHARED, {"smtp.validate_certs": False}, again=IPASS),
    Case("a proxy that shares the imap password", SHARED, {"smtp.proxy": "http://p.example.com:1"}, again=IPASS),
    Case("another graph endpoint", GRAPH, {"graph.url": "https://evil.example.com"}, again=SECRET),
    Case(
        "no graph endpoint of its own any more",
        {**GRAPH, "graph.url": "https://graph.example.com"},
        {},
        clear=("graph.url",),
        again=SECRET,
    ),
    Case(
        "another proxy to graph",
        GRAPH_PROXIED,
        {"graph.proxy": "http://evil.example.com:3128"},
        again=("graph.proxy_password", "oauth2.client_secret"),
    ),
    *(
        Case(f"another {field} for {before_name}", before, {f"oauth2.{field}": value}, again=again)
        for field, value in (
            ("tenant_id", "evil"),
            ("client_id", "evil"),
            ("authority", "https://evil.example.com"),
            ("cloud", "china"),
            ("proxy", "http://evil.example.com:3128"),
        )
        for before_name, before, again in (
            ("a client secret", GRAPH, SECRET),
            ("a certificate", BY_CERTIFICATE, CERTIFICATE),
            ("a resource owner", BY_OWNER, OWNER),
        )
        if before is GRAPH or field == "tenant_id"
    ),
    Case("the cloud written out", {**GRAPH, "oauth2.cloud": "china"}, {}, clear=("oauth2.cloud",), again=SECRET),
    Case("another token endpoint", OTHER_PROVIDER, {"oauth2.token_url": "https://evil.example.com/x"}, again=SECRET),
    Case("another client at a token endpoint", OTHER_PROVIDER, {"oauth2.client_id": "evil"}, again=SECRET),
    Case("another user of a service account", BY_GOOGLE, {"oauth2.username": "boss@example.com"}, again=ACCOUNT),
    Case(
        "a token endpoint for a service account",
        BY_GOOGLE,
        {"oauth2.token_url": "https://evil.example.com/x", "oauth2.client_id": "c"},
        again=ACCOUNT,
    ),
    Case("the token for another host", SMTP_TOKEN, {"smtp.host": "evil.example.com"}, again=SECRET),
    Case("the token over weaker security", SMTP_TOKEN, {"smtp.security": "none"}, again=SECRET),
    Case("the token without checking certificates", SMTP_TOKEN, {"smtp.validate_certs": False}, again=SECRET),
    Case(
        "the token for one more server",
        SMTP_TOKEN,
        {"imap.host": "imap.example.com", "imap.username": "robot@example.com"},
        again=SECRET,
    ),
    *(
        Case(f"{what} {block} ca_file", {**before, **old}, new, clear=clear, again=again)
        for block, before, again in (
            ("smtp", SMTP, PASS),
            ("imap", IMAP, IPASS),
            ("graph", GRAPH, SECRET),
            ("oauth2", GRAPH, SECRET),
            ("smtp", SHARED, IPASS),
            ("smtp", SMTP_TOKEN, SECRET),
        )
        for what, old, new, clear in (
            ("a new", {}, {f"{block}.ca_file": "/etc/ca.pem"}, ()),
            ("another", {f"{block}.ca_file": "/etc/ca.pem"}, {f"{block}.ca_file": "/etc/evil.pem"}, ()),
            ("no", {f"{block}.ca_file": "/etc/ca.pem"}, {}, (f"{block}.ca_file",)),
        )
        if before is SMTP or what == "another"
    ),
    *(
        Case(
            f"{block} mechanisms {old} to {new}",
            {**before, **with_mechanisms(block, old)},
            with_mechanisms(block, new),
            clear=() if new else (f"{block}.mechanisms",),
            again=again,
        )
        for block, before, again in (("smtp", SMTP, PASS), ("imap", IMAP, IPASS), ("smtp", SHARED, IPASS))
        for old, new in (
            (["SCRAM-SHA-256"], ["PLAIN"]),
            (["SCRAM-SHA-256"], ["SCRAM-SHA-256", "LOGIN"]),
            (["SCRAM-SHA-256"], ["CRAM-MD5", "SCRAM-SHA-256"]),
            (["SCRAM-SHA-256"], []),
            (["CRAM-MD5"], ["PLAIN"]),
            (["PLAIN"], ["PLAIN", "LOGIN"]),
            (["PLAIN", "LOGIN"], ["PLAIN", "CRAM-MD5"]),
            ([], ["PLAIN", "CRAM-MD5"]),
        )
        if before is SMTP or new == ["PLAIN"]
    ),
    Case("a scope", GRAPH, {"oauth2.scope": "https://evil.example.com/.default"}, again=SECRET),
    Case(
        "another scope",
        {**GRAPH, "oauth2.scope": "https://graph.example.com/.default"},
        {"oauth2.scope": "https://evil.example.com/.default"},
        again=SECRET,
    ),
    Case(
        "no scope any more",
        {**GRAPH, "oauth2.scope": "https://graph.example.com/.default"},
        {},
        clear=("oauth2.scope",),
        again=SECRET,
    ),
    Case(
        "graph in place of a server",
        SMTP_TOKEN,
        {"graph.mailbox": "shared@example.com"},
        clear=("smtp",),
        again=SECRET,
    ),
]

STAYS: list[Case] = [
    Case("nothing", BOTH, {}),
    Case("a description", BOTH, {"description": "new", "display_name": "New", "signature": "Yours"}),
    Case("addresses", BOTH, {"from_address": "a@example.com", "cc": ["b@example.com"], "headers": {"X-A": "b"}}),
    Case("disabled", BOTH, {"enabled": False}),
    Case("587 to 465", {**SMTP, "smtp.port": 587}, {"smtp.port": 465}),
    Case("465 to 587", {**SMTP, "smtp.port": 465}, {"smtp.port": 587}),
    Case("25 to 587", {**SMTP, "smtp.port": 25}, {"smtp.port": 587}),
    Case("587 to 2525", {**SMTP, "smtp.port": 587}, {"smtp.port": 2525}),
    Case("143 to 993", {**IMAP, "imap.port": 143}, {"imap.port": 993}),
    *(
        Case(f"from {old} to {new}", with_security(SMTP, old), {"smtp.security": new})
        for old, new in (
            ("starttls", "tls"),
            ("tls", "starttls"),
            ("starttls_optional", "starttls"),
            ("starttls_optional", "tls"),
            ("none", "starttls_optional"),
            ("none", "tls"),
        )
    ),
    Case("certificates checked again", {**SMTP, "smtp.validate_certs": False}, {"smtp.validate_certs": True}),
    Case(
        "the check not mentioned any more", {**SMTP, "smtp.validate_certs": False}, {}, clear=("smtp.validate_certs",)
    ),
    Case("the default written out", SMTP, {"smtp.validate_certs": True, "smtp.security": "starttls", "smtp.port": 587}),
    Case("the same place as a uri", SMTP, {"smtp.uri": OLD_URI}),
    Case("the same place without uri", SMTP_BY_URI, {"smtp.host": "mail.example.com"}),
    Case("the host in other letters", SMTP, {"smtp.host": "MAIL.Example.COM"}),
    Case("another greeting and mailbox", BOTH, {"smtp.ehlo_name": "new.example.com", "imap.mailbox": "Archive"}),
    Case("the other block", BOTH, {"imap.mailbox": "Archive", "smtp.relay": True}),
    Case("no imap block any more", BOTH, {}, clear=("imap",)),
    Case("no password any more", SMTP, {"smtp.auth": "none"}),
    Case(
        "the proxy's user where nobody has a password",
        {**SMTP, "smtp.proxy": "http://p.example.com:1"},
        {"smtp.proxy_username": "robot"},
    ),
    Case("the cloud's default written out", GRAPH, {"oauth2.cloud": "global"}),
    Case("keeping sent mail", GRAPH, {"graph.save_to_sent": False}),
    Case(
        "the provider's host written out",
        {"provider": "gmail", "smtp.username": "robot", "smtp.password": "p"},
        {"smtp.host": "smtp.gmail.com"},
    ),
    *(
        Case(f"mechanisms {old} to {new}", {**SMTP, **with_mechanisms("smtp", old)}, with_mechanisms("smtp", new))
        for old, new in (
            ([], ["PLAIN"]),
            ([], ["SCRAM-SHA-256", "PLAIN", "LOGIN"]),
            (["PLAIN", "SCRAM-SHA-256"], ["SCRAM-SHA-256"]),
            (["SCRAM-SHA-256"], ["SCRAM-SHA-1"]),
            (["SCRAM-SHA-256", "PLAIN"], ["PLAIN", "SCRAM-SHA-256"]),
            (["PLAIN", "CRAM-MD5"], ["CRAM-MD5"]),
        )
    ),
    Case("one server less for the token", {**SMTP_TOKEN, **IMAP_TOKEN}, {}, clear=("imap",)),
    Case("one server less for the shared password", SHARED, {"smtp.same_credentials": False, "smtp.auth": "none"}),
]


FRESH = {"oauth2.certificate": PEM + "\n", "oauth2.service_account": GOOGLE_KEY.replace("robot", "other")}


def changing(case: Case, **how: Any) -> tuple[Request, State]:
    request = Request(declarations=(declared(case.change, clear=case.clear),), **how)
    return request, state_of(stored(case.before))


def missing(request: Request, state: State) -> set[str]:
    """The secrets that must be given again, and nothing else may be wrong."""
    told = refused(request, state)
    assert [message for message in told if ": must be given again" not in message] == []
    return {message.split(": ")[1] for message in told}


@pytest.mark.parametrize("case", MOVES, ids=lambda case: case.name)
def test_move_needs_the_secrets_concerned_again(case: Case) -> None:
    assert missing(*changing(case)) == set(case.again)


def test_harmless_change_needs_no_secret() -> None:
    assert {case.name: refused(*changing(case)) for case in STAYS} == {case.name: [] for case in STAYS}


# One move for each of the secrets that a move may concern.
ONE_FOR_EACH = {case.again: case for case in reversed(MOVES)}.values()


@pytest.mark.parametrize("case", ONE_FOR_EACH, ids=lambda case: case.name)
def test_secret_given_with_a_move_is_stored_even_under_on_create(case: Case) -> None:
    fresh = {path: FRESH.get(path, "another secret") for path in case.again}
    request, state = changing(case._replace(change={**case.change, **fresh}), update_password="on_create")
    after = applied(state, planned(request, state)).connectors["alpha"]
    for path in case.again:
        given_now = request.declarations[0].secrets[path]
        assert after.secrets[path] == sealed(given_now) != state.connectors["alpha"].secrets[path]


@pytest.mark.parametrize("case", ONE_FOR_EACH, ids=lambda case: case.name)
def test_same_secret_given_with_a_move_is_enough(case: Case) -> None:
    given_again = {path: case.before[path] for path in case.again}
    assert refused(*changing(case._replace(change={**case.change, **given_again}))) == []


def test_the_message_names_secret_and_changes() -> None:
    change = {"smtp.host": "new.example.com", "smtp.username": "other"}
    (message,) = refused(*changing(Case("", SMTP, change)))
    assert message.startswith("connector alpha: smtp.password: must be given again")
    assert "smtp.host" in message
    assert "smtp.username" in message


def test_a_whole_declaration_offers_no_secret_to_a_new_place_either() -> None:
    whole = {"smtp.host": "evil.example.com", "smtp.username": "robot@example.com"}
    assert missing(Request(declarations=(declared(whole),), merge=False), state_of(stored(SMTP))) == {"smtp.password"}


def test_a_rename_offers_nothing_but_hides_nothing() -> None:
    rename = Request(declarations=(declared(),), new_name="beta")
    assert refused(rename, state_of(stored(SMTP))) == []
    rename = Request(declarations=(declared({"smtp.host": "evil.example.com"}),), new_name="beta")
    assert missing(rename, state_of(stored(SMTP))) == {"smtp.password"}


STRENGTH = {"none": 0, "starttls_optional": 1, "starttls": 2, "tls": 2}
STEPS: list[Flat] = [
    {"smtp.host": "mail.example.com"},
    {"smtp.host": "evil.example.com"},
    {"smtp.port": 587},
    {"smtp.port": 8025},
    {"smtp.security": "none"},
    {"smtp.security": "tls"},
    {"smtp.auth": "none"},
    {"smtp.auth": "password"},
    {"smtp.auth": "oauth2"},
    {"smtp.same_credentials": True},
    {"smtp.same_credentials": False},
    {"smtp.validate_certs": False},
    {"smtp.validate_certs": True},
    {"smtp.username": "robot@example.com"},
    {"smtp.username": "other@example.com"},
    {"smtp.proxy": "http://evil.example.com:1"},
    {"smtp.uri": "smtp://mail.example.com"},
    {"imap.host": "evil.example.com"},
    {"imap.host": "imap.example.com"},
    {"imap.auth": "oauth2"},
    {"imap.auth": "none"},
    {"imap.username": "other@example.com"},
    {"oauth2.tenant_id": "evil"},
    {"oauth2.client_id": "app", "oauth2.tenant_id": "contoso", "oauth2.managed_identity": "system"},
    {"provider": "gmail"},
    {"provider": "yahoo"},
    {"smtp.ca_file": "/etc/ca.pem"},
    {"imap.ca_file": "/etc/ca.pem"},
    {"oauth2.ca_file": "/etc/ca.pem"},
    {"oauth2.scope": "https://evil.example.com/.default"},
    {"smtp.mechanisms": ["SCRAM-SHA-256"]},
    {"smtp.mechanisms": ["PLAIN", "CRAM-MD5"]},
    {"imap.mechanisms": ["SCRAM-SHA-256", "XOAUTH2"]},
    {"imap.mechanisms": ["LOGIN", "XOAUTH2"]},
]
CLEARS = [
    *("smtp", "imap", "oauth2", "smtp.host", "smtp.auth", "smtp.username", "smtp.proxy", "smtp.uri", "provider"),
    *("smtp.ca_file", "smtp.mechanisms", "imap.mechanisms", "oauth2.scope"),
]


def reached_by(path: str, connector: Connector) -> set[tuple[Any, ...]]:
    """Where a secret may end up, told apart by everything but the strength of the protection."""
    effective = with_test_address(connector.effective_settings)
    users = {block: server.get("username") for block, server in effective.items() if block in ("smtp", "imap")}

    def server(block: str) -> tuple[Any, ...]:
        fields = effective[block]
        port = "mail" if fields["port"] in (25, 465, 587, 143, 993) else fields["port"]
        return block, fields["host"], port, users[block], fields.get("proxy"), fields.get("ca_file")

    if path == "smtp.password":
        return {server("smtp")}
    if path == "imap.password":
        shared = {server("smtp")} if effective.get("smtp", {}).get("same_credentials") else set()
        return {server("imap"), *shared}
    oauth2 = effective["oauth2"]
    names = ("token_url", "authority", "cloud", "tenant_id", "client_id", "scope", "ca_file")
    service = tuple(oauth2.get(name) for name in names)
    return {service, *(server(block) for block in users if effective[block].get("auth") == "oauth2")}


def servers_of(path: str, connector: Connector) -> list[Flat]:
    effective = with_test_address(connector.effective_settings)
    servers = [effective[block] for block in ("smtp", "imap") if block in effective]
    if path == "smtp.password":
        servers = [effective["smtp"]]
    elif path.startswith("oauth2."):
        servers = [server for server in servers if server.get("auth") == "oauth2"]
    elif not effective.get("smtp", {}).get("same_credentials"):
        servers = [effective["imap"]]
    return servers


def protection(path: str, connector: Connector) -> tuple[int, int]:
    servers = servers_of(path, connector)
    return (
        min((STRENGTH[server["security"]] for server in servers), default=2),
        min((int(server["validate_certs"]) for server in servers), default=1),
    )


def exposures(path: str, connector: Connector) -> set[str]:
    """The ways to sign in that give the secret away or let it be guessed."""
    by_default = {"PLAIN", "LOGIN", "SCRAM"}
    allowed = [set(server.get("mechanisms") or by_default) for server in servers_of(path, connector)]
    return set().union(*allowed) & {"PLAIN", "LOGIN", "CRAM-MD5"}


FIRST: dict[str, Flat] = {
    "strict": {**BOTH, "smtp.mechanisms": ["SCRAM-SHA-256"], "smtp.ca_file": "/etc/ca.pem"},
    "passwords": BOTH,
    "shared": SHARED,
    "token": {**SMTP_TOKEN, **{path: IMAP[path] for path in ("imap.host", "imap.username")}},
    "mixed": {**IMAP, **SMTP_TOKEN, "imap.auth": "password"},
}


@bounded
@given(
    st.sampled_from(sorted(FIRST)),
    st.lists(
        st.tuples(st.lists(st.sampled_from(STEPS), max_size=2), st.sets(st.sampled_from(CLEARS), max_size=1)),
        max_size=12,
    ),
)
def test_no_detour_of_many_tasks_takes_a_stored_secret_to_a_new_place(
    first: str, steps: list[tuple[list[Flat], set[str]]]
) -> None:
    state = state_of(stored(FIRST[first]))
    original = state.connectors["alpha"]
    for changes, clears in steps:
        flat = {path: value for change in changes for path, value in change.items()}
        written = {path.partition(".")[0] for path in flat} | flat.keys()
        request = Request(declarations=(declared(nested(flat), clear=clears - written),))
        try:
            state = applied(state, planned(request, state))
        except DeclarationError:
            continue
        connector = state.connectors["alpha"]
        for path, token in connector.secrets.items():
            assert token == original.secrets[path]
            assert reached_by(path, connector) <= reached_by(path, original)
            assert all(now >= then for now, then in zip(protection(path, connector), protection(path, original)))
            assert exposures(path, connector) <= exposures(path, original)


class TestDestination:
    """The form that secrets are bound to."""

    @pytest.mark.parametrize(
        ("path", "before", "digest"),
        [
            ("smtp.password", SMTP, "eb8fcbd437a32d11"),
            ("imap.password", SHARED, "88b8a8a54b94bbec"),
            ("smtp.proxy_password", PROXIED, "2f394ab3dd4e1360"),
            ("oauth2.client_secret", GRAPH, "455bbe7eac3f9140"),
            ("oauth2.password", BY_OWNER, "46c453c821c9357c"),
            ("oauth2.client_secret", SMTP_TOKEN, "5b7e71901692f348"),
        ],
        ids=["a server", "two servers", "a proxy", "graph", "a resource owner", "a token"],
    )
    def test_what_it_says_of_a_connector_never_changes(self, path: str, before: Flat, digest: str) -> None:
        """Whoever has to change a digest here makes every stored secret foreign: add a version of the form instead."""
        assert destination_digest(path, stored(before).effective_settings)[:16] == digest

    def test_destination_is_spelt_out_as_a_whole(self) -> None:
        assert destination("imap.password", stored(SHARED).effective_settings) == {
            "imap": {
                "host": "imap.example.com",
                "port": 993,
                "username": "robot@example.com",
                "security": "tls",
                "validate_certs": True,
                "ca_file": None,
                "mechanisms": ["LOGIN", "OAUTHBEARER", "PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-256", "XOAUTH2"],
                "proxy": None,
                "proxy_username": None,
            },
            "smtp": {
                "host": "mail.example.com",
                "port": 587,
                "username": "robot@example.com",
                "security": "starttls",
                "validate_certs": True,
                "ca_file": None,
                "mechanisms": ["LOGIN", "OAUTHBEARER", "PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-256", "XOAUTH2"],
                "proxy": None,
                "proxy_username": None,
            },
        }
        assert destination("graph.proxy_password", stored(GRAPH_PROXIED).effective_settings) == {
            "graph": {"proxy": "http://proxy.example.com:3128", "proxy_username": "robot"}
        }
        assert destination("oauth2.client_secret", stored(GRAPH).effective_settings) == {
            "oauth2": {
                "token_url": None,
                "authority": None,
                "cloud": "global",
                "tenant_id": "contoso",
                "client_id": "app",
                "scope": None,
                "ca_file": None,
                "proxy": None,
                "proxy_username": None,
            },
            "graph": {"url": None, "ca_file": None, "proxy": None, "proxy_username": None},
        }

    @pytest.mark.parametrize(
        "spelling",
        [
            {"smtp.host": "MAIL.Example.com"},
            {"smtp.port": 587},
            {"smtp.security": "starttls"},
            {"smtp.validate_certs": True},
            {"smtp.mechanisms": ["XOAUTH2", "SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN", "OAUTHBEARER", "LOGIN"]},
            {"smtp.relay": True, "smtp.ehlo_name": "robot.example.com", "description": "new", "from_name": "Robot"},
        ],
        ids=str,
    )
    def test_another_spelling_is_the_same(self, spelling: Flat) -> None:
        one, other = (stored({**SMTP, **more}).effective_settings for more in ({}, spelling))
        assert destination("smtp.password", one) == destination("smtp.password", other)

    def test_an_international_host_is_the_same_in_a_labels(self) -> None:
        hosts = ("post.müller.example", "POST.Müller.Example", "post.xn--mller-kva.example")
        found = [destination("smtp.password", stored({**SMTP, "smtp.host": host}).effective_settings) for host in hosts]
        assert found[0] == found[1] == found[2]
        assert found[0]["smtp"]["host"] == "post.xn--mller-kva.example"

    @pytest.mark.parametrize("host", ["", "a..b", "ü" * 64, "\N{SNOWMAN}.example", "xn--\u200d"])
    def test_a_host_that_cannot_be_converted_still_has_one(self, host: str) -> None:
        effective = {"smtp": {**stored(SMTP).effective_settings["smtp"], "host": host}}
        assert len(destination_digest("smtp.password", effective)) == 64

    def test_every_secret_has_one(self) -> None:
        for path in SECRET_VALUES:
            block = path.partition(".")[0]
            effective = {block: {"auth": "password"}}
            assert destination(path, effective)[block]
