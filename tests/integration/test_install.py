# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection builds, holds what belongs into it, installs from its tarball, and runs from there."""

from __future__ import annotations

import json
import re
import tarfile
from pathlib import Path

import pytest
from integration.playing import Stage

MODULES = ("connector", "connector_info", "connector_purpose", "connectors")
SOURCE = Path(__file__).resolve().parents[2]
BELONGS = re.compile(
    r"(?:(?:LICENSES|changelogs|docs|examples|extensions|meta|playbooks|plugins|roles|tests)(?:/.*)?"
    r"|CHANGELOG\.md|CODE_OF_CONDUCT\.md|CONTRIBUTING\.md|README\.md"
    r"|FILES\.json|MANIFEST\.json|Makefile|REUSE\.toml|pyproject\.toml|\.ansible-lint|\.yamllint)\Z"
)
UNWANTED = re.compile(
    r"(?:\A|/)(?:\.git|\.venv|venv|\.ansible|\.hypothesis|__pycache__|\.[a-z]+_cache|tests/output)(?:/|\Z)"
    r"|\.(?:pyc|retry|db|key|log|tar\.gz)\Z|~\Z"
)


@pytest.fixture
def tarball(stage: Stage) -> Path:
    built = stage.run("galaxy", "collection", "build", SOURCE, "--output-path", stage.folder / "built")
    assert built.returncode == 0, built.stdout
    (path,) = (stage.folder / "built").glob("mailroom-core-*.tar.gz")
    return path


@pytest.fixture
def installed(stage: Stage, tarball: Path) -> Path:
    folder = stage.folder / "collections"
    done = stage.run("galaxy", "collection", "install", tarball, "--offline", **only(folder))
    assert done.returncode == 0, done.stdout
    return folder


def test_the_tarball_holds_what_belongs_into_it(tarball: Path) -> None:
    with tarfile.open(tarball) as archive:
        names = archive.getnames()
    assert not [name for name in names if not BELONGS.match(name) or UNWANTED.search(name)]
    assert {f"plugins/modules/{module}.py" for module in MODULES} < set(names)
    assert {"meta/runtime.yml", "README.md", "LICENSES/GPL-3.0-or-later.txt"} < set(names)


def test_it_runs_from_where_it_was_installed(stage: Stage, installed: Path) -> None:
    documented = stage.run("doc", "--json", *(f"mailroom.core.{module}" for module in MODULES), **only(installed))
    assert documented.returncode == 0, documented.stdout
    docs = json.loads(documented.stdout[documented.stdout.index("{") :])
    for module in MODULES:
        doc = docs[f"mailroom.core.{module}"]
        assert Path(doc["doc"]["filename"]).is_relative_to(installed)
        assert doc["examples"].strip()
        assert doc["return"]
        assert {"registry", "registry_key", "registry_key_file", "actor"} < set(doc["doc"]["options"])

    shared = {"group/mailroom.core.mailroom": {"registry": str(stage.folder / "registry.db")}}
    declared = {"name": "backend", "smtp": {"host": "smtp.example.com", "username": "user", "password": "a-password"}}
    tasks = [
        {"name": "Declare a connector", "mailroom.core.connector": declared},
        {"name": "Declare it in a list", "mailroom.core.connectors": {"connectors": [declared]}},
        {"name": "Bind it", "mailroom.core.connector_purpose": {"purpose": "alerts", "connector": "backend"}},
        {"name": "Look it up", "mailroom.core.connector_info": {"purpose": "alerts"}, "register": "found"},
        {"name": "It is there", "ansible.builtin.assert": {"that": "found.connectors[0].secrets == ['smtp.password']"}},
    ]
    played = stage.play([{"module_defaults": shared, "tasks": tasks}], **only(installed))
    assert played.returncode == 0, played.stdout
    assert re.search(r"ok=5 +changed=2 ", played.stdout), played.stdout


def only(folder: Path) -> dict[str, str]:
    return {"ANSIBLE_COLLECTIONS_PATH": str(folder)}
