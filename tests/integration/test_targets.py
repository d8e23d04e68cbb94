# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plays the targets that ansible-test plays too, all of them in one start of ansible-playbook."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from integration import test_environment, test_mail_servers
from integration.playing import TARGETS, Book, Stage

NAMES = sorted(folder.name for folder in TARGETS.iterdir() if folder.is_dir() and not folder.name.startswith("setup_"))
MODULES = sorted(
    path.stem
    for path in (Path(__file__).resolve().parents[2] / "plugins" / "modules").glob("*.py")
    if not path.stem.startswith("_")
)
OLDEST = ("connector",)
# With the newest ansible-core, test_secrets.py uses each module, and the targets are left to the matrix.
pytestmark = pytest.mark.matrix
Played = dict[str, str]


@pytest.fixture(scope="module")
def played(request: pytest.FixtureRequest) -> Played:
    """What came of the targets that are asked for."""
    items = (item for item in request.session.items if item.path == request.path and "played" in item.fixturenames)
    asked = {item.callspec.params["name"] for item in items}
    with tempfile.TemporaryDirectory(prefix="mailroom-", dir="/tmp") as folder:
        book = Book(Stage(Path(folder)))
        for name in sorted(asked):
            scratch = Path(folder, "scratch", name)
            scratch.mkdir(parents=True)
            role = {"ansible.builtin.import_role": {"name": name}}
            book.add(name, [role], vars={"mailroom_scratch": str(scratch)})
        return book.play()


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.oldest] if name in OLDEST else []) for name in NAMES]
)
def test_target_passes(played: Played, name: str) -> None:
    if played[name].startswith("FAILED"):
        pytest.fail(f"the target {name} failed:\n{played[name]}", pytrace=False)


@pytest.mark.oldest
def test_each_module_is_used_with_the_oldest_ansible_core_too() -> None:
    """What has no target here is played by the roles, or against a mail server."""
    assert sorted({*OLDEST, "connector_api", *test_environment.PLAYED, *test_mail_servers.PLAYED}) == MODULES
