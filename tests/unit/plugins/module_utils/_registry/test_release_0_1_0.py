# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A registry that release 0.1.0 has made, in which secrets are bound to nothing, is migrated and trusted just once.

data/registry-0.1.0.db and its key were made by that release from data/registry-0.1.0.json.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable

import pytest
from cryptography.fernet import Fernet

from ansible_collections.mailroom.core.plugins.module_utils._connector.declaration import parse_declaration
from ansible_collections.mailroom.core.plugins.module_utils._connector.plan import Request
from ansible_collections.mailroom.core.plugins.module_utils._connector.secret import Secret
from ansible_collections.mailroom.core.plugins.module_utils._connector.secret_destinations import (
    destination,
    destination_digest,
)
from ansible_collections.mailroom.core.plugins.module_utils._connector.state import Connector, Proof, Purpose, Wanted
from ansible_collections.mailroom.core.plugins.module_utils._errors import RegistryKeyError
from ansible_collections.mailroom.core.plugins.module_utils._registry.registry import Registry
from ansible_collections.mailroom.core.plugins.module_utils._registry.sealing import Key, KeyRing
from ansible_collections.mailroom.core.plugins.module_utils._registry.sqlite import file as sqlite_file
from ansible_collections.mailroom.core.plugins.module_utils._registry.sqlite import schema

from .processes import Link, count_calls, die_at_call, forked
from .samples import (
    FOREIGN_KEY,
    NEW_KEY,
    ask_file,
    change,
    declare,
    edit_file,
    edit_settings,
    everything,
    folder_content,
    history,
    open_registry,
    planned,
    request,
)

DATA = Path(__file__).parent / "data"
DECLARED = json.loads((DATA / "registry-0.1.0.json").read_text(encoding="utf-8"))
OLD_KEY = (DATA / "registry-0.1.0.db.key").read_text(encoding="ascii").strip()
SECRETS = {
    entry["name"]: {path: secret.reveal() for path, secret in parse_declaration(entry)[0].secrets.items()}
    for entry in DECLARED["connectors"]
}
PATHS = [(name, path) for name, secrets in SECRETS.items() for path in secrets]
NAMED = sorted(f"connector {name}: {path}" for name, path in PATHS)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The registry as the release left it, with its key beside it."""
    path = tmp_path / "registry.db"
    shutil.copy(DATA / "registry-0.1.0.db", path)
    shutil.copy(DATA / "registry-0.1.0.db.key", f"{path}.key")
    path.with_name("registry.db.key").chmod(0o600)
    return path


@pytest.fixture
def migrated(path: Path) -> Path:
    migrate(open_registry(path, None))
    return path


def migrate(registry: Registry) -> None:
    """A task that writes nothing of its own."""
    with registry.writing():
        pass


def rerun() -> Request:
    """The declaration that the registry was made from."""
    purposes = {Purpose(*key.partition("@")[::2]): name for key, name in DECLARED["purposes"].items()}
    return request(
        *DECLARED["connectors"],
        merge=False,
        default=DECLARED["default"],
        bind=purposes,
        purge=True,
        purge_purposes=True,
    )


def opened(registry: Registry) -> dict[str, dict[str, str]]:
    with registry.reading() as reader:
        return {
            connector.name: {path: reader.open_secret(str(token)).reveal() for path, token in connector.secrets.items()}
            for connector in reader.load(Wanted()).connectors.values()
        }


def open_one(registry: Registry, name: str, field: str) -> str:
    with registry.reading() as reader:
        connector = reader.load(Wanted(frozenset([name]))).connectors[name]
        return reader.open_secret(str(connector.secrets[field])).reveal()


def unsealed(state: Any) -> list[Connector]:
    return [replace(connector, secrets=dict.fromkeys(connector.secrets, "")) for connector in state.connectors.values()]


def in_old_form(path: Path) -> int:
    return int(ask_file(path, "SELECT count(*) FROM secret WHERE form = 1")[0][0])


def sealed_by_the_release(key: str, secret: str) -> tuple[str, str, str]:
    """Key id, fingerprint and token, as release 0.1.0 makes them."""
    return (
        Key(key).id,
        Key(key).old_fingerprint(Secret(secret), "0123456789abcdef"),
        Fernet(key).encrypt(secret.encode()).decode(),
    )


def put_under(path: Path, key: str, name: str) -> None:
    """Let one connector's secrets be sealed with another key by the release."""
    for field, secret in SECRETS[name].items():
        edit_file(
            path,
            "UPDATE secret SET (key_id, fingerprint, token) = (?, ?, ?)"
            " WHERE connector = (SELECT id FROM connector WHERE name = ?) AND field = ?",
            *sealed_by_the_release(key, secret),
            name,
            field,
        )


