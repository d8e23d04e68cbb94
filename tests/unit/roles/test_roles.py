# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The roles: what their argument specs say is what their defaults are, and what other roles say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir())


def load(path: str) -> Any:
    file = ROOT / "roles" / path
    return yaml.safe_load(file.read_text(encoding="utf-8")) if file.is_file() else {}


def options(role: str, entry: str = "main") -> dict[str, Any]:
    found: dict[str, Any] = load(f"{role}/meta/argument_specs.yml")["argument_specs"].get(entry, {}).get("options", {})
    return found


def defaults(role: str) -> dict[str, Any]:
    needed = [each["role"].rpartition(".")[2] for each in load(f"{role}/meta/main.yml").get("dependencies", [])]
    return {name: value for each in (*needed, role) for name, value in load(f"{each}/defaults/main.yml").items()}


@pytest.mark.parametrize("role", ROLES)
def test_defaults_are_as_specified(role: str) -> None:
    given = defaults(role)
    for name, option in options(role).items():
        if "default" in option:
            said = {"true": True, "false": False}.get(str(option["default"]), option["default"])
            assert given[name] == said, name
        else:
            assert name not in given


@pytest.mark.parametrize("role", sorted({*ROLES} - {"environment"}))
def test_the_environment_takes_what_the_roles_take_that_it_composes(role: str) -> None:
    specified = options("environment")
    for name, option in {**options(role), **options(role, "prepare")}.items():
        kept = {key: value for key, value in option.items() if key != "description"}
        assert kept == {key: value for key, value in specified[name].items() if key != "description"}, name


@pytest.mark.parametrize("role", ROLES)
def test_the_readme_names_every_variable(role: str) -> None:
    readme = (ROOT / "roles" / role / "README.md").read_text(encoding="utf-8")
    for name in options(role):
        assert f"`{name}`" in readme, name
    assert f"mailroom.core.{role}" in readme


@pytest.mark.parametrize("role", ROLES)
def test_blank_answers_are_allowed(role: str) -> None:
    for entry in load(f"{role}/meta/argument_specs.yml")["argument_specs"].values():
        for name, option in entry["options"].items():
            assert "" in option.get("choices", [""]), name
            assert option["type"] != "bool", name
