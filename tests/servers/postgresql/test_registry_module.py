# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module registry, and what other modules say of a database that it has not prepared."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from peers.postgresql import DATABASE, new_schema
from unit.plugins.module_utils._module.conftest import Play
from unit.plugins.module_utils._registry.samples import (
    KEY,
    NEW_KEY,
    STAMP,
    carry_out,
    change,
    declare,
    entry,
    everything,
    history,
    open_database,
    open_registry,
    record_tests,
    request,
    secrets,
)

from ansible_collections.mailroom.core.plugins.module_utils._connector.plan import Request
from ansible_collections.mailroom.core.plugins.module_utils._connector.records import (
    MOST_RUNS,
    ApplicationRecord,
    RecordedTest,
    Run,
)
from ansible_collections.mailroom.core.plugins.module_utils._connector.state import Proof, Purpose
from ansible_collections.mailroom.core.plugins.module_utils._errors import RegistryError
from ansible_collections.mailroom.core.plugins.module_utils._registry.postgresql import schema
from ansible_collections.mailroom.core.plugins.module_utils._registry.registry import Registry

from .conftest import Place

HOST = {"host": "mail.example.com"}


@pytest.fixture
def location(empty_place: Place) -> str:
    return empty_place.server.socket_location(empty_place.schema)


