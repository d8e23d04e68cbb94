# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A registry with one damaged connector: it is named, and every other one keeps working.

Security review, finding 8: 52 kinds of damage were 120 tracebacks and 4 hangs.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from .conftest import Play

PASSWORD = "Rumpelstilzchen-7f3a9c51e2"
HOST = "127.0.0.1"
CLOSED_PORT = 1
SMTP = {"host": HOST, "port": CLOSED_PORT, "security": "none", "auth": "password", "username": "m@example.com"}
ENTRIES = [
    {"name": name, "smtp": {**SMTP, "password": f"{PASSWORD}-{name}"}, "from_address": "m@example.com"}
    for name in ("a", "b", "c")
]
OTHERS = ["b", "c"]


class Raw(bytes):
    """Octets that are stored as text."""


class Damage(NamedTuple):
    """A column of connector a that holds something else, and the field that is named for it."""

    column: str
    value: str | bytes | float | None
    field: str


def settings(**changes: Any) -> str:
    """The settings of connector a, changed."""
    return json.dumps({"smtp": SMTP, "from_address": "m@example.com", **changes})


def smtp(**changes: Any) -> str:
    return settings(smtp={**SMTP, **changes})


DAMAGES: dict[str, Damage] = {
    # The whole of the settings
    "settings are no JSON": Damage("settings", "{", "settings"),
    "settings are empty": Damage("settings", "", "settings"),
    "settings are cut off": Damage("settings", settings()[:-9], "settings"),
    "settings are a list": Damage("settings", "[1]", "settings"),
    "settings are a number": Damage("settings", "7", "settings"),
    "settings are null": Damage("settings", "null", "settings"),
    "settings are a text": Damage("settings", '"smtp"', "settings"),
    "settings are a blob": Damage("settings", settings().encode(), "settings"),
    "settings are not UTF-8": Damage("settings", Raw(b"{\xff\xfe}"), "settings"),
    "a text in the settings is not UTF-8": Damage(
        "settings", Raw(settings(description="?").encode().replace(b"?", b"\xff")), "description"
    ),
    "settings with NUL": Damage("settings", settings() + "\0", "settings"),
    "settings too deep": Damage("settings", "[" * 200_000, "settings"),
    "settings too deep within": Damage("settings", '{"smtp":' * 100_000 + "1" + "}" * 100_000, "settings"),
    "settings too long": Damage("settings", settings(description="x" * 5_000_000), "settings"),
    "NaN": Damage("settings", settings().replace(str(CLOSED_PORT), "NaN"), "settings"),
    "infinity": Damage("settings", settings().replace(str(CLOSED_PORT), "-Infinity"), "settings"),
    "a number of 5000 digits": Damage("settings", settings().replace(str(CLOSED_PORT), "9" * 5000), "s"),
    # Single fields
    "unknown field": Damage("settings", settings(colour="red"), "colour"),
    "unknown field with an odd name": Damage("settings", settings(**{"\x1b[2J\n": 1}), "?[2J?"),
    "unknown field in a block": Damage("settings", smtp(colour="red"), "smtp.colour"),
    "secret in the open": Damage("settings", smtp(password=PASSWORD), "smtp.password"),
    "block is a list": Damage("settings", settings(smtp=[1]), "smtp"),
    "block is null": Damage("settings", settings(smtp=None), "smtp"),
    "block is a text": Damage("settings", settings(smtp="mail.example.com"), "smtp"),
    "host is a number": Damage("settings", smtp(host=7), "smtp.host"),
    "host is null": Damage("settings", smtp(host=None), "smtp.host"),
    "host is a list": Damage("settings", smtp(host=["x"]), "smtp.host"),
    "host has two lines": Damage("settings", smtp(host="mail.example.com\nRCPT TO:<x>"), "smtp.host"),
    "port is a text": Damage("settings", smtp(port="25"), "smtp.port"),
    "port is a boolean": Damage("settings", smtp(port=True), "smtp.port"),
    "port is a fraction": Damage("settings", smtp(port=25.5), "smtp.port"),
    "port is 70000": Damage("settings", smtp(port=70_000), "smtp.port"),
    "port is a list": Damage("settings", smtp(port=[25]), "smtp.port"),
    "port is huge": Damage("settings", smtp(port=10**300), "smtp.port"),
    "port is negative": Damage("settings", smtp(port=-1), "smtp.port"),
    "security is unknown": Damage("settings", smtp(security="quantum"), "smtp.security"),
    "security is a list": Damage("settings", smtp(security=["tls"]), "smtp.security"),
    "auth is unknown": Damage("settings", smtp(auth="magic"), "smtp.auth"),
    "mechanism is unknown": Damage("settings", smtp(mechanisms=["MAGIC"]), "smtp.mechanisms"),
    "mechanisms are a text": Damage("settings", smtp(mechanisms="PLAIN"), "smtp.mechanisms"),
    "uri cannot be parsed": Damage("settings", settings(smtp={"uri": "smtp://["}), "smtp.uri"),
    "proxy cannot be parsed": Damage("settings", smtp(proxy="x"), "smtp.proxy"),
    "smtp without a host": Damage("settings", settings(smtp={}), "smtp.host"),
    "imap without a host": Damage("settings", settings(imap={"port": 143}), "imap.host"),
    "graph beside smtp": Damage("settings", settings(graph={"mailbox": "x@example.com"}), "graph"),
    "graph without oauth2": Damage("settings", '{"graph": {"mailbox": "x@example.com"}}', "oauth2"),
    "graph without a mailbox": Damage("settings", '{"graph": {}, "oauth2": {}}', "graph.mailbox"),
    "graph with a wrong port": Damage("settings", '{"graph": {"url": "https://x:99999"}, "oauth2": {}}', "graph.url"),
    "validate_certs is a text": Damage("settings", smtp(validate_certs="no"), "smtp.validate_certs"),
    "cloud is unknown": Damage("settings", settings(oauth2={"cloud": "seven"}), "oauth2.cloud"),
    "enabled is a text": Damage("settings", settings(enabled="yes"), "enabled"),
    "cc is a text": Damage("settings", settings(cc="x@example.com"), "cc"),
    "cc holds numbers": Damage("settings", settings(cc=[1, 2]), "cc"),
    "available_to holds dictionaries": Damage("settings", settings(available_to=[{}]), "available_to"),
    "headers are a list": Damage("settings", settings(headers=["X-A"]), "headers"),
    "headers hold numbers": Damage("settings", settings(headers={"X-A": 1}), "headers"),
    "headers hold line breaks": Damage("settings", settings(headers={"X-A": "1\r\nBcc: x@example.com"}), "headers"),
    "name to show has line breaks": Damage("settings", settings(from_name="x\r\nBcc: y@example.com"), "from_name"),
    "text with NUL": Damage("settings", settings(description="a\0b"), "description"),
    "half a surrogate pair": Damage("settings", settings(description="\ud800"), "description"),
    "text is too long": Damage("settings", settings(description="x" * 70_000), "description"),
    # Other columns
    "preset is no JSON": Damage("preset", "x", "preset"),
    "preset is a list": Damage("preset", "[]", "preset"),
    "preset of an unknown block": Damage("preset", '{"graph": {"host": "x"}}', "preset"),
    "preset without a host": Damage("preset", '{"smtp": {"port": 25, "security": "tls"}}', "preset"),
    "preset with a text as port": Damage(
        "preset", '{"smtp": {"host": "x", "port": "25", "security": "tls"}}', "preset"
    ),
    "preset is a blob": Damage("preset", b"{}", "preset"),
    "revision is 0": Damage("revision", 0, "revision"),
    "revision is negative": Damage("revision", -5, "revision"),
    "revision is a text": Damage("revision", "one", "revision"),
    "revision is a fraction": Damage("revision", 1.5, "revision"),
    "revision is infinite": Damage("revision", float("inf"), "revision"),
    "revision is huge": Damage("revision", 2**63 - 1, "revision"),
    "revision is a blob": Damage("revision", b"\1", "revision"),
    "sending_revision is ahead": Damage("sending_revision", 9, "sending_revision"),
    "sending_revision is negative": Damage("sending_revision", -1, "sending_revision"),
    "created_at is empty": Damage("created_at", "", "created_at"),
    "created_at is no time": Damage("created_at", "yesterday", "created_at"),
    "created_at is no day": Damage("created_at", "2024-13-45T00:00:00Z", "created_at"),
    "created_at is a blob": Damage("created_at", b"2024-01-01T00:00:00Z", "created_at"),
    "updated_at has two lines": Damage("updated_at", "2024-01-01T00:00:00Z\n", "updated_at"),
    "created_by has an escape": Damage("created_by", "\x1b[31mroot", "created_by"),
    "updated_by is a blob": Damage("updated_by", b"\xff", "updated_by"),
    "enabled is 2": Damage("enabled", 2, "enabled"),
    "enabled is a word": Damage("enabled", "x", "enabled"),
    "enabled is not what the settings say": Damage("settings", settings(enabled=False), "enabled"),
    "proven_revision is a text": Damage("proven_revision", "x", "proven_revision"),
    "proven_revision is ahead": Damage("proven_revision", 9, "proven_revision"),
    "proven without a time": Damage("proven_revision", 1, "proven_at"),
}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry before it is damaged, to be copied."""
    return tmp_path_factory.mktemp("sound") / "registry"


@pytest.fixture
def registry(play: Play, sound: Path, registry_path: Path) -> Path:
    if not sound.exists():
        made = play(
            "connectors", connectors=ENTRIES, default="c", purposes={"alerts": "b"}, registry=f"{sound}/registry.db"
        )
        assert made["created"] == ["a", "b", "c"]
    shutil.copytree(sound, registry_path.parent)
    return registry_path


def execute(path: Path, statement: str, *values: Any) -> None:
    """Change the file from outside."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA foreign_keys = OFF")
        database.execute(statement, values)