def test_the_first_step_of_the_schema_is_that_of_the_release(path: Path) -> None:
    """A released step never changes: append another one."""
    with closing(sqlite3.connect(":memory:")) as database:
        for statement in schema.MIGRATIONS[0]:
            database.execute(statement)
        made = database.execute("SELECT type, name, sql FROM sqlite_master ORDER BY name").fetchall()
    assert made == ask_file(path, "SELECT type, name, sql FROM sqlite_master ORDER BY name")


class TestBeforeMigration:
    def test_readers_open_everything_and_change_nothing(self, path: Path) -> None:
        before = folder_content(path.parent)
        assert opened(open_registry(path, None)) == SECRETS
        assert folder_content(path.parent) == before

    def test_a_rerun_would_change_nothing(self, path: Path) -> None:
        with open_registry(path, None).reading() as reader:
            assert not planned(reader, rerun()).changed
            assert not reader.needs_resealing()
            assert sorted(reader.migration().due) == NAMED
            assert reader.migration().put_off == []

    def test_what_was_loaded_then_is_known_again_after_migration(self, path: Path) -> None:
        """A mail is sent between the two: its proof and its message id tell the connector by its identity."""
        registry = open_registry(path, None)
        loaded = everything(registry).connectors["alerts"]
        assert everything(registry).connectors["alerts"].identity == loaded.identity
        with registry.writing() as writer:
            writer.record_proof(loaded, Proof(loaded.revision, "2024-03-01T12:00:00Z", "x@example.com"))
        assert everything(registry).connectors["alerts"].is_proven


