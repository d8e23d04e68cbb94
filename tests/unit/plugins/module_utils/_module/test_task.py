# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all modules have in common: check mode, the shared options, and what a task is told when it cannot work."""

from __future__ import annotations

import base64
import errno
import getpass
import os
import pwd
import re
import sys
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any, Callable

import pytest

from ansible_collections.mailroom.core.plugins.module_utils._registry.sqlite.file import SqliteFile
from ansible_collections.mailroom.core.plugins.module_utils._registry.sqlite.storage import SqliteBackend

from .conftest import Play

KEY, NEW_KEY, FOREIGN_KEY = (base64.urlsafe_b64encode(bytes([number]) * 32).decode() for number in (1, 2, 3))
HOST = {"host": "mail.example.com"}
PASSWORD = "Rumpelstilzchen-7f3a9c51e2"
SIGNED_IN = {**HOST, "username": "mailer", "password": PASSWORD}

CHANGES: list[tuple[str, dict[str, Any]]] = [
    ("connector", {"name": "new", "smtp": SIGNED_IN}),
    ("connector", {"name": "a", "description": "new", "smtp": {"password": f"new {PASSWORD}"}}),
    ("connector", {"name": "a", "new_name": "renamed"}),
    ("connector", {"name": "a", "smtp": {"auth": "none"}}),
    ("connector", {"name": "b", "state": "default"}),
    ("connector", {"name": "unused", "state": "absent"}),
    ("connector", {"copy_from": "a", "state": "duplicated", "smtp": {"password": f"copy {PASSWORD}"}}),
    ("connectors", {"connectors": [{"name": "new", "smtp": HOST}, {"name": "a", "smtp": HOST}]}),
    ("connectors", {"connectors": [{"name": "b", "smtp": HOST}], "purge": True, "default": "b", "purposes": {}}),
    ("connector_purpose", {"purpose": "alerts", "connector": "b"}),
    ("connector_purpose", {"purpose": "alerts", "state": "absent"}),
]


@pytest.fixture
def filled(play: Play) -> Play:
    """A registry with three connectors, a default and a purpose."""
    entries = [{"name": "a", "smtp": SIGNED_IN}, {"name": "b", "smtp": HOST}, {"name": "unused", "smtp": HOST}]
    assert play("connectors", connectors=entries, default="a", purposes={"alerts": "a"})["changed"]
    return play


def content(path: Path) -> dict[str, bytes]:
    return {str(each): each.read_bytes() for each in path.parent.rglob("*") if each.is_file()}


def without_times(result: dict[str, Any]) -> dict[str, Any]:
    connector = result.get("connector")
    if isinstance(connector, dict):
        times = ("created_at", "updated_at")
        return {**result, "connector": {name: value for name, value in connector.items() if name not in times}}
    return result


