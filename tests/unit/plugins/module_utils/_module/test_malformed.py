# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every malformed option is refused with what is allowed, all of them at once, and nothing is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from .conftest import Play

HOST = {"host": "mail.example.com"}
PORT = "must be a whole number from 1 to 65535"
FLAG = "must be true or false"
DICTIONARY = "must be a dictionary"
NAME = "must be 1 to 50 letters, digits or underscores"

FIELDS: list[tuple[dict[str, Any], dict[str, str]]] = [
    ({"smtp": {"port": "abc"}}, {"smtp.port": PORT}),
    ({"smtp": {"port": "25x"}}, {"smtp.port": PORT}),
    ({"smtp": {"port": 25.5}}, {"smtp.port": PORT}),
    ({"smtp": {"port": [25]}}, {"smtp.port": PORT}),
    ({"smtp": {"port": {"a": 1}}}, {"smtp.port": PORT}),
    ({"smtp": {"port": 0}}, {"smtp.port": PORT}),
    ({"imap": {"port": 65536}}, {"imap.port": PORT}),
    ({"smtp": {"prot": 25}}, {"smtp.prot": "there is no such field; did you mean smtp.port?"}),
    ({"imap": {"relay": True}}, {"imap.relay": "there is no such field; it belongs in smtp"}),
    ({"graph": {"hots": "x"}}, {"graph.hots": "there is no such field"}),
    ({"smtp": "mail.example.com"}, {"smtp": DICTIONARY}),
    ({"smtp": ["mail.example.com"]}, {"smtp": DICTIONARY}),
    ({"smtp": 25}, {"smtp": DICTIONARY}),
    ({"smtp": True}, {"smtp": DICTIONARY}),
    ({"oauth2": [{}]}, {"oauth2": DICTIONARY}),
    ({"enabled": "perhaps"}, {"enabled": FLAG}),
    ({"enabled": 7}, {"enabled": FLAG}),
    ({"imap": {"validate_certs": "maybe"}}, {"imap.validate_certs": FLAG}),
    ({"cc": {"a": 1}}, {"cc": "must be a list of at most 100 items"}),
    (
        {"bcc": ["Ops <ops@example.com>"]},
        {"bcc": "item 1 must be a mail address such as alerts@example.com, without a display name"},
    ),
    ({"headers": "X-Team"}, {"headers": "must be a dictionary of at most 50 headers"}),
    ({"headers": {"Subject": "x"}}, {"headers": "Subject is set by the message itself"}),
    ({"smtp": {"mechanisms": {"a": 1}}}, {"smtp.mechanisms": "must be a list of at most 7 items"}),
    (
        {"smtp": {"security": "ssl"}},
        {"smtp.security": "must be one of none, starttls, starttls_optional, tls; did you mean tls?"},
    ),
    ({"smtp": {"auth": "kerberos"}}, {"smtp.auth": "must be one of none, password, oauth2"}),
    (
        {"smtp": {"host": "https://mail"}},
        {"smtp.host": "must be a host name or an IP address, without scheme, port or path"},
    ),
    ({"smtp": {"host": "a\ud800"}}, {"smtp.host": "must be valid Unicode text"}),
    (
        {"smtp": {"password": ""}},
        {"smtp.password": "must not be empty; leave it out to keep the stored value, or name it in clear to remove it"},
    ),
    (
        {"oauth2": {"service_account": "{}"}},
        {
            "oauth2.service_account": (
                "must be a Google service account key in JSON, with type, client_email and private_key"
            )
        },
    ),
    (
        {
            "enabled": "perhaps",
            "cc": {"a": 1},
            "smtp": {"port": "abc", "prot": 1, "validate_certs": "maybe", "security": "ssl"},
            "imap": "x",
            "graph": {"save_to_sent": "maybe"},
        },
        {
            "enabled": FLAG,
            "cc": "must be a list of at most 100 items",
            "smtp.prot": "there is no such field; did you mean smtp.port?",
            "smtp.port": PORT,
            "smtp.security": "must be one of none, starttls, starttls_optional, tls; did you mean tls?",
            "smtp.validate_certs": FLAG,
            "imap": DICTIONARY,
            "graph.save_to_sent": FLAG,
        },
    ),
]


def as_text(problems: list[str]) -> str:
    if len(problems) == 1:
        return problems[0]
    return "\n- ".join([f"{len(problems)} problems, nothing was changed:", *problems])


def assert_refused(result: dict[str, Any], problems: list[str], registry_path: Path) -> None:
    assert result["failed"] is True
    assert result["msg"] == as_text(problems)
    assert not registry_path.parent.exists()


