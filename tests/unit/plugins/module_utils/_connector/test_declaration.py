# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading what a user wrote, and merging it into what is stored."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.plugins.module_utils._connector.given import (
    ACCEPTED,
    SECRET_VALUES,
    bounded,
    declared,
    nested,
    validate_variables,
)

from ansible_collections.mailroom.core.plugins.module_utils._connector.declaration import (
    Declaration,
    client_credentials,
    declared_client_credential,
    merge_declaration,
    parse_declaration,
)
from ansible_collections.mailroom.core.plugins.module_utils._connector.fields import BLOCKS, BY_NAME, BY_PATH, SECRETS


def revealed(declaration: Declaration) -> dict[str, str]:
    return {path: secret.reveal() for path, secret in declaration.secrets.items()}


def test_every_field_is_read_and_secrets_are_kept_apart() -> None:
    declaration = declared({**ACCEPTED, **SECRET_VALUES})
    assert declaration.settings == nested(ACCEPTED)
    assert revealed(declaration).keys() == SECRETS
    assert not declaration.cleared


def test_null_stands_for_what_was_left_out() -> None:
    written = {
        "name": "alpha",
        **{
            name: {inner.name: None for inner in field.fields} if field.fields else None
            for name, field in BY_NAME.items()
        },
    }
    assert parse_declaration(written) == (Declaration("alpha"), [])


EMPTY: list[tuple[dict[str, Any], set[str]]] = [
    ({"display_name": ""}, {"display_name"}),
    ({"description": "", "signature": ""}, {"description", "signature"}),
    ({"cc": []}, {"cc"}),
    ({"headers": {}}, {"headers"}),
    ({"available_to": []}, {"available_to"}),
    ({"provider": ""}, {"provider"}),
    ({"smtp": {"host": ""}}, {"smtp.host"}),
    ({"smtp": {"mechanisms": []}}, {"smtp.mechanisms"}),
    ({"imap": {"ca_file": "", "mailbox": ""}}, {"imap.ca_file", "imap.mailbox"}),
    ({"oauth2": {"scope": ""}}, {"oauth2.scope"}),
]


@pytest.mark.parametrize(("written", "cleared"), EMPTY, ids=[str(row[0]) for row in EMPTY])
def test_an_empty_text_list_or_dictionary_clears_its_field(written: dict[str, Any], cleared: set[str]) -> None:
    declaration = declared(written)
    assert declaration.cleared == cleared
    assert not any(declaration.settings.values())
    assert not declaration.secrets


def test_empty_block_clears_itself_where_it_was_really_written_empty() -> None:
    for block in BLOCKS:
        filled_by_ansible = {"name": "alpha", block: {inner.name: None for inner in BY_NAME[block].fields}}
        assert parse_declaration(filled_by_ansible)[0].cleared == frozenset(), block
        assert parse_declaration(filled_by_ansible, empty_blocks=[block])[0].cleared == {block}


@pytest.mark.parametrize("written", [{}, {"mailbox": None}])
def test_an_empty_graph_is_declared_where_the_declaration_is_the_whole_connector(written: dict[str, Any]) -> None:
    entry = {"name": "alpha", "graph": written, "imap": {}}
    declaration, problems = parse_declaration(entry, empty_blocks=["graph", "imap"], whole=True)
    assert (declaration.settings, declaration.cleared, problems) == ({"graph": {}}, frozenset(), [])


def test_empty_secret_is_an_error_and_clears_nothing() -> None:
    declaration, problems = parse_declaration({"name": "alpha", **nested(dict.fromkeys(sorted(SECRETS), ""))})
    assert {(problem.where, problem.field) for problem in problems} == {("connector alpha", path) for path in SECRETS}
    assert [problem for problem in problems if "must not be empty" not in problem.message] == []
    assert not declaration.cleared


def test_clear_takes_every_path() -> None:
    assert [path for path in BY_PATH if declared(clear=[path]).cleared != {path}] == []


