# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of the files that were written, by which our own are told from those of others."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.mailroom.core.plugins.module_utils._connector.secret import Secret
from ansible_collections.mailroom.core.plugins.module_utils._registry.registry import Registry

from .samples import FOREIGN_KEY, KEY, NEW_KEY, ask_file, open_registry

PASSWORD_FILE, CONTENT = "/etc/postfix/mailroom_password", Secret("swordfish: ä€")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "registry.db"


def record(registry: Registry, path: str = PASSWORD_FILE, content: Secret = CONTENT) -> None:
    with registry.writing() as writer:
        writer.record_file(path, content)


def wrote(registry: Registry, path: str = PASSWORD_FILE, content: Secret = CONTENT) -> bool:
    with registry.reading() as reader:
        return reader.wrote_file(path, content)


def test_what_was_recorded_is_known_again(path: Path) -> None:
    record(open_registry(path))
    assert wrote(open_registry(path))


@pytest.mark.parametrize("content", ["", "swordfish", "Swordfish: ä€", "swordfish: ä€\n"])
def test_other_content_is_not(path: Path, content: str) -> None:
    record(open_registry(path))
    assert not wrote(open_registry(path), content=Secret(content))


def test_the_same_content_in_another_file_is_not(path: Path) -> None:
    record(open_registry(path))
    assert not wrote(open_registry(path), path="/etc/shadow")


def test_a_record_that_is_moved_to_another_path_is_not_known(path: Path) -> None:
    record(open_registry(path))
    with open_registry(path).writing() as writer:
        writer._storage._database.execute("UPDATE written_file SET path = '/etc/shadow'")  # type: ignore[attr-defined]
    assert not wrote(open_registry(path), path="/etc/shadow")


def test_only_what_was_recorded_last_counts(path: Path) -> None:
    record(open_registry(path))
    record(open_registry(path), content=Secret("another"))
    assert not wrote(open_registry(path))
    assert wrote(open_registry(path), content=Secret("another"))


def test_what_was_forgotten_is_not_known(path: Path) -> None:
    record(open_registry(path))
    with open_registry(path).writing() as writer:
        writer.forget_file(PASSWORD_FILE)
        writer.forget_file("/never/written")
    assert not wrote(open_registry(path))


def test_neither_the_content_nor_that_two_are_equal_shows(path: Path) -> None:
    record(open_registry(path))
    record(open_registry(path), path="/other")
    assert b"swordfish" not in path.read_bytes()
    (one,), (other,) = ask_file(path, "SELECT fingerprint FROM written_file")
    assert one != other


@pytest.mark.parametrize("key", [None, FOREIGN_KEY])
def test_without_the_key_nothing_is_known_and_none_is_made(path: Path, key: str | None) -> None:
    record(open_registry(path))
    assert not wrote(open_registry(path, key))
    assert not Path(f"{path}.key").exists()


def test_without_any_key_nothing_is_recorded_and_none_is_made(path: Path) -> None:
    record(open_registry(path))
    record(open_registry(path, None))
    assert ask_file(path, "SELECT * FROM written_file") == []
    assert not Path(f"{path}.key").exists()


def test_the_former_first_key_still_knows_its_records(path: Path) -> None:
    record(open_registry(path, KEY))
    assert wrote(open_registry(path, f"{NEW_KEY},{KEY}"))


def test_a_registry_that_does_not_exist_has_written_nothing(path: Path) -> None:
    assert not wrote(open_registry(path))
    assert not path.exists()