class TestMigration:
    def test_the_first_task_that_writes_seals_everything_anew(self, path: Path) -> None:
        registry = open_registry(path, None)
        before, revisions = everything(registry), history(registry, "alerts")
        migrate(registry)
        assert in_old_form(path) == 0
        assert opened(registry) == SECRETS
        assert unsealed(everything(registry)) == unsealed(before)
        assert history(registry, "alerts") == revisions
        assert ask_file(path, "PRAGMA user_version") == [(len(schema.MIGRATIONS),)]
        assert ask_file(path, "PRAGMA integrity_check") == [("ok",)]

    def test_a_rerun_changes_nothing_and_migrates(self, path: Path) -> None:
        registry = open_registry(path, None)
        plan = change(registry, rerun())
        assert not plan.changed
        assert plan.unchanged == len(SECRETS)
        assert in_old_form(path) == 0
        after = path.read_bytes()
        assert not change(registry, rerun()).changed
        assert path.read_bytes() == after

    def test_what_a_task_changes_is_bound_as_it_is_then(self, path: Path) -> None:
        registry = open_registry(path, None)
        declare(registry, {"name": "alerts", "smtp": {"port": 465}}, new_name="urgent")
        assert opened(registry)["urgent"] == SECRETS["alerts"]
        assert in_old_form(path) == 0

    def test_a_task_that_fails_leaves_the_old_state(self, path: Path) -> None:
        before = folder_content(path.parent)

        def fail() -> None:
            with open_registry(path, None).writing() as writer:
                writer.apply(planned(writer, request({"name": "alerts", "description": "new"})))
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail()
        assert folder_content(path.parent) == before

    def test_a_new_first_key_seals_all_with_that(self, path: Path) -> None:
        with open_registry(path, f"{NEW_KEY},{OLD_KEY}").writing() as writer:
            assert writer.needs_resealing()
            writer.reseal()
        assert opened(open_registry(path, NEW_KEY)) == SECRETS
        assert in_old_form(path) == 0

    @pytest.mark.parametrize("key", [None, FOREIGN_KEY])
    def test_without_the_key_it_is_put_off_and_tasks_go_on(self, path: Path, key: str | None) -> None:
        kept_key = path.with_name("registry.db.key").rename(path.with_name("kept.key"))
        keyless = open_registry(path, key)
        with keyless.writing() as writer:
            writer.apply(planned(writer, request({"name": "alerts", "smtp": {"port": 465}})))
            assert sorted(writer.migration().put_off) == NAMED
            assert writer.migration().due == []
        assert in_old_form(path) == len(PATHS)
        assert everything(keyless).connectors["alerts"].settings["smtp"]["port"] == 465
        kept_key.rename(path.with_name("registry.db.key"))
        migrate(open_registry(path, None))
        assert opened(open_registry(path, None)) == SECRETS
        assert in_old_form(path) == 0

    def test_without_the_library_it_is_put_off_and_tasks_go_on(self, path: Path, no_cryptography: None) -> None:
        registry = open_registry(path, None)
        with registry.writing() as writer:
            assert sorted(writer.migration().put_off) == NAMED
            assert not planned(writer, rerun()).changed
        assert in_old_form(path) == len(PATHS)
        assert ask_file(path, "SELECT count(*) FROM sealing_mark") == [(0,)]

    def test_a_secret_whose_key_is_not_given_waits_for_it(self, path: Path) -> None:
        put_under(path, NEW_KEY, "both")
        registry = open_registry(path, None)
        waiting = ["connector both: imap.password", "connector both: smtp.password"]
        for _again in range(2):
            with registry.writing() as writer:
                assert sorted(writer.migration().put_off) == waiting
                assert not writer.needs_resealing()
        assert in_old_form(path) == 2
        with pytest.raises(RegistryKeyError, match="not among the keys given"):
            open_one(registry, "both", "smtp.password")
        both_keys = open_registry(path, f"{OLD_KEY},{NEW_KEY}")
        assert opened(both_keys) == SECRETS
        with both_keys.writing() as writer:
            writer.reseal()
        assert in_old_form(path) == 0
        assert opened(registry) == SECRETS

    def test_a_task_with_the_other_key_alone_migrates_what_is_its_own(self, path: Path) -> None:
        put_under(path, NEW_KEY, "both")
        migrate(open_registry(path, None))
        migrate(open_registry(path, NEW_KEY))
        assert in_old_form(path) == 0
        assert opened(open_registry(path, f"{OLD_KEY},{NEW_KEY}")) == SECRETS

    def test_a_secret_that_cannot_be_opened_is_named_and_blocks_nothing(self, path: Path) -> None:
        edit_file(
            path,
            "UPDATE secret SET token = 'damaged' WHERE connector = (SELECT id FROM connector WHERE name = 'alerts')",
        )
        registry = open_registry(path, None)
        with registry.writing() as writer:
            assert writer.migration().put_off == ["connector alerts: smtp.password"]
        assert in_old_form(path) == 1
        with pytest.raises(RegistryKeyError, match=r"^connector alerts: smtp\.password: .*give it again"):
            open_one(registry, "alerts", "smtp.password")
        assert open_one(registry, "both", "smtp.password") == "both: smtp"
        entry = {"name": "alerts", "smtp": {"password": SECRETS["alerts"]["smtp.password"]}}
        assert declare(registry, entry, update_password="on_create").changed
        assert opened(registry) == SECRETS
        assert in_old_form(path) == 0