PROBLEMS: list[tuple[dict[str, Any], list[str], str]] = [
    ({}, [], "name: is required"),
    ({"name": None}, [], "name: is required"),
    ({"name": ""}, [], "name: is required"),
    ({"name": 5}, [], "name: must be text"),
    (
        {"name": "Secure Email Backend"},
        [],
        "name: must be 1 to 50 letters, digits or underscores; a name with spaces belongs in display_name",
    ),
    ({"name": "alpha\n"}, [], "name: must be 1 to 50 letters, digits or underscores"),
    ({"name": "a" * 51}, [], "name: must be 1 to 50 letters, digits or underscores"),
    ({"name": "alpha", "smpt": {}}, [], "connector alpha: smpt: there is no such field; did you mean smtp?"),
    ({"name": "alpha", "zzz": 1}, [], "connector alpha: zzz: there is no such field"),
    ({"name": "alpha", "zzz": None}, [], "connector alpha: zzz: there is no such field"),
    ({"name": "alpha", "x" * 500: 1}, [], f"connector alpha: {'x' * 100}: there is no such field"),
    (
        {"name": "alpha", "smtp": {"pasword": "x"}},
        [],
        "connector alpha: smtp.pasword: there is no such field; did you mean smtp.password?",
    ),
    (
        {"name": "alpha", "imap": {"relay": True}},
        [],
        "connector alpha: imap.relay: there is no such field; it belongs in smtp",
    ),
    (
        {"name": "alpha", "imap": {"uri": None}},
        [],
        "connector alpha: imap.uri: there is no such field; it belongs in smtp",
    ),
    (
        {"name": "alpha", "smtp": {"from_address": "a@example.com"}},
        [],
        "connector alpha: smtp.from_address: there is no such field; it is a field of the connector, not of smtp",
    ),
    (
        {"name": "alpha", "password": "x"},
        [],
        "connector alpha: password: there is no such field; it belongs in smtp or imap or oauth2",
    ),
    (
        {"name": "alpha", "smtp.host": "x"},
        [],
        "connector alpha: smtp.host: there is no such field; write it as host within smtp",
    ),
    (
        {"name": "alpha", "use_tls": True},
        [],
        "connector alpha: use_tls: there is no such field; did you mean security, in smtp or imap?",
    ),
    (
        {"name": "alpha", "imap": {"ssl": True}},
        [],
        "connector alpha: imap.ssl: there is no such field; did you mean imap.security?",
    ),
    (
        {"name": "alpha", "sender": "a@example.com"},
        [],
        "connector alpha: sender: there is no such field; did you mean from_address?",
    ),
    ({"name": "alpha", "smtp": "mail.example.com"}, [], "connector alpha: smtp: must be a dictionary"),
    ({"name": "alpha", "smtp": ["mail.example.com"]}, [], "connector alpha: smtp: must be a dictionary"),
    ({"name": "alpha", "smtp": {"port": ""}}, [], "connector alpha: smtp.port: must be a whole number from 1 to 65535"),
    ({"name": "alpha"}, ["name"], "connector alpha: name: cannot be cleared"),
    ({"name": "alpha"}, [""], "connector alpha: clear: must be a list of fields, such as imap or smtp.proxy"),
    ({"name": "alpha"}, ["smpt"], "connector alpha: smpt: there is no such field; did you mean smtp?"),
    (
        {"name": "alpha"},
        ["smtp.passwrd"],
        "connector alpha: smtp.passwrd: there is no such field; did you mean smtp.password?",
    ),
    (
        {"name": "alpha"},
        ["imap.securty"],
        "connector alpha: imap.securty: there is no such field; did you mean imap.security?",
    ),
    ({"name": "alpha"}, ["smtp.password.more"], "connector alpha: smtp.password.more: there is no such field"),
    ({"name": "alpha", "cc": ["a@b"]}, ["cc"], "connector alpha: cc: cannot be both set and cleared"),
    ({"name": "alpha", "smtp": {"host": "h"}}, ["smtp"], "connector alpha: smtp: cannot be both set and cleared"),
    ({"name": "alpha", "smtp": {"password": "p"}}, ["smtp"], "connector alpha: smtp: cannot be both set and cleared"),
    (
        {"name": "alpha", "smtp": {"password": "p"}},
        ["smtp.password"],
        "connector alpha: smtp.password: cannot be both set and cleared",
    ),
    ({"name": "alpha", "enabled": False}, ["enabled"], "connector alpha: enabled: cannot be both set and cleared"),
]