def set_column(path: Path, column: str, value: Any) -> None:
    how = "CAST(? AS TEXT)" if isinstance(value, Raw) else "?"
    execute(path, f"UPDATE connector SET {column} = {how} WHERE name = 'a'", value)


def names(result: dict[str, Any]) -> list[str]:
    return [each["name"] for each in result["connectors"]]


def assert_readers_work(play: Play, told: str, etc: Path) -> None:
    """All tasks that change nothing: what is damaged is named, and the others are shown, tested, written."""
    info = play("connector_info")
    assert names(info) == OTHERS
    assert [told in warning for warning in info["warnings"]] == [True]
    assert names(play("connector_info", history=True)) == OTHERS
    assert names(play("connector_info", purpose="alerts")) == ["b"]
    assert play("connector_info", name="b").keys() == {"changed", "connectors"}
    assert told in play("connector_info", name="a")["msg"]
    test = play("connector_test", depth="connect", fail=False)
    verdicts = {each["connector"]: each["verdict"] for each in test["results"]}
    assert verdicts == {"a": "config_invalid", "b": "connect_refused", "c": "connect_refused"}
    assert told in test["results"][0]["remedy"]
    (only,) = play("connector_test", connectors=["b"], depth="connect", fail=False)["results"]
    assert only["verdict"] == "connect_refused"
    (only,) = play("connector_test", connectors=["b"], deliver_via="a", depth="deliver", fail=False)["results"]
    assert (only["field"], told in only["remedy"]) == ("deliver_via", True)
    mail = play("init_mail", check=True)
    assert ([each["connector"] for each in mail["sent"]], mail["failed"]) == (OTHERS, True)
    assert told in " ".join(mail["msg"].split())
    etc.mkdir(exist_ok=True)
    config = {"app": "msmtp", "path": f"{etc}/msmtprc"}
    assert play("connector_config", connector="b", **config, check=True)["changed"]
    assert told in play("connector_config", connector="a", **config, check=True)["msg"]