class TestCheckMode:
    @pytest.mark.parametrize(("module", "options"), CHANGES)
    def test_check_mode_answers_the_same_and_writes_nothing(
        self, filled: Play, registry_path: Path, module: str, options: dict[str, Any]
    ) -> None:
        before = content(registry_path)
        planned = filled(module, check=True, **options)
        assert content(registry_path) == before
        done = filled(module, **options)
        assert done["changed"] is True
        assert without_times(planned) == without_times(done)
        assert content(registry_path) != before
        assert filled(module, **options)["changed"] is False

    def test_missing_registry_is_not_made(self, play: Play, registry_path: Path) -> None:
        assert play("connector", check=True, name="new", smtp=SIGNED_IN)["changed"] is True
        assert not registry_path.parent.exists()

    def test_where_the_file_is_empty_it_stays_so(self, play: Play, registry_path: Path) -> None:
        registry_path.parent.mkdir()
        registry_path.touch()
        assert play("connector", check=True, name="a", smtp=SIGNED_IN)["changed"] is True
        assert content(registry_path) == {str(registry_path): b""}

    @pytest.mark.parametrize("key", ["malformed", FOREIGN_KEY])
    @pytest.mark.parametrize(
        "options", [{"name": "new", "smtp": SIGNED_IN}, {"name": "a", "smtp": {"password": "x y"}}]
    )
    def test_a_key_that_fails_the_task_fails_it_too(self, filled: Play, key: str, options: dict[str, Any]) -> None:
        planned = filled("connector", check=True, registry_key=key, **options)
        done = filled("connector", registry_key=key, **options)
        assert done["failed"] is True
        assert planned == done

    @pytest.mark.parametrize("check", [True, False])
    def test_what_changes_nothing_leaves_every_byte(self, filled: Play, registry_path: Path, check: bool) -> None:
        before = content(registry_path)
        for module, options in (
            ("connector", {"name": "a", "smtp": SIGNED_IN, "default": True}),
            ("connector", {"name": "a", "state": "default"}),
            ("connector", {"name": "nobody", "state": "absent"}),
            ("connectors", {"connectors": [{"name": "a", "smtp": SIGNED_IN}, {"name": "b", "smtp": HOST}]}),
            ("connector_purpose", {"purpose": "alerts", "connector": "a"}),
            ("connector_purpose", {"purpose": "nothing", "state": "absent"}),
            ("connector_info", {"history": True}),
        ):
            result = filled(module, check=check, **options)
            assert result["changed"] is False
            assert result.get("diff", {"before": {}, "after": {}}) == {"before": {}, "after": {}}
        assert content(registry_path) == before

    @pytest.mark.parametrize(
        ("module", "options"),
        [
            ("connector", {"name": "nobody", "state": "absent"}),
            ("connector_purpose", {"purpose": "nothing", "state": "absent"}),
            ("connectors", {"connectors": []}),
            ("connector_info", {}),
        ],
    )
    def test_what_changes_nothing_makes_no_registry(
        self, play: Play, registry_path: Path, module: str, options: dict[str, Any]
    ) -> None:
        assert play(module, **options)["changed"] is False
        assert not registry_path.parent.exists()


