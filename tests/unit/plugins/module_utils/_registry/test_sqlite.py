# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for an embedded registry beyond the contract: its files, the key that it makes, its tables and indexes."""

from __future__ import annotations

import base64
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.mailroom.core.plugins.module_utils._connector.state import Purpose, Wanted
from ansible_collections.mailroom.core.plugins.module_utils._errors import RegistryKeyError
from ansible_collections.mailroom.core.plugins.module_utils._registry.registry import Registry

from .samples import ask_file, carry_out, declare, entry, folder_content, mode, open_registry, request, secrets

PASSWORD = "Rumpelstilzchen-7f3a9c51e2-ä"
EVERYTHING: dict[str, Any] = {
    "name": "full",
    "smtp": {"host": "mail.example.com", "username": "mailer", "password": PASSWORD},
    "imap": {"host": "mail.example.com", "username": "reader", "password": f"imap {PASSWORD}"},
    "oauth2": {"tenant_id": "example.com", "client_id": "app", "client_secret": f"client {PASSWORD}"},
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "registry" / "registry.db"


@pytest.fixture
def registry(path: Path) -> Registry:
    return open_registry(path)


@pytest.fixture
def restored_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


class TestSecrecy:
    def spellings(self, secret: str) -> list[bytes]:
        raw = secret.encode()
        return [
            raw,
            base64.b64encode(raw),
            base64.urlsafe_b64encode(raw),
            raw.hex().encode(),
            secret.encode("utf-16-le"),
        ]

    def test_no_secret_lies_in_the_file_or_the_journal(self, registry: Registry, path: Path) -> None:
        declare(registry, EVERYTHING)
        seen = [folder_content(path.parent)]
        for turn in ("second", "third"):
            wish = entry("full", f"{turn} {PASSWORD}")
            with registry.writing() as writer:
                carry_out(writer, request(wish))
                seen.append(folder_content(path.parent))
            seen.append(folder_content(path.parent))
        assert any("registry.db-journal" in files for files in seen)
        content = b"".join(data or b"" for files in seen for data in files.values())
        assert b"mail.example.com" in content
        for spelling in self.spellings(PASSWORD):
            assert spelling not in content

    @pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
    def test_everything_is_made_for_its_owner_alone(self, path: Path, restored_umask: None, umask: int) -> None:
        os.umask(umask)
        registry = open_registry(path, key=None)
        with registry.writing() as writer:
            carry_out(writer, request(entry("a", PASSWORD)))
            journal = mode(path.with_name("registry.db-journal"))
        assert mode(path.parent) == 0o700
        assert (mode(path), journal, mode(path.with_name("registry.db.key"))) == (0o600, 0o600, 0o600)

    def test_folders_above_are_closed_to_strangers_too(self, tmp_path: Path, restored_umask: None) -> None:
        os.umask(0)
        declare(open_registry(tmp_path / "a" / "b" / "registry.db"), entry("a"))
        assert [mode(folder) & 0o022 for folder in (tmp_path / "a", tmp_path / "a" / "b")] == [0, 0]

    def test_a_folder_that_was_there_keeps_its_mode(self, path: Path) -> None:
        path.parent.mkdir(mode=0o750)
        declare(open_registry(path), entry("a"))
        assert mode(path.parent) == 0o750

    def test_the_key_file_is_only_made_for_a_secret(self, path: Path) -> None:
        registry = open_registry(path, key=None)
        declare(registry, entry("a"))
        assert [each.name for each in path.parent.iterdir()] == ["registry.db"]
        declare(registry, entry("a", PASSWORD))
        assert sorted(each.name for each in path.parent.iterdir()) == ["registry.db", "registry.db.key"]


class TestKeyFile:
    def test_a_key_that_is_made_is_used_from_then_on(self, path: Path) -> None:
        declare(open_registry(path, key=None), entry("a", "one"))
        made = path.with_name("registry.db.key").read_bytes()
        declare(open_registry(path, key=None), entry("b", "two"))
        assert secrets(open_registry(path, key=None), "a") == {"smtp.password": "one"}
        assert secrets(open_registry(path, key=None), "b") == {"smtp.password": "two"}
        assert path.with_name("registry.db.key").read_bytes() == made

    @pytest.mark.parametrize("name", ["a", "b"])
    def test_the_key_file_is_lost(self, path: Path, name: str) -> None:
        declare(open_registry(path, key=None), entry("a", PASSWORD))
        key_file = path.with_name("registry.db.key")
        key_file.unlink()
        before = folder_content(path.parent)
        with pytest.raises(RegistryKeyError) as refused:
            declare(open_registry(path, key=None), entry(name, "new"))
        assert str(refused.value) == (
            "The registry holds secrets, and the key they are sealed with is missing: give registry_key, or put back"
            f" registry_key_file {key_file}."
        )
        assert folder_content(path.parent) == before


class TestTables:
    def test_the_database_itself_allows_one_default_only(self, registry: Registry, path: Path) -> None:
        declare(registry, entry("a"), entry("b"), default="a")
        with pytest.raises(sqlite3.IntegrityError):
            ask_file(path, "UPDATE connector SET is_default = 1")

    def test_the_database_itself_keeps_a_bound_connector(self, registry: Registry, path: Path) -> None:
        declare(registry, entry("a"), bind={Purpose("alerts"): "a"})
        with closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA foreign_keys = ON")
            with pytest.raises(sqlite3.IntegrityError):
                database.execute("DELETE FROM connector")

    def test_a_commit_is_made_to_outlast_a_power_failure(self, registry: Registry) -> None:
        extra = 3
        with registry.writing() as writer:
            database = writer._storage._database
            asked = [database.execute(f"PRAGMA {setting}").fetchone() for setting in ("synchronous", "journal_mode")]
            assert asked == [(extra,), ("delete",)]


@pytest.mark.parametrize(
    "wanted",
    [
        Wanted(frozenset(["c0500"]), frozenset()),
        Wanted(frozenset(), frozenset([Purpose("alerts")])),
        Wanted(frozenset(["unknown"]), frozenset()),
    ],
)
def test_the_search_uses_indexes(tmp_path: Path, wanted: Wanted) -> None:
    registry = open_registry(tmp_path / "registry.db")
    declare(registry, *(entry(f"c{number:04}") for number in range(1000)), bind={Purpose("alerts"): "c0007"})
    asked: list[str] = []
    with registry.reading() as reader:
        database = reader._storage._database
        database.set_trace_callback(asked.append)
        reader.load(wanted)
        database.set_trace_callback(None)
        steps = [step for query in asked for *ids, step in database.execute(f"EXPLAIN QUERY PLAN {query}")]
    tables = ("connector", "secret", "purpose", "revision")
    scans = [step for step in steps if step.startswith("SCAN") and step.split()[-1] in tables]
    assert steps
    assert scans == []