def assert_writers_work(play: Play, told: str) -> None:
    """Tasks that change other connectors."""
    assert play("connector", name="b", description="new")["changed"]
    assert not play("connectors", connectors=[ENTRIES[2]])["changed"]
    assert play("connectors", connectors=[{"name": "c", "description": "new"}], merge=True)["updated"] == ["c"]
    assert play("connector_purpose", purpose="approvals", connector="b")["changed"]
    assert play("connector", name="b", state="default")["changed"]
    for refused in (
        play("connector", name="a", state="default"),
        play("connector", name="a", new_name="d", smtp=ENTRIES[0]["smtp"]),
        play("connector", name="d", copy_from="a", state="duplicated"),
        play("connector_purpose", purpose="alerts", connector="a"),
    ):
        assert told in refused["msg"]
    assert names(play("connector_info")) == OTHERS


def test_damage_is_named_by_connector_and_field(play: Play, registry: Path) -> None:
    sound_registry, answers = registry.read_bytes(), {}
    for kind, damage in DAMAGES.items():
        registry.write_bytes(sound_registry)
        set_column(registry, damage.column, damage.value)
        info = play("connector_info")
        expected = f"connector a is damaged in the registry: {damage.field}"
        if names(info) != OTHERS or [expected in warning for warning in info["warnings"]] != [True]:
            answers[kind] = info
    assert answers == {}