class TestKilled:
    """A killed migration leaves the old state, and the next one starts from there."""

    def assert_whole(self, path: Path) -> bool:
        assert ask_file(path, "PRAGMA integrity_check") == [("ok",)]
        done = ask_file(path, "PRAGMA user_version") == [(len(schema.MIGRATIONS),)]
        assert not done or in_old_form(path) == 0
        assert opened(open_registry(path, None)) == SECRETS
        return done

    def test_migration_killed_before_its_commit_leaves_the_old_state(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seal = KeyRing.seal

        def seal_slowly(link: Link) -> Callable[..., Any]:
            def sealing(*what: Any) -> Any:
                link.tell()
                link.hear()
                return seal(*what)

            return sealing

        def migrate_slowly(link: Link) -> None:
            monkeypatch.setattr(KeyRing, "seal", seal_slowly(link))
            monkeypatch.setattr(sqlite_file, "WAIT_SECONDS", 0)
            migrate(open_registry(path, None))

        for sealed in range(0, len(PATHS), 5):
            with forked(migrate_slowly) as child:
                for _number in range(sealed):
                    child.hear()
                    child.tell()
                child.hear()
                child.kill()
            assert not self.assert_whole(path)

    def test_migration_killed_at_any_step_leaves_the_old_or_the_new_state(self, path: Path, stride: int) -> None:
        kept = path.with_name("kept.db")
        shutil.copy(path, kept)
        steps = count_calls(lambda: migrate(open_registry(path, None)))

        def die_while_migrating(step: int) -> Callable[[Link], None]:
            def body(_link: Link) -> None:
                die_at_call(step)
                migrate(open_registry(path, None))

            return body

        outcomes = set()
        for step in range(1, steps, max(1, steps // 40 * stride)):
            shutil.copy(kept, path)
            with forked(die_while_migrating(step)) as child:
                child.wait()
            outcomes.add(self.assert_whole(path))
        assert False in outcomes


class TestOldFormIsRefused:
    """An old token, as a copy of the registry of that time holds it, opens nothing any more."""

    @pytest.fixture
    def old_rows(self) -> dict[tuple[str, str], tuple[str, ...]]:
        rows = ask_file(
            DATA / "registry-0.1.0.db",
            "SELECT name, field, key_id, fingerprint, token FROM secret JOIN connector ON id = connector",
        )
        return {(name, field): tuple(sealed) for name, field, *sealed in rows}

    def put_back(self, path: Path, row: tuple[str, ...], name: str, field: str) -> None:
        edit_file(
            path,
            "UPDATE secret SET (key_id, fingerprint, token, form) = (?, ?, ?, 1)"
            " WHERE connector = (SELECT id FROM connector WHERE name = ?) AND field = ?",
            *row,
            name,
            field,
        )

    def assert_refused(self, registry: Registry, name: str, field: str) -> None:
        with registry.reading() as reader:
            connector = reader.load(Wanted(frozenset([name]))).connectors[name]
            token = str(connector.secrets[field])
            assert reader.is_foreign(token)
            assert not reader.is_same_secret(token, Secret(SECRETS[name][field]))
            with pytest.raises(RegistryKeyError, match=rf"^connector {name}: {field}: .*give it again"):
                reader.open_secret(token)

    @pytest.mark.parametrize(("name", "field"), PATHS)
    @pytest.mark.sampled(5)
    def test_old_row_put_back_in_its_own_place_is_refused(
        self, migrated: Path, old_rows: dict[tuple[str, str], tuple[str, ...]], name: str, field: str
    ) -> None:
        self.put_back(migrated, old_rows[name, field], name, field)
        self.assert_refused(open_registry(migrated, None), name, field)
        migrate(open_registry(migrated, None))
        self.assert_refused(open_registry(migrated, None), name, field)

    def test_old_row_is_refused_where_the_marks_are_gone(
        self, migrated: Path, old_rows: dict[tuple[str, str], tuple[str, ...]]
    ) -> None:
        edit_file(migrated, "DELETE FROM sealing_mark")
        self.put_back(migrated, old_rows["alerts", "smtp.password"], "alerts", "smtp.password")
        self.assert_refused(open_registry(migrated, None), "alerts", "smtp.password")
        migrate(open_registry(migrated, None))
        self.assert_refused(open_registry(migrated, None), "alerts", "smtp.password")

    @pytest.mark.parametrize("mark", ["a forged one", "one of another registry", "one of another key"])
    def test_old_row_is_refused_with_a_forged_mark_that_allows_it(
        self, migrated: Path, old_rows: dict[tuple[str, str], tuple[str, ...]], mark: str
    ) -> None:
        row = old_rows["alerts", "smtp.password"]
        ((registry,),) = ask_file(migrated, "SELECT id FROM registry")
        macs = {
            "a forged one": "0" * 64,
            "one of another registry": Key(OLD_KEY).mark("other", row[0]).mac,
            "one of another key": Key(NEW_KEY).mark(registry, row[0]).mac,
        }
        edit_file(migrated, "UPDATE sealing_mark SET (old_form_keys, mac) = (?, ?)", row[0], macs[mark])
        self.put_back(migrated, row, "alerts", "smtp.password")
        self.assert_refused(open_registry(migrated, None), "alerts", "smtp.password")

    def test_old_row_is_refused_after_rotation_while_the_old_key_is_given(
        self, migrated: Path, old_rows: dict[tuple[str, str], tuple[str, ...]]
    ) -> None:
        rotating = open_registry(migrated, f"{NEW_KEY},{OLD_KEY}")
        with rotating.writing() as writer:
            writer.reseal()
        self.put_back(migrated, old_rows["alerts", "smtp.password"], "alerts", "smtp.password")
        for keys in (f"{NEW_KEY},{OLD_KEY}", f"{OLD_KEY},{NEW_KEY}", OLD_KEY):
            self.assert_refused(open_registry(migrated, keys), "alerts", "smtp.password")
        edit_file(migrated, "DELETE FROM sealing_mark")
        self.assert_refused(rotating, "alerts", "smtp.password")

    def test_old_row_is_refused_in_a_registry_that_never_had_the_old_form(
        self, tmp_path: Path, old_rows: dict[tuple[str, str], tuple[str, ...]]
    ) -> None:
        """Hosts often share a key, so that a token may come from another host's registry."""
        path = tmp_path / "new.db"
        registry = open_registry(path, f"{NEW_KEY},{OLD_KEY}")
        declare(registry, next(entry for entry in DECLARED["connectors"] if entry["name"] == "alerts"))
        self.put_back(path, old_rows["alerts", "smtp.password"], "alerts", "smtp.password")
        self.assert_refused(registry, "alerts", "smtp.password")
        self.assert_refused(open_registry(path, OLD_KEY), "alerts", "smtp.password")

    def test_old_row_is_refused_while_others_wait_for_their_key(
        self, path: Path, old_rows: dict[tuple[str, str], tuple[str, ...]]
    ) -> None:
        put_under(path, NEW_KEY, "both")
        migrate(open_registry(path, None))
        self.put_back(path, old_rows["alerts", "smtp.password"], "alerts", "smtp.password")
        for keys in (OLD_KEY, f"{OLD_KEY},{NEW_KEY}"):
            self.assert_refused(open_registry(path, keys), "alerts", "smtp.password")
        assert open_one(open_registry(path, f"{OLD_KEY},{NEW_KEY}"), "both", "smtp.password") == "both: smtp"

    def test_planted_rows_do_not_keep_the_old_form_alive(
        self, migrated: Path, old_rows: dict[tuple[str, str], tuple[str, ...]]
    ) -> None:
        self.put_back(migrated, sealed_by_the_release(FOREIGN_KEY, "planted"), "both", "smtp.password")
        migrate(open_registry(migrated, None))
        self.put_back(migrated, old_rows["alerts", "smtp.password"], "alerts", "smtp.password")
        self.assert_refused(open_registry(migrated, None), "alerts", "smtp.password")
        self.assert_refused(open_registry(migrated, f"{OLD_KEY},{FOREIGN_KEY}"), "both", "smtp.password")

    @pytest.mark.parametrize("planted", [f"x {Key(OLD_KEY).id}", Key(OLD_KEY).id.encode(), "\N{SNOWMAN}", 5, ""])
    def test_a_planted_key_id_is_no_way_around_the_mark(
        self, path: Path, old_rows: dict[tuple[str, str], tuple[str, ...]], planted: Any
    ) -> None:
        """It stands there when the registry is migrated, and would get into what the mark excepts."""
        edit_file(
            path,
            "UPDATE secret SET key_id = ? WHERE connector = (SELECT id FROM connector WHERE name = 'both')",
            planted,
        )
        migrate(open_registry(path, None))
        self.put_back(path, old_rows["alerts", "smtp.password"], "alerts", "smtp.password")
        self.assert_refused(open_registry(path, None), "alerts", "smtp.password")

    def test_refused_secret_given_again_is_stored(
        self, migrated: Path, old_rows: dict[tuple[str, str], tuple[str, ...]]
    ) -> None:
        self.put_back(migrated, old_rows["alerts", "smtp.password"], "alerts", "smtp.password")
        registry = open_registry(migrated, None)
        assert change(registry, rerun()._replace(update_password="on_create")).updated == ["alerts"]
        assert opened(registry) == SECRETS

    def test_a_new_key_shuts_out_a_copy_of_the_whole_file(self, migrated: Path) -> None:
        with open_registry(migrated, f"{NEW_KEY},{OLD_KEY}").writing() as writer:
            writer.reseal()
        shutil.copy(DATA / "registry-0.1.0.db", migrated)
        registry = open_registry(migrated, NEW_KEY)
        for name, field in PATHS:
            with pytest.raises(RegistryKeyError):
                open_one(registry, name, field)


def other_value(field: str, value: Any) -> Any:
    """What somebody could put in the place of a destination's value."""
    known = {
        "port": 2526,
        "security": "starttls_optional",
        "validate_certs": not value,
        "cloud": "china",
        "mechanisms": ["CRAM-MD5"],
    }
    return known.get(field, "/evil" if field == "ca_file" else "https://evil.example.com")


def destination_fields() -> Iterator[tuple[str, str, str, str]]:
    with open_registry(DATA / "registry-0.1.0.db", None).reading() as reader:
        connectors = reader.load(Wanted()).connectors
    for name, path in PATHS:
        for block, place in destination(path, connectors[name].effective_settings).items():
            yield from ((name, path, block, field) for field in place)


class TestAttacksAfterMigration:
    def test_no_field_of_a_destination_can_be_edited(self, migrated: Path) -> None:
        """A quarter of all fields of all secrets; one that another wins over changes nothing and may differ."""
        kept = migrated.with_name("kept.db")
        shutil.copy(migrated, kept)
        registry, tried, refused = open_registry(migrated, None), 0, 0
        before = everything(registry).connectors
        for name, path, block, field in [*destination_fields()][::4]:
            value = other_value(field, destination(path, before[name].effective_settings)[block][field])
            edit_settings(migrated, name, block, {field: value})
            tried += 1
            after = everything(registry).connectors.get(name)
            if after is None:
                # What no server can be at is damage, and is never opened.
                refused += 1
                shutil.copy(kept, migrated)
                continue
            if destination_digest(path, after.effective_settings) != destination_digest(
                path, before[name].effective_settings
            ):
                refused += 1
                with pytest.raises(RegistryKeyError, match=rf"^connector {name}: {path}: "):
                    open_one(registry, name, path)
            else:
                assert open_one(registry, name, path) == SECRETS[name][path]
            shutil.copy(kept, migrated)
        assert refused > 0.9 * tried

    def test_no_row_can_be_copied_over_another(self, migrated: Path) -> None:
        kept = migrated.with_name("kept.db")
        shutil.copy(migrated, kept)
        columns = "key_id, fingerprint, token, form, mac"
        where = "connector = (SELECT id FROM connector WHERE name = ?) AND field = ?"
        registry = open_registry(migrated, None)
        for (name, path), source in zip(PATHS, [*PATHS[1:], PATHS[0]]):
            edit_file(
                migrated,
                f"UPDATE secret SET ({columns}) = (SELECT {columns} FROM secret WHERE {where}) WHERE {where}",
                *source,
                name,
                path,
            )
            with pytest.raises(RegistryKeyError, match=rf"^connector {name}: {path}: "):
                open_one(registry, name, path)
            shutil.copy(kept, migrated)