class TestEnvironment:
    def test_everything_can_come_from_it(self, play: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MAILROOM_REGISTRY", str(tmp_path / "env.db"))
        monkeypatch.setenv("MAILROOM_REGISTRY_KEY_FILE", str(tmp_path / "env.key"))
        monkeypatch.setenv("MAILROOM_ACTOR", "Ada Lovelace")
        result = play("connector", name="a", smtp=SIGNED_IN, registry=None)
        assert result["connector"]["created_by"] == "Ada Lovelace"
        assert sorted(each.name for each in tmp_path.iterdir()) == ["env.db", "env.key"]

    def test_options_win(
        self, play: Play, registry_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("REGISTRY", "REGISTRY_KEY", "REGISTRY_KEY_FILE", "ACTOR"):
            monkeypatch.setenv(f"MAILROOM_{name}", str(tmp_path / "wrong"))
        result = play("connector", name="a", smtp=SIGNED_IN, registry_key=KEY, actor="me")
        assert result["connector"]["created_by"] == "me"
        assert registry_path.exists()
        assert not (tmp_path / "wrong").exists()

    def test_a_key_from_it_opens_what_the_same_key_has_sealed(
        self, play: Play, registry_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        play("connector", name="a", smtp=SIGNED_IN, registry_key=KEY)
        monkeypatch.setenv("MAILROOM_REGISTRY_KEY", KEY)
        assert play("connector", name="a", smtp=SIGNED_IN)["changed"] is False
        assert not registry_path.with_name("registry.db.key").exists()

    @pytest.mark.parametrize("blank", ["environment", "option"])
    def test_blank_values_count_as_left_out(
        self, play: Play, registry_path: Path, monkeypatch: pytest.MonkeyPatch, blank: str
    ) -> None:
        shared = ("registry_key", "registry_key_file", "actor")
        options = dict.fromkeys(shared, "") if blank == "option" else {}
        if blank == "environment":
            for name in shared:
                monkeypatch.setenv(f"MAILROOM_{name.upper()}", "")
        result = play("connector", name="a", smtp=SIGNED_IN, **options)
        assert result["connector"]["created_by"] == getpass.getuser()
        assert registry_path.with_name("registry.db.key").exists()

    @pytest.mark.parametrize("blank", ["environment", "option"])
    def test_a_blank_path_is_the_default_one(
        self, play: Play, default_registry: Path, monkeypatch: pytest.MonkeyPatch, blank: str
    ) -> None:
        if blank == "environment":
            monkeypatch.setenv("MAILROOM_REGISTRY", "")
        play("connector", name="a", smtp=HOST, registry=None if blank == "environment" else "")
        assert default_registry.exists()

    def test_without_any_path_it_is_the_default_one(self, play: Play, default_registry: Path) -> None:
        play("connector", name="a", smtp=HOST, registry=None)
        assert default_registry.exists()


class TestActor:
    def test_the_operating_systems_user_by_default(self, play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
        assert play("connector", name="a", smtp=HOST)["connector"]["updated_by"] == getpass.getuser()
        body = "ansible_collections.mailroom.core.plugins.module_utils._module.shared_options"
        monkeypatch.setattr(f"{body}.os.geteuid", lambda: 4_000_000)
        assert play("connector", name="a", description="x")["connector"]["updated_by"] == "uid 4000000"

    @pytest.mark.parametrize("actor", ["x", "Ä" * 100, "CN=ops, OU=mail"])
    def test_actor_that_is_named_is_recorded(self, play: Play, actor: str) -> None:
        play("connector", name="a", smtp=HOST)
        result = play("connector", name="a", description="x", actor=actor)["connector"]
        assert (result["created_by"], result["updated_by"]) == (getpass.getuser(), actor)
        (info,) = play("connector_info", name="a", history=True)["connectors"]
        assert [each["by"] for each in info["history"]] == [getpass.getuser(), actor]


def test_times_are_utc(play: Play) -> None:
    created = play("connector", name="a", smtp=HOST)["connector"]["created_at"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", created)


class TestClockThatJumps:
    """Order, default and what is due follow revisions. Stamps only tell what the clock said."""

    @pytest.fixture
    def set_clock(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
        class Jumping(datetime):
            year_now = 2024

            @classmethod
            def now(cls, tz: tzinfo | None = None) -> datetime:
                return cls(cls.year_now, 6, 15, 12, 0, 0, tzinfo=tz)

        body = "ansible_collections.mailroom.core.plugins.module_utils._module.shared_options"
        monkeypatch.setattr(f"{body}.datetime", Jumping)

        def set_year(year: int) -> None:
            Jumping.year_now = year

        return set_year

    @pytest.mark.parametrize("years", [(2024, 1970, 2038), (1970, 9999, 2024), (9999, 1970, 1970), (2106, 2000, 2106)])
    def test_history_keeps_its_order_and_every_task_works(
        self, play: Play, set_clock: Callable[[int], None], years: tuple[int, ...]
    ) -> None:
        for turn, year in enumerate(years):
            set_clock(year)
            result = play("connectors", connectors=[{"name": "a", "smtp": HOST, "description": str(turn)}], default="a")
            assert result["changed"]
            assert not play("connectors", connectors=[{"name": "a", "smtp": HOST, "description": str(turn)}])["changed"]
            assert play("init_mail", check=True, to="x@example.com")["already_proven"] == []
        result = play("connector_info", history=True)
        assert "warnings" not in result
        (info,) = result["connectors"]
        assert [entry["revision"] for entry in info["history"]] == [1, 2, 3]
        assert [int(entry["at"][:4]) for entry in info["history"]] == list(years)
        assert (int(info["created_at"][:4]), int(info["updated_at"][:4])) == (years[0], years[-1])
        assert play("connector", name="a", state="absent")["changed"]


class TestWhereTheRegistryIs:
    @pytest.mark.parametrize("way", ["option", "environment"])
    def test_relative_path_is_refused_in_one_sentence(
        self, play: Play, way: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.chdir(tmp_path)
        if way == "environment":
            monkeypatch.setenv("MAILROOM_REGISTRY", "registry.db")
        told = play("connector", name="a", smtp=HOST, registry="registry.db" if way == "option" else None)
        assert told["msg"] == "registry must be the absolute path of a file, or begin with ~/."
        assert list(tmp_path.iterdir()) == []

    def test_home_directory_of_nobody_is_said(self, play: Play) -> None:
        told = play("connector_info", registry="~nobody_has_this_name/registry.db")["msg"]
        assert told == (
            "registry begins with ~, and the user that runs the task has no such home directory: give an absolute path."
        )

    def test_home_directory_of_the_user_is_used(
        self, play: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HOME", str(tmp_path))
        play("connector", name="a", smtp=HOST, registry="~/mailroom/registry.db")
        assert (tmp_path / "mailroom" / "registry.db").exists()

    @pytest.mark.parametrize("module", ["connector", "connector_info"])
    def test_user_who_may_not_use_the_default_registry_is_told_what_to_do(
        self, play: Play, default_registry: Path, module: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_arguments: object, **_more: object) -> None:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

        place = "ansible_collections.mailroom.core.plugins.module_utils._registry.sqlite.file"
        monkeypatch.setattr(f"{place}.open_folder", refuse)
        monkeypatch.setattr(f"{place}.os.geteuid", lambda: 65534)
        told = play(module, **({"name": "a", "smtp": HOST} if module == "connector" else {}), registry=None)["msg"]
        assert told == (
            f"The registry {default_registry} cannot be read: Permission denied for the user"
            f" {pwd.getpwuid(65534).pw_name}; use become: true, or a registry of your own (registry: ~/…)."
        )


class TestKeys:
    @pytest.mark.parametrize("module", ["connector", "connector_info", "connector_test", "init_mail"])
    def test_key_file_that_others_may_read_is_refused(self, play: Play, registry_path: Path, module: str) -> None:
        play("connector", name="a", smtp=SIGNED_IN)
        key_file = registry_path.with_name("registry.db.key")
        key_file.chmod(0o644)
        told = play(module, **({"name": "a", "smtp": HOST} if module == "connector" else {}))
        assert told["msg"] == (
            f"registry_key_file {key_file} cannot be used: {key_file} must not be accessible by others, and its mode"
            f" is 0644: chmod 0600 {key_file}."
        )
        assert "warnings" not in play("connector_info", registry_key=KEY)

    @pytest.mark.parametrize("way", ["option", "environment", "default name"])
    def test_fifo_as_key_file_is_refused_at_once(
        self, play: Play, tmp_path: Path, registry_path: Path, way: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        play("connector", name="a", smtp=HOST)
        fifo = registry_path.with_name("registry.db.key") if way == "default name" else tmp_path / "key"
        os.mkfifo(fifo, 0o600)
        if way == "environment":
            monkeypatch.setenv("MAILROOM_REGISTRY_KEY_FILE", str(fifo))
        options = {"registry_key_file": str(fifo)} if way == "option" else {}
        told = play("connector", name="b", smtp=SIGNED_IN, **options)
        assert told["msg"] == f"registry_key_file {fifo} cannot be used: {fifo} must be a regular file, but is a FIFO."
        assert [each["name"] for each in play("connector_info", registry_key=KEY)["connectors"]] == ["a"]

    @pytest.mark.parametrize("suffix", ["", "-journal", "-wal", "-shm"])
    def test_key_file_in_the_place_of_the_registry_is_refused(
        self, play: Play, tmp_path: Path, registry_path: Path, suffix: str
    ) -> None:
        registry_path.parent.mkdir(mode=0o700)
        (tmp_path / "link").symlink_to(registry_path.parent)
        key_file = tmp_path / "link" / f"{registry_path.name}{suffix}"
        told = play("connector", name="a", smtp=SIGNED_IN, registry_key_file=str(key_file))["msg"]
        assert told == (
            f"registry_key_file {key_file} must be another file than the registry, and than those that SQLite keeps"
            " beside it (-journal, -wal, -shm)."
        )
        assert not list(registry_path.parent.iterdir())

    def test_key_file_that_may_not_be_looked_at_is_left_alone_where_no_key_is_needed(
        self, play: Play, tmp_path: Path
    ) -> None:
        play("connector", name="a", smtp=HOST)
        play("connector", name="b", smtp=HOST, registry_key_file=str(tmp_path / "missing" / "key"))

    @pytest.mark.parametrize("module", ["connector", "connectors", "connector_purpose"])
    def test_any_change_seals_anew_when_the_first_key_is_another(
        self, play: Play, registry_path: Path, module: str
    ) -> None:
        wish = {"name": "a", "smtp": SIGNED_IN}
        play("connectors", connectors=[wish], purposes={"alerts": "a"}, registry_key=KEY)
        options: dict[str, Any] = {
            "connector": wish,
            "connectors": {"connectors": [wish]},
            "connector_purpose": {"purpose": "alerts", "connector": "a"},
        }[module]
        rotating = {**options, "registry_key": f"{NEW_KEY}\n{KEY}"}
        before = content(registry_path)
        assert play(module, check=True, **rotating)["changed"] is True
        assert content(registry_path) == before
        assert play(module, **rotating)["changed"] is True
        assert play(module, **rotating)["changed"] is False
        assert play("connector", **wish, registry_key=NEW_KEY)["changed"] is False
        (info,) = play("connector_info", history=True)["connectors"]
        assert (info["revision"], len(info["history"])) == (1, 1)


@pytest.fixture
def no_cryptography(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*sys.modules, "cryptography", "cryptography.fernet"]:
        if name.partition(".")[0] == "cryptography":
            monkeypatch.setitem(sys.modules, name, None)


class TestMissingLibraries:
    def test_cryptography_is_asked_for_when_a_secret_is_stored(
        self, play: Play, no_cryptography: None, registry_path: Path
    ) -> None:
        play("connector", name="a", smtp=HOST)
        before = registry_path.read_bytes()
        result = play("connector", name="a", smtp=SIGNED_IN)
        assert result["failed"] is True
        assert re.fullmatch(
            r"The Python library cryptography is needed to seal secrets and cannot be imported by the interpreter that"
            r" runs this module \(.*\)\.",
            result["msg"],
        )
        assert registry_path.read_bytes() == before

    def test_key_is_asked_for_when_secrets_are_sealed_anew(
        self, play: Play, request: pytest.FixtureRequest, registry_path: Path
    ) -> None:
        play("connector", name="a", smtp=SIGNED_IN, registry_key=KEY)
        before = registry_path.read_bytes()
        request.getfixturevalue("no_cryptography")
        result = play("connector", name="a", smtp=SIGNED_IN, registry_key=f"{NEW_KEY},{KEY}")
        assert result["failed"] is True
        assert result["msg"].startswith("The Python library cryptography is needed to ")
        assert registry_path.read_bytes() == before

    def test_nothing_else_needs_it(self, filled: Play, request: pytest.FixtureRequest) -> None:
        request.getfixturevalue("no_cryptography")
        assert filled("connector", name="a", smtp=SIGNED_IN)["changed"] is False
        for module, options in (
            ("connector", {"name": "a", "description": "new"}),
            ("connector", {"name": "b", "smtp": {"port": 2525}}),
            ("connector", {"name": "unused", "state": "absent"}),
            ("connector_purpose", {"purpose": "alerts", "connector": "b"}),
            ("connectors", {"connectors": [{"name": "b", "smtp": HOST}], "default": "b"}),
            ("connector", {"name": "a", "state": "absent"}),
        ):
            assert filled(module, **options)["changed"] is True
        assert len(filled("connector_info")["connectors"]) == 1

    @pytest.mark.parametrize(
        ("module", "options"),
        [
            ("connector", {"name": "a", "smtp": HOST}),
            ("connectors", {"connectors": []}),
            ("connector_purpose", {"purpose": "alerts", "connector": "a"}),
            ("connector_info", {}),
        ],
    )
    def test_sqlite(self, play: Play, monkeypatch: pytest.MonkeyPatch, module: str, options: dict[str, Any]) -> None:
        monkeypatch.delitem(sys.modules, SqliteBackend.__module__)
        monkeypatch.delitem(sys.modules, SqliteFile.__module__)
        monkeypatch.setitem(sys.modules, "sqlite3", None)
        result = play(module, **options)
        assert result["failed"] is True
        assert re.fullmatch(
            r"The Python library sqlite3 is needed to read the registry and cannot be imported by the interpreter that"
            r" runs this module \(.*\)\.",
            result["msg"],
        )


class TestBrokenRegistries:
    @pytest.mark.parametrize("check", [True, False])
    @pytest.mark.parametrize(
        ("module", "options"),
        [
            ("connector", {"name": "a", "smtp": HOST}),
            ("connectors", {"connectors": [{"name": "a", "smtp": HOST}]}),
            ("connector_purpose", {"purpose": "alerts", "connector": "a"}),
            ("connector_info", {}),
        ],
    )
    def test_a_file_that_is_none(
        self, play: Play, registry_path: Path, module: str, options: dict[str, Any], check: bool
    ) -> None:
        registry_path.parent.mkdir()
        registry_path.write_text("connectors: []\n" * 100)
        before = content(registry_path)
        result = play(module, check=check, **options)
        assert result["failed"] is True
        assert re.fullmatch(r"The registry /.* cannot be (read|changed): the file is no registry\.", result["msg"])
        assert "exception" not in result
        assert content(registry_path) == before