class TestFields:
    @pytest.mark.parametrize(("options", "told"), FIELDS, ids=[str(options)[:60] for options, told in FIELDS])
    @pytest.mark.sampled(3)
    def test_malformed_field_of_a_connector_is_refused(
        self, play: Play, registry_path: Path, options: dict[str, Any], told: dict[str, str]
    ) -> None:
        result = play("connector", name="prod", **options)
        assert_refused(
            result, [f"connector prod: {field}: {message}" for field, message in told.items()], registry_path
        )
        assert result["problems"] == [
            {"where": "connector prod", "field": field, "message": message} for field, message in told.items()
        ]

    def test_malformed_fields_of_connectors_in_a_list_are_refused_all_at_once(
        self, play: Play, registry_path: Path
    ) -> None:
        bad = {f"bad_{number}": row for number, row in enumerate(FIELDS)}
        entries = [
            {"name": "good", "smtp": HOST},
            *({"name": name, **options} for name, (options, _told) in bad.items()),
        ]
        problems = [
            f"connector {name}: {field}: {message}"
            for name, (_options, told) in bad.items()
            for field, message in told.items()
        ]
        assert_refused(play("connectors", connectors=entries), problems, registry_path)


NAMES: list[tuple[Any, str]] = [
    (None, "name: is required"),
    ("", "name: is required"),
    ("a b", f"name: {NAME}; a name with spaces belongs in display_name"),
    ("a\n", f"name: {NAME}"),
    ("ä", f"name: {NAME}"),
    ("x" * 51, f"name: {NAME}"),
    (["a"], "name: must be text"),
]


class TestNames:
    @pytest.mark.parametrize(("name", "told"), NAMES)
    @pytest.mark.sampled(3)
    def test_malformed_name_of_a_connector_is_refused(
        self, play: Play, registry_path: Path, name: Any, told: str
    ) -> None:
        assert_refused(play("connector", name=name, smtp=HOST), [told], registry_path)

    def test_malformed_names_in_a_list_are_refused_with_their_position(self, play: Play, registry_path: Path) -> None:
        entries = [{"name": "good", "smtp": HOST}, *({"name": name, "smtp": HOST} for name, _told in NAMES)]
        problems = [f"connectors[{number}]: {told}" for number, (_name, told) in enumerate(NAMES, start=1)]
        assert_refused(play("connectors", connectors=entries), problems, registry_path)


class TestLists:
    def test_every_bad_entry_is_told(self, play: Play, registry_path: Path) -> None:
        entries = [
            {"name": "a", "smtp": {"port": "abc"}},
            {"name": "b", "smtp": HOST},
            {"name": "c", "imap": {"hots": "x", "port": 0}},
            {"smtp": HOST},
            {"name": "e", "enabled": "perhaps"},
            {"name": "b", "smtp": HOST},
        ]
        problems = [
            f"connector a: smtp.port: {PORT}",
            "connector c: imap.hots: there is no such field; did you mean imap.host?",
            f"connector c: imap.port: {PORT}",
            "connectors[3]: name: is required",
            f"connector e: enabled: {FLAG}",
            "connectors[5]: name: b is a duplicate",
        ]
        assert_refused(play("connectors", connectors=entries), problems, registry_path)

    def test_what_looks_malformed_and_is_not_is_not_told_beside_what_is(self, play: Play, registry_path: Path) -> None:
        smtp = {**HOST, "port": "587", "validate_certs": "yes", "relay": "no"}
        texts = {"cc": "one@example.com,two@example.com", "enabled": "true", "headers": {"X-Number": 1}}
        entries = [{"name": "fine", "smtp": smtp, **texts}, {"name": "prod", "smtp": {"port": "abc"}}]
        problems = [f"connector prod: smtp.port: {PORT}"]
        assert_refused(play("connectors", connectors=entries), problems, registry_path)
        result = play("connector_test", declaration={**entries[0], "imap": {"port": "abc"}})
        assert_refused(result, [f"connector fine: imap.port: {PORT}"], registry_path)

    @pytest.mark.parametrize("strange", ["strange", 5, ["a"], True])
    def test_an_entry_that_is_no_dictionary(self, play: Play, registry_path: Path, strange: Any) -> None:
        """It is told by its position, and does not shift that of the others."""
        entries = [{"name": "good", "smtp": HOST}, strange, {"smtp": HOST}]
        problems = [f"connectors[1]: {DICTIONARY}", "connectors[2]: name: is required"]
        assert_refused(play("connectors", connectors=entries), problems, registry_path)

    def test_an_entry_that_contradicts_itself_is_told_beside_others(self, play: Play, registry_path: Path) -> None:
        entries = [
            {"name": "a", "smtp": {**HOST, "auth": "password"}},
            {"name": "b"},
            {"name": "c", "smtp": {**HOST, "auth": "oauth2"}},
        ]
        result = play("connectors", connectors=entries)
        assert result["msg"] == as_text(
            [
                "connector a: smtp.username: is required to sign in with a password",
                "connector a: smtp.password: is required to sign in with a password",
                "connector b: requires at least one of smtp, imap and graph",
                "connector c: smtp.auth: oauth2 requires an oauth2 block",
            ]
        )
        assert play("connector_info")["connectors"] == []

    @pytest.mark.parametrize("entries", ["text", {"name": "a"}, 5, None])
    def test_a_list_that_is_none(self, play: Play, registry_path: Path, entries: Any) -> None:
        result = play("connectors", connectors=entries)
        assert result["failed"] is True
        assert not registry_path.parent.exists()

    def test_purposes_and_default(self, play: Play, registry_path: Path) -> None:
        purposes = {"a b": "good", "alerts@": "good", "alerts@acme": "x y", "\x1b[31m\n": "good", "p": None}
        result = play("connectors", connectors=[], purposes=purposes, default="no name")
        problems = [
            "purposes[a b]: purpose: must be 1 to 100 letters, digits or any of _ . -",
            "purposes[alerts@]: tenant: is required after the @",
            f"purposes[alerts@acme]: connector: {NAME}",
            "purposes[?[31m?]: purpose: must be 1 to 100 letters, digits or any of _ . -",
            "purposes[p]: connector: must be text",
            f"default: {NAME}",
        ]
        assert_refused(result, problems, registry_path)

    def test_an_empty_list_with_purge(self, play: Play, registry_path: Path) -> None:
        told = "purge: must not be true with an empty list of connectors, which would delete all"
        assert_refused(play("connectors", connectors=[], purge=True), [told], registry_path)