class TestMaking:
    def test_a_registry_is_made_once(self, play: Play, location: str) -> None:
        made = play("registry", registry=location)
        assert made["changed"]
        shown = made["registry"]
        assert len(shown.pop("id")) == 32
        assert shown == {
            "backend": "postgresql",
            "schema_version": len(schema.MIGRATIONS),
            "connectors": 0,
            "keys": [],
            "writable": True,
        }
        assert not play("registry", registry=location)["changed"]

    def test_check_mode_returns_the_statements_which_make_it(
        self, play: Play, location: str, empty_place: Place
    ) -> None:
        planned = play("registry", registry=location, check=True)
        assert planned["changed"]
        assert (planned["registry"]["id"], planned["registry"]["schema_version"]) == (None, 0)
        assert planned["registry"]["writable"]
        assert empty_place.admin("SELECT to_regnamespace('{s}')") == [(None,)]
        for statement in planned["statements"]:
            empty_place.admin(statement)
        current = play("registry", registry=location, check=True)
        assert (current["changed"], current["statements"]) == (False, [])
        assert current["registry"]["schema_version"] == len(schema.MIGRATIONS)

    def test_an_earlier_version_is_migrated_and_keeps_what_it_holds(
        self, play: Play, location: str, place: Place, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        declare(place.over_socket(), entry("a"))
        step = ("ALTER TABLE {schema}.connector ADD COLUMN colour text",)
        monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, step))
        newest = len(schema.MIGRATIONS)
        refused = play("connector", registry=location, name="a", description="new")
        assert refused["msg"].endswith(
            f"cannot be used: its tables are those of an earlier version (schema {newest - 1}, this one needs {newest}"
            "); migrate them with the module mailroom.core.registry."
        )
        assert play("registry", registry=location, check=True)["statements"] == [
            f'ALTER TABLE "{place.schema}".connector ADD COLUMN colour text',
            f'UPDATE "{place.schema}".registry SET schema_version = {newest}',
        ]
        assert play("registry", registry=location)["changed"]
        assert list(everything(place.over_socket()).connectors) == ["a"]

    def test_a_migration_that_fails_leaves_the_earlier_version(
        self, play: Play, location: str, place: Place, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        steps = (("CREATE TABLE {schema}.extra (id int)",), ("SELECT 1 / 0",))
        with monkeypatch.context() as patched:
            patched.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, *steps))
            assert play("registry", registry=location)["failed"]
        assert place.admin("SELECT to_regclass('{s}.extra')") == [(None,)]
        assert not play("registry", registry=location)["changed"]

    @pytest.mark.parametrize("module", ["registry", "connector_info"])
    def test_a_newer_version_is_refused(self, play: Play, location: str, place: Place, module: str) -> None:
        place.admin("UPDATE {s}.registry SET schema_version = 99")
        refused = play(module, registry=location)
        assert f" (its schema is 99, this one knows {len(schema.MIGRATIONS)}): upgrade" in refused["msg"]

    @pytest.mark.parametrize(
        ("module", "options"),
        [
            ("connector", {"name": "a", "smtp": HOST}),
            ("connectors", {"connectors": [{"name": "a", "smtp": HOST}]}),
            ("connector_info", {}),
            ("connector_purpose", {"purpose": "alerts", "connector": "a"}),
            ("connector_test", {}),
            ("init_mail", {}),
        ],
    )
    def test_without_tables_others_say_so_and_make_none(
        self, play: Play, location: str, empty_place: Place, module: str, options: dict[str, Any]
    ) -> None:
        refused = play(module, registry=location, **options)
        assert refused["msg"].endswith(
            "cannot be used: it has no tables yet; make them with the module mailroom.core.registry."
        )
        assert "\n" not in refused["msg"]
        assert empty_place.admin("SELECT to_regnamespace('{s}')") == [(None,)]

    def test_in_check_mode_that_is_a_warning_since_an_earlier_task_may_make_them(
        self, play: Play, location: str
    ) -> None:
        planned = play("connectors", registry=location, connectors=[{"name": "a", "smtp": HOST}], check=True)
        assert (planned["changed"], planned["created"]) == (True, ["a"])
        assert any("it has no tables yet" in warning for warning in planned["warnings"])

    def test_migration_waits_for_a_writer(self, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
        with ThreadPoolExecutor(1) as pool:
            with place.over_socket().writing() as writer:
                step = ("ALTER TABLE {schema}.connector ADD COLUMN colour text",)
                monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, step))
                migration = pool.submit(place.over_socket().set_up)
                waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype IN ('tuple', 'transactionid')"
                while place.admin(waiting) == [(0,)]:
                    pass
                carry_out(writer, request(entry("a")))
            assert len(migration.result()) == 2
        assert list(everything(place.over_socket()).connectors) == ["a"]

    def test_two_at_once_make_one_registry(self, empty_place: Place) -> None:
        with ThreadPoolExecutor(4) as pool:
            made = list(pool.map(lambda _number: empty_place.over_socket().set_up(), range(4)))
        assert [bool(statements) for statements in made].count(True) == 1

    def test_a_file_is_made_too(self, play: Play, registry_path: Path) -> None:
        planned = play("registry", check=True)
        assert planned["changed"]
        assert planned["statements"][0].startswith("CREATE TABLE registry")
        assert not registry_path.exists()
        made = play("registry")
        assert (made["changed"], made["registry"]["backend"]) == (True, "sqlite")
        assert not play("registry")["changed"]

    def test_a_file_knows_no_roles(self, play: Play) -> None:
        refused = play("registry", grant_read=["reader"])
        assert refused["msg"].startswith("grant_read and grant_write go with a registry in PostgreSQL")


