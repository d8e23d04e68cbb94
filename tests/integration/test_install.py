# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection builds and holds what belongs into it; the newest ansible-core plays it from its tarball."""

from __future__ import annotations

import os
import re
import tarfile
from pathlib import Path

import places
import pytest
from integration.playing import Stage

MODULES = ("connector", "connector_info", "connector_purpose", "connectors")
META = ("ee-bindep.txt", "ee-requirements.txt", "execution-environment.yml", "runtime.yml")
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
    """The one that the collection is installed from, else a new one."""
    folder = places.OUTPUT / "build"
    if "MAILROOM_COLLECTIONS" not in os.environ:
        folder = stage.folder / "built"
        built = stage.run("galaxy", "collection", "build", SOURCE, "--output-path", folder)
        assert built.returncode == 0, built.stdout
    (path,) = folder.glob("mailroom-core-*.tar.gz")
    return path


def test_the_tarball_holds_what_belongs_into_it(tarball: Path) -> None:
    with tarfile.open(tarball) as archive:
        names = archive.getnames()
    assert not [name for name in names if not BELONGS.match(name) or UNWANTED.search(name)]
    assert {f"plugins/modules/{module}.py" for module in MODULES} < set(names)
    assert {f"meta/{name}" for name in META} < set(names)
    assert {"README.md", "LICENSES/GPL-3.0-or-later.txt"} < set(names)