def test_problem_names_the_connector_the_field_and_what_is_allowed() -> None:
    found = [
        (written, clear, "; ".join(validate_variables(written, clear=clear))) for written, clear, _said in PROBLEMS
    ]
    assert found == PROBLEMS


def test_clearing_the_field_beside_a_given_one_is_allowed() -> None:
    declaration = declared({"smtp.uri": "smtp://mail.example.com"}, clear=["smtp.host", "smtp.password", "imap"])
    assert declaration.cleared == {"smtp.host", "smtp.password", "imap"}


def test_the_name_of_an_unknown_field_is_told_on_one_line_in_valid_text() -> None:
    for name in ("evil\r\nconnector other: fine", "esc\x1b[31m", "lone\ud800"):
        (told,) = validate_variables({"name": "alpha", name: 1})
        assert told.isprintable()
        told.encode()


def test_all_problems_are_told_at_once_and_what_is_right_is_kept() -> None:
    written = {
        "name": "no name",
        "display_name": "Fine",
        "from_address": "nobody",
        "enabled": "perhaps",
        "typo": 1,
        "smtp": {"host": "mail.example.com", "port": 0, "password": "", "hots": 1},
        "imap": [1],
        "oauth2": {"cloud": "moon"},
    }
    declaration, problems = parse_declaration(written, where="connectors[3]", clear=["nothing", "display_name"])
    assert declaration.settings == {"display_name": "Fine", "smtp": {"host": "mail.example.com"}}
    assert {problem.where for problem in problems} == {"connectors[3]"}
    assert sorted(problem.field for problem in problems) == [
        "display_name",
        "enabled",
        "from_address",
        "imap",
        "name",
        "nothing",
        "oauth2.cloud",
        "smtp.hots",
        "smtp.password",
        "smtp.port",
        "typo",
    ]


def test_where_a_problem_is_follows_the_name_as_soon_as_that_is_known() -> None:
    assert validate_variables({"name": "alpha", "enabled": 1}, where="connectors[0]") == [
        "connector alpha: enabled: must be true or false"
    ]


STORED = {
    "description": "kept",
    "cc": ["a@example.com"],
    "smtp": {"host": "old.example.com", "port": 25, "ca_file": "/ca"},
}
URI = "smtp://new.example.com:587"