# Beyond what names it, all damage is alike: some columns, and what might be expensive or escape a check.
KINDS_OF_DAMAGE = (
    "settings are no JSON",
    "settings too deep within",
    "a number of 5000 digits",
    "unknown field with an odd name",
    "half a surrogate pair",
    "revision is infinite",
    "created_at is a blob",
    "enabled is 2",
    "proven without a time",
)


@pytest.mark.parametrize("kind", KINDS_OF_DAMAGE)
@pytest.mark.sampled(3)
def test_tasks_for_other_connectors_work_beside_a_damaged_one(
    play: Play, registry: Path, kind: str, tmp_path: Path
) -> None:
    damage = DAMAGES[kind]
    set_column(registry, damage.column, damage.value)
    told = f"connector a is damaged in the registry: {damage.field}"
    assert_readers_work(play, told, tmp_path / "etc")
    assert_writers_work(play, told)


@pytest.mark.parametrize("kind", KINDS_OF_DAMAGE)
@pytest.mark.sampled(3)
def test_damaged_connector_is_deleted_or_made_anew(play: Play, registry: Path, kind: str) -> None:
    damage = DAMAGES[kind]
    set_column(registry, damage.column, damage.value)
    damaged = registry.read_bytes()
    assert play("connector", name="a", state="absent")["changed"]
    assert play("connector_info").keys() == {"changed", "connectors"}
    registry.write_bytes(damaged)
    assert play("connectors", connectors=ENTRIES[1:], purge=True)["deleted"] == ["a"]
    assert play("connector_info").keys() == {"changed", "connectors"}
    registry.write_bytes(damaged)
    execute(registry, "INSERT INTO purpose SELECT 'approvals', '', id FROM connector WHERE name = 'a'")
    made = play("connector", **ENTRIES[0], default=True)
    assert [warning.startswith("connector a: was damaged") for warning in made["warnings"]] == [True]
    info = play("connector_info", history=True)
    assert names(info) == ["a", "b", "c"]
    assert "warnings" not in info
    assert (info["connectors"][0]["purposes"], info["connectors"][0]["is_default"]) == (["approvals"], True)
    assert [entry["revision"] for entry in info["connectors"][0]["history"]] == [1]


@pytest.mark.parametrize("value", [2, -1, "9x", 1.5])
def test_second_default_is_named_and_ended_by_choosing_one(play: Play, registry: Path, value: Any) -> None:
    set_column(registry, "is_default", value)
    info = play("connector_info")
    assert names(info) == OTHERS
    assert "connector a is damaged in the registry: is_default must be 0 or 1" in info["warnings"][0]
    assert names(play("connector_info", purpose="unbound")) == ["c"]
    assert play("connector", name="b", state="default")["changed"]
    assert [each["is_default"] for each in play("connector_info")["connectors"]] == [False, True, False]


