# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of the files that were written, by which our own are told from those of others."""

from __future__ import annotations

import pytest

from ansible_collections.mailroom.core.plugins.module_utils._connector.secret import Secret
from ansible_collections.mailroom.core.plugins.module_utils._registry.registry import Registry

from .backends import Backend
from .samples import FOREIGN_KEY, KEY, NEW_KEY

PASSWORD_FILE, CONTENT = "/etc/postfix/mailroom_password", Secret("swordfish: ä€")


def record(registry: Registry, path: str = PASSWORD_FILE, content: Secret = CONTENT) -> None:
    with registry.writing() as writer:
        writer.record_file(path, content)


def wrote(registry: Registry, path: str = PASSWORD_FILE, content: Secret = CONTENT) -> bool:
    with registry.reading() as reader:
        return reader.wrote_file(path, content)


def test_what_was_recorded_is_known_again(backend: Backend) -> None:
    record(backend.open())
    assert wrote(backend.open())


@pytest.mark.parametrize("content", ["", "swordfish", "Swordfish: ä€", "swordfish: ä€\n"])
def test_other_content_is_not(backend: Backend, content: str) -> None:
    record(backend.open())
    assert not wrote(backend.open(), content=Secret(content))


def test_the_same_content_in_another_file_is_not(backend: Backend) -> None:
    record(backend.open())
    assert not wrote(backend.open(), path="/etc/shadow")


def test_a_record_that_is_moved_to_another_path_is_not_known(backend: Backend) -> None:
    record(backend.open())
    backend.edit("UPDATE written_file SET path = '/etc/shadow'")
    assert not wrote(backend.open(), path="/etc/shadow")


def test_only_what_was_recorded_last_counts(backend: Backend) -> None:
    record(backend.open())
    record(backend.open(), content=Secret("another"))
    assert not wrote(backend.open())
    assert wrote(backend.open(), content=Secret("another"))


def test_what_was_forgotten_is_not_known(backend: Backend) -> None:
    record(backend.open())
    with backend.open().writing() as writer:
        writer.forget_file(PASSWORD_FILE)
        writer.forget_file("/never/written")
    assert not wrote(backend.open())


def test_neither_the_content_nor_that_two_are_equal_shows(backend: Backend) -> None:
    record(backend.open())
    record(backend.open(), path="/other")
    assert "swordfish" not in repr(backend.content())
    (one,), (other,) = backend.query("SELECT fingerprint FROM written_file")
    assert one != other


@pytest.mark.parametrize("key", [None, FOREIGN_KEY])
def test_without_the_key_nothing_is_known_and_none_is_made(backend: Backend, key: str | None) -> None:
    record(backend.open())
    assert not wrote(backend.open(key))
    assert not backend.has_key_file()


def test_without_any_key_nothing_is_recorded_and_none_is_made(backend: Backend) -> None:
    record(backend.open())
    record(backend.open(None))
    assert backend.query("SELECT * FROM written_file") == []
    assert not backend.has_key_file()


def test_the_former_first_key_still_knows_its_records(backend: Backend) -> None:
    record(backend.open(KEY))
    assert wrote(backend.open(f"{NEW_KEY},{KEY}"))


def test_an_empty_registry_has_written_nothing(backend: Backend) -> None:
    before = backend.content()
    assert not wrote(backend.open())
    assert backend.content() == before