class TestRoles:
    """Least privilege: who reads, who writes, and who owns."""

    @pytest.fixture
    def roles(self, place: Place) -> tuple[str, str]:
        reader, writer = new_schema(), new_schema()
        for role in (reader, writer):
            place.server.add_role(role)
        granted = place.over_socket().set_up([reader], [writer])
        assert len(granted) > 10
        declare(place.over_socket(), entry("a", "secret"), default="a")
        return reader, writer

    def test_grants_are_given_once(self, place: Place, roles: tuple[str, str]) -> None:
        assert place.over_socket().set_up([roles[0]], [roles[1]]) == []

    def test_a_reader_reads_and_opens_with_the_key(self, place: Place, roles: tuple[str, str]) -> None:
        registry = place.over_socket(roles[0])
        assert secrets(registry, "a") == {"smtp.password": "secret"}
        assert len(history(registry, "a")) == 1

    def test_a_reader_is_refused_to_write_with_the_way_out(self, place: Place, roles: tuple[str, str]) -> None:
        registry = place.over_socket(roles[0])
        for attempt in (registry.check_writable, lambda: declare(registry, entry("b"))):
            with pytest.raises(RegistryError, match=r"have its owner run the module .* with grant_write"):
                attempt()

    def test_a_reader_may_run_a_task_that_changes_nothing(
        self, play: Play, place: Place, roles: tuple[str, str]
    ) -> None:
        location = place.server.socket_location(place.schema, roles[0])
        same = {"name": "a", "smtp": {"host": "mail.example.com"}}
        assert not play("connector", registry=location, **same)["changed"]
        assert play("connector", registry=location, **same, description="x")["failed"]
        assert play("connector", registry=location, **same, description="x", check=True)["failed"]
        described = play("registry", registry=location)
        assert (described["changed"], described["registry"]["writable"]) == (False, False)

    def test_a_writer_does_all_that_tasks_do(self, place: Place, roles: tuple[str, str]) -> None:
        registry = place.over_socket(roles[1])
        registry.check_writable()
        declare(registry, entry("b", "secret"), entry("a", "new secret"), bind={Purpose("alerts"): "b"}, default="b")
        change(registry, Request(absent=("a",)))
        with registry.writing() as writer:
            writer.record_proof(everything(registry).connectors["b"], Proof(1, "2030-01-01T00:00:00Z", "x@example.com"))
            record_tests(writer, *[TEST._replace(connector="b")] * (MOST_RUNS + 1))
            writer.record_application(APPLICATION, {})
            writer.forget_application(*APPLICATION.key)
        with registry.exclusive() as turn:
            turn.check()
        with place.over_socket(roles[1], f"{NEW_KEY},{KEY}").writing() as writer:
            writer.reseal()
        assert list(everything(registry).connectors) == ["b"]

    def test_who_may_use_a_registry_may_use_the_tables_of_its_next_version(
        self, empty_place: Place, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        reader, writer = new_schema(), new_schema()
        for role in (reader, writer):
            empty_place.server.add_role(role)
        with monkeypatch.context() as patched:
            patched.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:1])
            first = ("application", "health", "test_run")
            for privileges in ("_READ", "_WRITE"):
                kept = {table: each for table, each in getattr(schema, privileges).items() if table not in first}
                patched.setattr(schema, privileges, kept)
            empty_place.over_socket().set_up([reader], [writer])
        empty_place.over_socket().set_up()
        declare(empty_place.over_socket(writer), entry("a"))
        with empty_place.over_socket(writer).writing() as records:
            record_tests(records, TEST)
        with empty_place.over_socket(reader).reading() as looking:
            assert list(looking.health()) == ["a"]
        assert empty_place.over_socket().set_up([reader], [writer]) == []

    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE {s}.revision SET actor = 'nobody'",
            "DELETE FROM {s}.revision",
            "TRUNCATE {s}.revision",
            "DROP TABLE {s}.revision",
            "UPDATE {s}.registry SET id = repeat('0', 32)",
            "CREATE TABLE {s}.extra (id int)",
        ],
    )
    def test_a_writer_can_neither_change_history_nor_tables(
        self, place: Place, roles: tuple[str, str], statement: str
    ) -> None:
        given = {"host": str(place.server.folder), "port": place.server.port, "dbname": DATABASE, "user": roles[1]}
        with psycopg.connect(**given) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement.replace("{s}", place.schema))

    def test_a_role_that_does_not_exist_is_named(self, place: Place) -> None:
        with pytest.raises(RegistryError, match="cannot be granted: there is no role nobody_here"):
            place.over_socket().set_up(["nobody_here"], [])

    def test_who_may_not_make_tables_is_told_what_to_do(self, play: Play, empty_place: Place) -> None:
        role = new_schema()
        empty_place.server.add_role(role)
        refused = play("registry", registry=empty_place.server.socket_location(empty_place.schema, role))
        assert refused["msg"].endswith("have an owner run the statements that check mode returns.")


TEST = RecordedTest(
    "a", "", 0, Run("2030-01-01T00:00:00Z", "web1", "fail", "auth_rejected", 12), "2031-01-01T00:00:00Z"
)
APPLICATION = ApplicationRecord(
    "env", "web1", "/etc/mail.env", "a", Purpose("alerts", "acme"), ("name",), "d" * 64, STAMP
)