def test_deleting_a_damaged_connector_in_use_is_refused(play: Play, registry: Path) -> None:
    execute(registry, "INSERT INTO purpose SELECT 'approvals', '', id FROM connector WHERE name = 'a'")
    set_column(registry, "settings", "{")
    told = play("connector", name="a", state="absent")["msg"]
    assert told == "connector a: is in use by approvals: bind these purposes to another connector first"
    assert play("connector_purpose", purpose="approvals", connector="b")["changed"]
    assert play("connector", name="a", state="absent")["changed"]


def test_damaged_default_is_named_and_may_be_replaced(play: Play, registry: Path) -> None:
    execute(registry, "UPDATE connector SET settings = '{' WHERE name = 'c'")
    told = "connector c is damaged in the registry: settings"
    assert told in play("connector_info", purpose="unbound")["msg"]
    assert play("connector", name="b", description="new")["changed"]
    refused = play("connector", name="c", state="absent")["msg"]
    assert refused.startswith("connector c: is the default, and other enabled connectors remain")
    registry_before = registry.read_bytes()
    assert play("connector", name="c", state="absent", new_default="b")["changed"]
    assert names(play("connector_info", purpose="unbound")) == ["b"]
    registry.write_bytes(registry_before)
    assert play("connector", **ENTRIES[2])["connector"]["is_default"] is True
    assert names(play("connector_info", purpose="unbound")) == ["c"]


def test_damaged_connector_that_is_disabled_is_not_tested(play: Play, registry: Path) -> None:
    set_column(registry, "settings", "{")
    set_column(registry, "enabled", 0)
    assert [each["connector"] for each in play("connector_test", depth="connect", fail=False)["results"]] == OTHERS


NAMES: dict[str, Any] = {
    "a blob": b"a",
    "not UTF-8": Raw(b"\xff"),
    "with an escape and a line break": "\x1b[2J\n",
    "of another script": "\u0430",
}


@pytest.mark.parametrize("kind", NAMES)
def test_connector_with_a_damaged_name_is_numbered_and_the_others_work(
    play: Play, registry: Path, kind: str, tmp_path: Path
) -> None:
    execute(registry, "INSERT INTO purpose SELECT 'lost', '', id FROM connector WHERE name = 'a'")
    set_column(registry, "name", NAMES[kind])
    told = "connector number 1 is damaged in the registry: name must be that of a connector; restore the registry"
    info = play("connector_info")
    assert names(info) == OTHERS
    assert [each[: len(told)] for each in info["warnings"]] == [
        told,
        "purpose lost is bound to a connector that does not exist in the registry: bind it again."[: len(told)],
    ]
    assert "bind it again" in play("connector_info", purpose="lost")["msg"]
    test = play("connector_test", depth="connect", fail=False)
    assert [each["connector"] for each in test["results"]] == [*OTHERS, "number 1"]
    assert play("connector", name="b", description="new")["changed"]
    assert play("connectors", connectors=ENTRIES[1:], purge=True)["deleted"] == ["number 1"]
    assert play("connector_info").keys() == {"changed", "connectors"}


SECRETS: dict[str, tuple[str, str]] = {
    "field is unknown": ("field = 'smtp.pin'", "smtp.pin"),
    "field is for no secret": ("field = 'smtp.host'", "smtp.host"),
    "field is a blob": ("field = x'ff'", ""),
    "token is empty": ("token = ''", "smtp.password"),
    "token is a blob": ("token = x'00ff'", "smtp.password"),
    "token has blanks": ("token = 'a b c'", "smtp.password"),
    "token is not ASCII": ("token = 'gAAAAAä'", "smtp.password"),
    "token has NUL": ("token = 'a' || char(0)", "smtp.password"),
    "token has two lines": ("token = token || char(10)", "smtp.password"),
    "fingerprint is empty": ("fingerprint = ''", "smtp.password"),
    "fingerprint is a blob": ("fingerprint = x'00'", "smtp.password"),
    "key id is a blob": ("key_id = x'01'", "smtp.password"),
    "key id has blanks": ("key_id = 'a b'", "smtp.password"),
    "key id is not UTF-8": ("key_id = CAST(x'ff' AS TEXT)", "smtp.password"),
}