MERGES: dict[str, tuple[dict[str, Any], Declaration, dict[str, Any]]] = {
    "nothing written changes nothing": (STORED, declared(), STORED),
    "a field is replaced": (STORED, declared({"description": "new"}), {**STORED, "description": "new"}),
    "a list is replaced as a whole": (STORED, declared({"cc": ["b@example.com"]}), {**STORED, "cc": ["b@example.com"]}),
    "headers are replaced as a whole": (
        {"headers": {"X-A": "a", "X-B": "b"}},
        declared(headers={"X-C": "c"}),
        {"headers": {"X-C": "c"}},
    ),
    "a block is merged field by field": (
        {"smtp": {"host": "h", "port": 25}},
        declared({"smtp.port": 587}),
        {"smtp": {"host": "h", "port": 587}},
    ),
    "a field that nobody has is cleared without a word": ({}, declared(clear=["imap.proxy", "cc"]), {}),
    "a field is cleared": (
        STORED,
        declared(clear=["description", "smtp.ca_file", "smtp.port"]),
        {"cc": ["a@example.com"], "smtp": {"host": "old.example.com"}},
    ),
    "a block is cleared": (STORED, declared(smtp={}), {"description": "kept", "cc": ["a@example.com"]}),
    "a proxy takes its user along": (
        {"smtp": {"host": "h", "proxy": "http://p:1", "proxy_username": "u"}},
        declared(clear=["smtp.proxy"]),
        {"smtp": {"host": "h"}},
    ),
    "a uri replaces host and port": (
        STORED,
        declared({"smtp.uri": URI}),
        {**STORED, "smtp": {"uri": URI, "ca_file": "/ca"}},
    ),
    "a uri leaves the security beside it": (
        {"smtp": {"host": "h", "security": "none"}},
        declared({"smtp.uri": URI}),
        {"smtp": {"uri": URI, "security": "none"}},
    ),
    "a host replaces that of a uri, whose port stays": (
        {"smtp": {"uri": "smtp://a.example.com:2525"}},
        declared({"smtp.host": "b.example.com"}),
        {"smtp": {"host": "b.example.com", "port": 2525}},
    ),
    "a port replaces that of a uri, whose host stays": (
        {"smtp": {"uri": "smtp://a.example.com;2525"}},
        declared({"smtp.port": 25}),
        {"smtp": {"host": "a.example.com", "port": 25}},
    ),
    "a host replaces a uri without port": (
        {"smtp": {"uri": "smtp://a.example.com"}},
        declared({"smtp.host": "b.example.com"}),
        {"smtp": {"host": "b.example.com"}},
    ),
    "encryption that a uri stood for outlives it": (
        {"smtp": {"uri": "smtps://a.example.com"}},
        declared({"smtp.port": 2525}),
        {"smtp": {"host": "a.example.com", "port": 2525, "security": "tls"}},
    ),
    "a cleared port does not come back out of a uri": (
        {"smtp": {"uri": "smtp://a.example.com:2525"}},
        declared({"smtp.host": "b.example.com"}, clear=["smtp.port"]),
        {"smtp": {"host": "b.example.com"}},
    ),
    "a cleared uri leaves no port": (
        {"smtp": {"uri": "smtp://a.example.com:2525"}},
        declared({"smtp.host": "b.example.com"}, clear=["smtp.uri"]),
        {"smtp": {"host": "b.example.com"}},
    ),
    "a cleared security does not come back out of a uri": (
        {"smtp": {"uri": "smtps://a.example.com"}},
        declared({"smtp.host": "b.example.com"}, clear=["smtp.security"]),
        {"smtp": {"host": "b.example.com"}},
    ),
    "same_credentials replaces auth and user": (
        {"smtp": {"host": "h", "auth": "password", "username": "u"}},
        declared({"smtp.same_credentials": True}),
        {"smtp": {"host": "h", "same_credentials": True}},
    ),
    "same_credentials false replaces nothing": (
        {"smtp": {"host": "h", "auth": "password", "username": "u"}},
        declared({"smtp.same_credentials": False}),
        {"smtp": {"host": "h", "auth": "password", "username": "u", "same_credentials": False}},
    ),
    "one way to sign in replaces another": (
        {"oauth2": {"client_id": "c", "certificate_file": "/a.pfx"}},
        declared({"oauth2.managed_identity": "system"}),
        {"oauth2": {"client_id": "c", "managed_identity": "system"}},
    ),
    "a secret way to sign in replaces another": (
        {"oauth2": {"client_id": "c", "assertion_file": "/a"}},
        declared({"oauth2.client_secret": "s"}),
        {"oauth2": {"client_id": "c"}},
    ),
    "a password is no way that replaces another": (
        {"oauth2": {"client_id": "c", "assertion_file": "/a"}},
        declared({"oauth2.password": "s"}),
        {"oauth2": {"client_id": "c", "assertion_file": "/a"}},
    ),
}


def test_declaration_is_merged_into_what_is_stored() -> None:
    merges = {case: merge_declaration(before, declaration) for case, (before, declaration, _after) in MERGES.items()}
    assert merges == {case: after for case, (_before, _declaration, after) in MERGES.items()}


@pytest.mark.parametrize(
    "way", ["client_secret", "certificate", "certificate_file", "assertion_file", "managed_identity"]
)
def test_the_way_to_sign_in_is_found_wherever_it_is_kept(way: str) -> None:
    path = f"oauth2.{way}"
    declaration = declared({path: {**ACCEPTED, **SECRET_VALUES}[path]})
    assert declared_client_credential(declaration) == way
    assert client_credentials(declaration.settings, declaration.secrets) == [way]


PLAIN = {path: value for path, value in ACCEPTED.items() if path not in ("smtp.uri", "smtp.host", "smtp.port")}
CLIENT_CREDENTIALS = {"certificate_file", "assertion_file", "managed_identity"}


