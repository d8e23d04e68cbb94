# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is said of a registry that cannot be copied names the options for it, not those of the one it is copied to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from .conftest import Play

KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "another key by default": ({}, "is not among the keys given in copy_from_key or copy_from_key_file."),
    "malformed key": ({"copy_from_key": "x"}, "copy_from: copy_from_key must hold one or more Fernet keys"),
    "key file": ({"copy_from_key_file": "relative"}, "copy_from_key_file relative cannot be used: it must be"),
    "no path": ({"copy_from": "relative.db"}, "copy_from: must be the absolute path"),
    "no URL": ({"copy_from": "postgresql://db"}, "copy_from: must name a database: postgresql://host/database"),
    "password": (
        {"copy_from": "postgresql://u:p@db/m"},
        "copy_from: must not hold a password: give copy_from_password",
    ),
}


@pytest.mark.parametrize(("options", "told"), MISTAKES.values(), ids=MISTAKES)
def test_options_of_the_source_are_named(
    play: Play, registry_path: Path, tmp_path: Path, options: dict[str, Any], told: str
) -> None:
    play("connector", name="main", smtp={"host": "mail.example.com", "username": "ann", "password": "Rumpelstilzchen"})
    copying = {"registry": str(tmp_path / "copy.db"), "registry_key": KEY, "copy_from": str(registry_path)}
    result = play("registry", **{**copying, **options})
    assert told in result["msg"]
    assert " registry_" not in result["msg"]