def fill(registry: Registry) -> None:
    entries = [entry("a", "secret a", cc=["x@example.com"]), entry("b", "secret b", enabled=False), entry("gone")]
    declare(registry, *entries, default="a", bind={Purpose("alerts", "acme"): "a"})
    declare(registry, {"name": "a", "description": "new\nlines ä"})
    change(registry, Request(absent=("gone",)))
    with registry.writing() as writer:
        writer.record_proof(everything(registry).connectors["a"], Proof(2, "2030-01-01T00:00:00Z", "x@example.com"))
        record_tests(writer, TEST)
        writer.record_application(APPLICATION, {})


def content(registry: Registry) -> Any:
    with registry.reading() as reader:
        found = reader.content()
        return (
            found._replace(secrets={}),
            {name: {field: each.reveal() for field, each in own.items()} for name, own in found.secrets.items()},
            reader.history_of_deleted("gone"),
            reader.health(),
            reader.applications(),
        )


class TestCopying:
    def test_there_and_back_everything_is_equal_and_sealed_anew(
        self, play: Play, location: str, tmp_path: Path, registry_path: Path
    ) -> None:
        original, back = open_registry(registry_path, KEY), tmp_path / "back" / "registry.db"
        fill(original)
        to_database = {"registry": location, "registry_key": NEW_KEY, "copy_from": str(registry_path)}
        copied = play("registry", **to_database, copy_from_key=KEY)
        assert copied["changed"]
        database = open_database(location, NEW_KEY)
        assert content(database) == content(original)
        assert not play("registry", **to_database, copy_from_key=KEY)["changed"]

        to_file = {"registry": str(back), "registry_key": KEY, "copy_from": location, "copy_from_key": NEW_KEY}
        assert play("registry", **to_file, check=True)["changed"]
        assert not back.exists()
        assert play("registry", **to_file)["changed"]
        assert content(open_registry(back, KEY)) == content(original)
        assert not play("registry", **to_file)["changed"]

    def test_the_key_beside_a_file_is_found(self, play: Play, location: str, registry_path: Path) -> None:
        fill(open_registry(registry_path, None))
        key = Path(f"{registry_path}.key")
        result = play("registry", registry=location, registry_key_file=str(key), copy_from=str(registry_path))
        assert result["changed"]
        assert content(open_database(location, key.read_text())) == content(open_registry(registry_path, None))

    def test_one_that_holds_something_else_is_left_alone(self, play: Play, place: Place, registry_path: Path) -> None:
        fill(open_registry(registry_path, KEY))
        declare(place.over_socket(), entry("other"))
        before = content(place.over_socket())
        location = place.server.socket_location(place.schema)
        options = {"registry": location, "registry_key": KEY, "copy_from": str(registry_path)}
        for check in (True, False):
            assert " is not empty and holds something else " in play("registry", **options, check=check)["msg"]
        assert content(place.over_socket()) == before

    def test_refused_copy_grants_nothing(self, play: Play, place: Place, registry_path: Path) -> None:
        fill(open_registry(registry_path, KEY))
        declare(place.over_socket(), entry("other"))
        role = new_schema()
        place.server.add_role(role)
        location = place.server.socket_location(place.schema)
        options = {"registry": location, "registry_key": KEY, "grant_read": [role]}
        assert play("registry", **options, copy_from=str(registry_path))["failed"]
        assert play("registry", **options, check=True)["statements"]

    def test_another_password_is_something_else(self, play: Play, location: str, registry_path: Path) -> None:
        options = {"registry": location, "registry_key": KEY, "copy_from": str(registry_path)}
        fill(open_registry(registry_path, KEY))
        play("registry", **options)
        declare(open_registry(registry_path, KEY), entry("a", "new secret"))
        assert play("registry", **options)["failed"]

    def test_without_the_key_nothing_is_copied(self, play: Play, location: str, registry_path: Path) -> None:
        fill(open_registry(registry_path, KEY))
        refused = play("registry", registry=location, registry_key=NEW_KEY, copy_from=str(registry_path))
        assert refused["msg"].startswith("copy_from: The registry holds secrets that are sealed with key ")
        assert play("connector_info", registry=location)["msg"].endswith("mailroom.core.registry.")

    def test_what_is_not_there_is_an_error(self, play: Play, location: str, tmp_path: Path) -> None:
        refused = play("registry", registry=location, registry_key=KEY, copy_from=str(tmp_path / "none.db"))
        assert refused["msg"] == f"The registry {tmp_path}/none.db, which copy_from names, does not exist."

    def test_to_itself_is_an_error(self, play: Play, location: str) -> None:
        refused = play("registry", registry=location, registry_key=KEY, copy_from=location)
        assert refused["msg"] == "copy_from: must be another registry than the one it is copied to"


