# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A registry of an older schema: migrated by the first who writes, read through a copy until then."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.mailroom.core.plugins.module_utils._connector.state import Purpose
from ansible_collections.mailroom.core.plugins.module_utils._errors import RegistryError
from ansible_collections.mailroom.core.plugins.module_utils._registry.registry import Registry
from ansible_collections.mailroom.core.plugins.module_utils._registry.sqlite import schema

from .samples import LATER, ask_file, declare, entry, everything, folder_content, history, open_registry, secrets

NEXT_STEP = (
    "ALTER TABLE connector ADD COLUMN note TEXT NOT NULL DEFAULT 'none'",
    "UPDATE connector SET note = 'about ' || name",
    "CREATE TABLE note (text TEXT)",
)
BROKEN_STEP = (*NEXT_STEP, "INSERT INTO nowhere VALUES (1)")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "registry.db"


@pytest.fixture
def registry(path: Path) -> Registry:
    """A registry of the schema of today."""
    registry = open_registry(path)
    declare(registry, entry("a", "swordfish"), entry("b"), default="a", bind={Purpose("alerts"): "b"})
    return registry


def extend(monkeypatch: pytest.MonkeyPatch, *steps: tuple[str, ...]) -> int:
    """Let the schema go on by these steps; say which version that makes."""
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, *steps))
    return len(schema.MIGRATIONS)


def version_of(path: Path) -> int:
    return int(ask_file(path, "PRAGMA user_version")[0][0])


def test_a_new_registry_is_marked(registry: Registry, path: Path) -> None:
    assert version_of(path) == len(schema.MIGRATIONS)
    assert ask_file(path, "PRAGMA application_id") == [(int.from_bytes(b"MAIL", "big"),)]
    assert len(ask_file(path, "SELECT id FROM registry")) == 1


def test_a_reader_sees_it_migrated_and_leaves_it_alone(
    registry: Registry, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, state = folder_content(path.parent), everything(registry)
    extend(monkeypatch, NEXT_STEP)
    assert everything(registry) == state
    with registry.reading() as reader:
        assert reader._storage._database.execute("SELECT note FROM connector ORDER BY name").fetchall() == [
            ("about a",),
            ("about b",),
        ]
    assert secrets(registry, "a") == {"smtp.password": "swordfish"}
    assert len(history(registry, "a")) == 1
    assert folder_content(path.parent) == before


def test_a_writer_migrates_it(registry: Registry, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    identity, state = ask_file(path, "SELECT id FROM registry"), everything(registry)
    newest = extend(monkeypatch, NEXT_STEP)
    with registry.writing():
        pass
    assert version_of(path) == newest
    assert ask_file(path, "SELECT note FROM connector ORDER BY name") == [("about a",), ("about b",)]
    assert ask_file(path, "SELECT id FROM registry") == identity
    assert everything(registry) == state
    declare(registry, {"name": "a", "description": "after"}, stamp=LATER)
    assert ask_file(path, "SELECT count(*) FROM note") == [(0,)]
    assert secrets(registry, "a") == {"smtp.password": "swordfish"}


def test_over_several_steps(registry: Registry, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    newest = extend(monkeypatch, NEXT_STEP, ("INSERT INTO note SELECT note FROM connector",), ())
    state = everything(registry)
    with registry.writing():
        pass
    assert version_of(path) == newest
    assert ask_file(path, "SELECT text FROM note ORDER BY text") == [("about a",), ("about b",)]
    assert everything(registry) == state


def test_a_new_registry_takes_all_steps(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    newest = extend(monkeypatch, NEXT_STEP)
    declare(open_registry(path), entry("a"))
    assert version_of(path) == newest
    assert ask_file(path, "SELECT note FROM connector") == [("none",)]
    assert len(ask_file(path, "SELECT id FROM registry")) == 1


@pytest.mark.parametrize("verb", ["read", "changed"])
def test_a_failing_step_changes_nothing(
    registry: Registry, path: Path, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    before, state = folder_content(path.parent), everything(registry)
    with monkeypatch.context() as patched:
        extend(patched, NEXT_STEP, BROKEN_STEP[1:])
        with pytest.raises(RegistryError) as refused:
            everything(registry) if verb == "read" else declare(registry, entry("c"))
    assert str(refused.value).startswith(f"The registry {path} cannot be {verb}: ")
    assert folder_content(path.parent) == before
    assert everything(registry) == state


def test_a_task_that_fails_after_it_undoes_the_migration_too(
    registry: Registry, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = folder_content(path.parent)
    extend(monkeypatch, NEXT_STEP)
    with pytest.raises(ZeroDivisionError), registry.writing():
        raise ZeroDivisionError
    assert folder_content(path.parent) == before