OPTIONS: list[tuple[str, dict[str, Any], list[str]]] = [
    ("connector", {"clear": ["nothing"]}, ["connector a: nothing: there is no such field"]),
    (
        "connector",
        {"description": "x", "clear": ["description"]},
        ["connector a: description: cannot be both set and cleared"],
    ),
    ("connector", {"state": "duplicated", "smtp": HOST}, ["connector a: copy_from: is required with state duplicated"]),
    ("connector", {"state": "absent", "smtp": HOST}, ["connector a: smtp: cannot be given with state absent"]),
    (
        "connector",
        {"state": "default", "default": True, "clear": ["imap"], "description": "x"},
        [
            "connector a: default: can only be given with state present, not with default",
            "connector a: clear: can only be given with state present or duplicated, not with default",
            "connector a: description: cannot be given with state default",
        ],
    ),
    (
        "connector",
        {"default": True, "enabled": False, "smtp": HOST},
        ["connector a: default: cannot be true for a connector that is disabled"],
    ),
    ("connector", {"new_name": "x y", "smtp": HOST}, [f"connector a: new_name: {NAME}"]),
    ("connector", {"new_default": "", "state": "absent"}, [f"connector a: new_default: {NAME}"]),
    (
        "connector_purpose",
        {"purpose": "a b", "connector": "c d", "tenant": "x\n"},
        [
            "purpose: must be 1 to 100 letters, digits or any of _ . -",
            "tenant: must be 1 to 100 characters on one line, without control characters",
            f"connector: {NAME}",
        ],
    ),
    ("connector_test", {"connectors": ["a", "\x1b[31mX\n\0"]}, [f"connectors: item 2 {NAME}"]),
    ("init_mail", {"connectors": ["x" * 1000, ""]}, [f"connectors: item 1 {NAME}", f"connectors: item 2 {NAME}"]),
    ("connector_info", {"purpose": "a b"}, ["purpose: must be 1 to 100 letters, digits or any of _ . -"]),
]


@pytest.mark.parametrize(("module", "options", "problems"), OPTIONS)
def test_options_that_do_not_fit_together_are_refused(
    play: Play, registry_path: Path, module: str, options: dict[str, Any], problems: list[str]
) -> None:
    named = {"name": "a"} if module == "connector" else {}
    assert_refused(play(module, **named, **options), problems, registry_path)


@pytest.mark.parametrize(("actor", "check"), [("\t", False), ("x" * 101, False), ("two\nlines", True)])
def test_actor_that_cannot_be_recorded_is_refused(play: Play, registry_path: Path, actor: str, check: bool) -> None:
    told = "actor: must be 1 to 100 characters on one line, without control characters"
    assert_refused(play("connector", name="a", smtp=HOST, actor=actor, check=check), [told], registry_path)