@st.composite
def flat_settings(draw: st.DrawFn) -> dict[str, Any]:
    """Some fields; of uri and host, and of the ways to sign in, no two together."""
    flat = {path: PLAIN[path] for path in draw(st.sets(st.sampled_from(sorted(PLAIN))))}
    for way in sorted(CLIENT_CREDENTIALS):
        flat.pop(f"oauth2.{way}", None)
    place: dict[str, Any] = draw(
        st.sampled_from(
            [
                {},
                {"smtp.host": "h"},
                {"smtp.port": 25},
                {"smtp.host": "h", "smtp.port": 465},
                {"smtp.uri": URI},
                {"smtp.uri": "smtps://other.example.com"},
            ]
        )
    )
    if flat.get("smtp.same_credentials"):
        flat.pop("smtp.auth", None)
        flat.pop("smtp.username", None)
    way = draw(st.none() | st.sampled_from(sorted(CLIENT_CREDENTIALS)))
    return {**flat, **place, **({f"oauth2.{way}": ACCEPTED[f"oauth2.{way}"]} if way else {})}


@st.composite
def declarations(draw: st.DrawFn) -> Declaration:
    flat = draw(flat_settings())
    given_names = {*flat, *(path.partition(".")[0] for path in flat)}
    clearable = [path for path in BY_PATH if path not in given_names and path.partition(".")[0] not in flat]
    return declared(flat, clear=draw(st.sets(st.sampled_from(clearable), max_size=4)))


def flattened(settings: dict[str, Any]) -> dict[str, Any]:
    return {
        path: content
        for name, value in settings.items()
        for path, content in (
            {f"{name}.{inner}": content for inner, content in value.items()} if name in BLOCKS else {name: value}
        ).items()
    }


@bounded
@given(flat_settings(), declarations())
def test_merging_twice_is_merging_once(before: dict[str, Any], declaration: Declaration) -> None:
    once = merge_declaration(nested(before), declaration)
    assert merge_declaration(once, declaration) == once


@bounded
@given(flat_settings(), declarations())
def test_merging_leaves_what_it_was_given_untouched(before: dict[str, Any], declaration: Declaration) -> None:
    settings = nested(before)
    merge_declaration(settings, declaration)
    assert settings == nested(before)


@bounded
@given(flat_settings(), declarations())
def test_what_is_declared_holds_and_what_is_cleared_is_gone(before: dict[str, Any], declaration: Declaration) -> None:
    after = flattened(merge_declaration(nested(before), declaration))
    assert flattened(declaration.settings).items() <= after.items()
    for path in declaration.cleared:
        assert path not in after
        assert not any(other.startswith(path + ".") for other in after if other not in flattened(declaration.settings))


TOGETHER = (
    {"smtp.uri", "smtp.host", "smtp.port", "smtp.security"},
    {"smtp.same_credentials", "smtp.auth", "smtp.username"},
    {"oauth2.client_secret_expires", *(f"oauth2.{way}" for way in CLIENT_CREDENTIALS)},
    *({f"{block}.proxy", f"{block}.proxy_username"} for block in BLOCKS),
)


@bounded
@given(flat_settings(), declarations())
def test_what_is_not_mentioned_stays(before: dict[str, Any], declaration: Declaration) -> None:
    after = flattened(merge_declaration(nested(before), declaration))
    mentioned = {*flattened(declaration.settings), *declaration.cleared}
    mentioned |= {path for path in BY_PATH if path.partition(".")[0] in declaration.cleared}
    touched = mentioned.union(*(group for group in TOGETHER if group & mentioned))
    for path in (before.keys() | after.keys()) - touched:
        assert after.get(path) == before.get(path)


@bounded
@given(flat_settings(), declarations())
def test_a_uri_never_ends_up_beside_a_host_or_port(before: dict[str, Any], declaration: Declaration) -> None:
    after = flattened(merge_declaration(nested(before), declaration))
    assert not ("smtp.uri" in after and {"smtp.host", "smtp.port"} & after.keys())
    assert len({f"oauth2.{way}" for way in CLIENT_CREDENTIALS} & after.keys()) <= 1