def test_history_outlives_its_connector(play: Play, place: Place) -> None:
    for location in (place.server.socket_location(place.schema), None):
        options = {"registry": location} if location else {}
        play("connector", name="gone", smtp=HOST, actor="maker", **options)
        play("connector", name="gone", state="absent", actor="remover", **options)
        assert play("connector_info", name="gone", **options)["connectors"] == []
        (found,) = play("connector_info", name="gone", history=True, **options)["connectors"]
        assert (found["name"], found["deleted"]) == ("gone", True)
        assert [(each["revision"], each["by"]) for each in found["history"]] == [(1, "maker"), (2, "remover")]


def test_a_key_is_needed_to_seal_and_none_is_made(play: Play, place: Place) -> None:
    location = place.server.socket_location(place.schema)
    smtp = {**HOST, "username": "u", "password": "swordfish"}
    for check in (True, False):
        refused = play("connector", registry=location, name="a", smtp=smtp, check=check)
        assert refused["msg"] == (
            "A secret is to be sealed, and there is no key: give registry_key or registry_key_file. For a registry in a"
            " database none is made."
        )
    assert play("connector", registry=location, name="a", smtp=HOST)["changed"]
    assert play("connector", registry=location, registry_key=KEY, name="a", smtp=smtp)["changed"]
    tested = play("connector_test", registry=location, connectors=["a"])
    assert tested["results"][0]["verdict"] == "host_not_ready"


def test_a_commit_notifies_whoever_listens(place: Place) -> None:
    given = {"host": str(place.server.folder), "port": place.server.port, "user": "postgres", "dbname": DATABASE}
    registry = place.over_socket()
    with psycopg.connect(**given, autocommit=True) as listening:
        listening.execute("LISTEN mailroom")
        declare(registry, entry("a", "secret"), entry("b"))
        with suppress(InterruptedError), registry.writing() as writer:
            carry_out(writer, request(entry("a", description="never")))
            raise InterruptedError
        declare(registry, entry("a", "another secret"))
        change(registry, Request(absent=("b",)))
        heard = [json.loads(each.payload) for each in listening.notifies(timeout=5, stop_after=4)]
    told = [(each["connector"], each["change"], each["revision"], each["actor"]) for each in heard]
    assert told == [
        ("a", "created", 1, "tester"),
        ("b", "created", 1, "tester"),
        ("a", "updated", 2, "tester"),
        ("b", "deleted", 2, "tester"),
    ]


def test_test_that_changes_the_state_notifies_whoever_listens(place: Place) -> None:
    given = {"host": str(place.server.folder), "port": place.server.port, "user": "postgres", "dbname": DATABASE}
    registry = place.over_socket()
    declare(registry, entry("a"), entry("b"))
    fine = RecordedTest("b", "", 0, TEST.run._replace(status="ok", verdict="ok"))
    with psycopg.connect(**given, autocommit=True) as listening:
        listening.execute("LISTEN mailroom")
        for batch in ([TEST, fine], [TEST, fine], [fine._replace(connector="a"), fine]):
            with registry.writing() as writer:
                record_tests(writer, *batch)
        declare(registry, entry("last"))
        *heard, _last = [json.loads(each.payload) for each in listening.notifies(timeout=5, stop_after=4)]
    assert heard == [
        {"connector": "a", "verdict": "auth_rejected", "status": "fail"},
        {"connector": "b", "verdict": "ok", "status": "ok"},
        {"connector": "a", "verdict": "ok", "status": "ok"},
    ]