def test_damaged_row_of_a_secret_is_named_by_its_field(play: Play, registry: Path) -> None:
    sound_registry, answers = registry.read_bytes(), {}
    for kind, (change, field) in SECRETS.items():
        registry.write_bytes(sound_registry)
        execute(registry, f"UPDATE secret SET {change} WHERE connector = 1")
        info = play("connector_info")
        expected = f"connector a is damaged in the registry: {field}"
        if names(info) != OTHERS or [expected in warning for warning in info["warnings"]] != [True]:
            answers[kind] = info
    assert answers == {}


@pytest.mark.parametrize("kind", ["field is a blob", "token is not ASCII", "key id is not UTF-8"])
@pytest.mark.sampled(3)
def test_tasks_for_other_connectors_work_beside_a_damaged_secret(
    play: Play, registry: Path, kind: str, tmp_path: Path
) -> None:
    change, field = SECRETS[kind]
    execute(registry, f"UPDATE secret SET {change} WHERE connector = 1")
    told = f"connector a is damaged in the registry: {field}"
    assert_readers_work(play, told, tmp_path / "etc")
    assert_writers_work(play, told)
    assert play("connector", **ENTRIES[0])["changed"]
    assert names(play("connector_info")) == ["a", "b", "c"]


TOKENS = ("token = substr(token, 1, 50)", "token = 'x'", "fingerprint = 'x'", "key_id = 'x'")


@pytest.mark.parametrize("change", TOKENS)
@pytest.mark.sampled(3)
def test_secret_that_does_not_open_is_a_problem_of_its_connector_alone(play: Play, registry: Path, change: str) -> None:
    execute(registry, f"UPDATE secret SET {change} WHERE connector = 1")
    test = play("connector_test", fail=False)
    verdicts = {each["connector"]: each["verdict"] for each in test["results"]}
    assert {name: verdicts[name] for name in OTHERS} == dict.fromkeys(OTHERS, "connect_refused")
    assert names(play("connector_info")) == ["a", "b", "c"]
    assert play("connector", name="b", description="new")["changed"]
    assert play("connector", name="a", state="absent")["changed"]
    assert play("connector", **ENTRIES[0])["changed"]


BROKEN_RULES: dict[str, str] = {
    "host is empty": smtp(host=""),
    "host has blanks": smtp(host="a b"),
    "user name is empty": smtp(username=""),
    "certificate file is relative": smtp(ca_file="ca.pem"),
    "no mechanism": smtp(mechanisms=[]),
    "EHLO name has blanks": smtp(ehlo_name="a b"),
    "sender is no address": settings(from_address="nobody"),
    "sender is empty": settings(from_address=""),
    "test address is no address": settings(test_address="x"),
    "display name is too long": settings(display_name="x" * 65),
    "description is too long": settings(description="x" * 1001),
    "header that the message sets": settings(headers={"From": "x@example.com"}),
    "header without a name": settings(headers={"": "x"}),
    "tenant twice": settings(available_to=["a", "a"]),
    "provider that is unknown": settings(provider="gone"),
    "no server at all": json.dumps({}),
    "oauth2 that is empty": settings(oauth2={}),
    "tenant that is none": json.dumps({"graph": {}, "oauth2": {"tenant_id": " ", "username": "x"}}),
    "token_url that cannot be parsed": smtp(auth="oauth2")[:-1] + ', "oauth2": {"token_url": "x"}}',
    "graph with a mailbox that is none": json.dumps({"graph": {"mailbox": "x"}, "oauth2": {"authority": "y"}}),
    "same credentials without imap": smtp(same_credentials=True),
}


