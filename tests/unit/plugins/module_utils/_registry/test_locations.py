# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which back-end a location leads to."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.mailroom.core.plugins.module_utils._connector.secret import Secret
from ansible_collections.mailroom.core.plugins.module_utils._registry.registry import open_registry

from .samples import KEY, declare, entry, secrets


@pytest.mark.parametrize("key", [None, KEY])
def test_a_path_is_an_embedded_registry_whose_key_file_lies_beside_it(tmp_path: Path, key: str | None) -> None:
    path = tmp_path / "registry.db"
    registry = open_registry(str(path), Secret(key) if key else None, "")
    declare(registry, entry("a", "swordfish"))
    assert secrets(registry, "a") == {"smtp.password": "swordfish"}
    assert path.read_bytes().startswith(b"SQLite format 3")
    assert Path(f"{path}.key").exists() is not bool(key)


def test_a_key_file_that_is_named_is_used(tmp_path: Path) -> None:
    declare(open_registry(f"{tmp_path}/registry.db", None, f"{tmp_path}/key"), entry("a", "swordfish"))
    assert sorted(each.name for each in tmp_path.iterdir()) == ["key", "registry.db"]
