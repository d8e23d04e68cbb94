# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The roles: what their argument specs say is what their defaults are, and what other roles say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.mailroom.core.plugins.module_utils._module.connector_config import application_spec
from ansible_collections.mailroom.core.plugins.module_utils._target import api_targets, targets
from ansible_collections.mailroom.core.plugins.plugin_utils._variables import (
    ADDRESS,
    API,
    APIS,
    APPLICATION,
    APPLICATIONS,
    BOOLEAN,
    DEPTHS,
    PATH,
    TEXT,
    VARIABLES,
)

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


@pytest.mark.parametrize("role", ["applications", "connectors", "init_mail", "registry", "verify"])
def test_the_environment_takes_what_the_roles_take_that_it_composes(role: str) -> None:
    specified = options("environment")
    for name, option in {**options(role), **options(role, "prepare")}.items():
        kept = {key: value for key, value in option.items() if key != "description"}
        assert kept == {key: value for key, value in specified[name].items() if key != "description"}, name


@pytest.mark.parametrize("role", sorted({*ROLES} - {"registry"}))
def test_every_role_has_the_variables_checked_first(role: str) -> None:
    assert load(f"{role}/meta/main.yml")["dependencies"] == [{"role": "mailroom.core.registry"}]


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


# What the playbooks read before there is a host.
OF_THE_PLAY = {"mailroom_hosts", "mailroom_serial"}


def every_option() -> Iterator[tuple[str, dict[str, Any]]]:
    for role in ROLES:
        for entry in load(f"{role}/meta/argument_specs.yml")["argument_specs"].values():
            yield from entry["options"].items()


def test_known_variables_are_those_of_the_argument_specs() -> None:
    assert {name for name, _option in every_option()} | OF_THE_PLAY == set(VARIABLES)


def test_argument_specs_refuse_nothing_that_the_check_lets_pass() -> None:
    """Ansible shows the whole spec where it refuses a value, so it must never come to that."""
    for name, option in every_option():
        kind = VARIABLES[name]
        assert not option.get("required"), name
        assert not option.keys() & {"options", "elements"}, name
        if option["type"] == "raw":
            assert "choices" not in option, name
            assert kind.may_be_null, name
        else:
            assert option["type"] == "str", name
            assert not kind.may_be_null, name
            assert kind in (TEXT, PATH, ADDRESS) or "choices" in option, name
        assert [choice for choice in {*option.get("choices", ())} - {""} if not kind.is_valid(choice)] == [], name
        if kind is BOOLEAN:
            assert option["choices"] == ["true", "false", ""], name


def test_depths_and_applications_are_those_of_the_modules() -> None:
    specified = [option["choices"] for name, option in every_option() if name == "mailroom_verify"]
    assert specified
    assert all(choices == [*DEPTHS, ""] for choices in specified)
    assert tuple(sorted(targets.FILE_TARGETS)) == APPLICATIONS
    assert tuple(sorted(api_targets.API_TARGETS)) == APIS


def test_entry_of_an_application_holds_what_the_module_takes_and_what_the_handlers_take() -> None:
    handlers = (ROOT / "roles" / "applications" / "handlers" / "main.yml").read_text(encoding="utf-8")
    taken = {*application_spec().options, *re.findall(r"'0\.(\w+)'", handlers)}
    assert taken == set(APPLICATION)


def test_entry_of_an_application_with_an_api_holds_what_the_role_gives_the_module() -> None:
    tasks = (ROOT / "roles" / "apis" / "tasks" / "main.yml").read_text(encoding="utf-8")
    assert set(re.findall(r"__mailroom_api\.(\w+)", tasks)) == set(API)


def test_roles_and_playbooks_use_known_variables_only() -> None:
    tags = {"mailroom_packages", "mailroom_connectors", "mailroom_verify", "mailroom_init_mail", "mailroom_apps"}
    stats = {"mailroom_x_summary", "mailroom_x_report"}
    known = {*VARIABLES, *tags, *stats, "mailroom_"}
    for path in [*ROOT.glob("roles/*/*/*.yml"), *ROOT.glob("playbooks/*.yml")]:
        used = set(re.findall(r"(?<![\w.@/+])mailroom_\w+", path.read_text(encoding="utf-8")))
        assert used - known == set(), path