def test_stored_connector_that_breaks_a_check_is_shown_as_any_other(play: Play, registry: Path) -> None:
    """A check of this version may be newer than the connector."""
    answers = {}
    for kind, stored in BROKEN_RULES.items():
        set_column(registry, "settings", stored)
        info = play("connector_info")
        if names(info) != ["a", "b", "c"] or "damaged" in str(info.get("warnings")):
            answers[kind] = info
    assert answers == {}


@pytest.mark.parametrize(
    "kind",
    [
        "host has blanks",
        "no mechanism",
        "test address is no address",
        "header that the message sets",
        "provider that is unknown",
        "no server at all",
        "token_url that cannot be parsed",
        "graph with a mailbox that is none",
        "same credentials without imap",
    ],
)
@pytest.mark.sampled(3)
def test_tasks_answer_in_sentences_where_a_stored_connector_breaks_a_check(
    play: Play, registry: Path, kind: str, tmp_path: Path
) -> None:
    set_column(registry, "settings", BROKEN_RULES[kind])
    for depth in ("connect", "login"):
        test = play("connector_test", depth=depth, fail=False)
        assert "internal_error" not in [each["verdict"] for each in test["results"]]
    for tried in (
        play("init_mail", connectors=["a"], check=True),
        play("connector_config", connector="a", app="msmtp", path=f"{tmp_path}/msmtprc", check=True),
        play("connector", name="a", description="new", check=True),
        play("connectors", connectors=ENTRIES, check=True),
        play("connector", name="d", copy_from="a", state="duplicated", check=True),
    ):
        assert "\n  File " not in tried.get("msg", "")
    assert play("connector", name="b", description="new")["changed"]
    assert play("connector", name="a", state="absent")["changed"]


class TestHistory:
    @pytest.mark.parametrize(
        ("column", "value"),
        [
            ("before", "\n[]"),
            ("before", b"\xff"),
            ("after", b"{}"),
            ("at", "\x1b"),
            ("actor", b"\xff"),
            ("actor", "x" * 100_000),
        ],
        ids=["list", "blob", "blob of JSON", "escape as time", "blob as actor", "long actor"],
    )
    def test_damaged_entry_is_shown_without_what_it_says(
        self, play: Play, registry: Path, column: str, value: Any
    ) -> None:
        play("connector", name="a", description="new")
        execute(registry, f"UPDATE revision SET {column} = ? WHERE name = 'a' AND revision = 1", value)
        result = play("connector_info", history=True)
        assert result["warnings"] == ["connector a: its history is damaged at revision 1."]
        entries = {each["name"]: each["history"] for each in result["connectors"]}
        assert entries["a"][0] == {"revision": 1, "at": None, "by": None, "before": None, "after": None}
        assert entries["a"][1]["after"]["description"] == "new"
        assert [len(entries[name]) for name in OTHERS] == [1, 1]
        assert "warnings" not in play("connector_info")


class TestPurposes:
    def test_purpose_of_a_missing_connector_is_named(self, play: Play, registry: Path) -> None:
        execute(registry, "INSERT INTO purpose VALUES ('lost', 'acme', 99)")
        told = "purpose lost@acme is bound to a connector that does not exist in the registry: bind it again."
        assert play("connector_info")["warnings"] == [told]
        assert play("connector_info", purpose="lost", tenant="acme")["msg"] == told
        assert names(play("connector_info", purpose="alerts")) == ["b"]
        assert play("connector_purpose", purpose="lost", tenant="acme", connector="b")["changed"]
        assert "warnings" not in play("connector_info")

    @pytest.mark.parametrize("name", [b"alerts", "a b", "\x1b"])
    def test_purpose_with_a_damaged_name_is_left_out(self, play: Play, registry: Path, name: Any) -> None:
        execute(registry, "INSERT INTO purpose VALUES (?, '', 1)", name)
        assert names(play("connector_info")) == ["a", "b", "c"]
        assert play("connector", name="b", description="new")["changed"]
        assert play("connector", name="a", state="absent")["changed"]
