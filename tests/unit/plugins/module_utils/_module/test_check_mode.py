# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check mode fails where the task could not write, with the same message (usability, finding 3)."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .._registry.test_disk import play as play_scenarios
from .._registry.test_disk import with_mounts
from .conftest import Play
from .on_a_read_only_disk import SCENARIOS
from .running import require_root, run_module

__all__ = ["with_mounts"]

USER = 65534
SMTP = {"host": "smtp.example.com"}
SIGNED_IN = {**SMTP, "username": "ann@example.com", "password": "Rumpelstilzchen-7f3a9c51e2"}


@pytest.fixture(scope="module")
def failures(with_mounts: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return play_scenarios(with_mounts, f"{__package__}.on_a_read_only_disk", tmp_path_factory.mktemp("disks"))


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenario(failures: dict[str, str], scenario: str) -> None:
    assert scenario not in failures, failures[scenario]


class Stage:
    """A folder of a user who runs the modules."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.registry = folder / "registry.db"

    def run(self, module: str, *, check: bool = False, **options: Any) -> dict[str, Any]:
        result = run_module(module, {"registry": str(self.registry), **options}, user=USER, check=check)
        assert result is not None
        return result

    def close_folder(self) -> None:
        self.folder.chmod(0o555)

    def close_file(self) -> None:
        self.registry.chmod(0o444)


@pytest.fixture
def stage() -> Iterator[Stage]:
    require_root()
    # Not in pytest's folder, which is root's alone.
    with tempfile.TemporaryDirectory() as top:
        Path(top).chmod(0o755)
        home = Path(top) / "home"
        home.mkdir()
        os.chown(home, USER, USER)
        made = Stage(home)
        smtp = {"name": "a", "smtp": SMTP, "test_address": "bob@example.com"}
        assert made.run("connectors", connectors=[smtp])["changed"]
        yield made


CHANGES: dict[str, dict[str, Any]] = {
    "connector": {"name": "b", "smtp": SMTP},
    "connectors": {"connectors": [{"name": "b", "smtp": SMTP}]},
    "connector_purpose": {"purpose": "alerts", "connector": "a"},
    "init_mail": {"to": "bob@example.com", "connectors": ["b"]},
}


@pytest.mark.parametrize("close", [Stage.close_folder, Stage.close_file], ids=["folder", "file"])
@pytest.mark.parametrize("module", CHANGES)
def test_a_registry_that_cannot_be_written(stage: Stage, module: str, close: Callable[[Stage], None]) -> None:
    options = CHANGES[module]
    if module == "init_mail":
        stage.run("connector", name="b", smtp=SMTP, from_address="ann@example.com")
    close(stage)
    before = stage.registry.read_bytes()
    run, planned = (stage.run(module, **options, check=check) for check in (False, True))
    assert run["failed"]
    assert run["msg"].startswith(f"The registry {stage.registry} cannot be changed: ")
    assert (planned["failed"], planned["msg"]) == (True, run["msg"])
    assert stage.registry.read_bytes() == before


@pytest.mark.parametrize("check", [True, False])
def test_what_changes_nothing_needs_no_right_to_write(stage: Stage, *, check: bool) -> None:
    stage.close_folder()
    result = stage.run("connector", name="a", smtp=SMTP, check=check)
    assert (result["changed"], "failed" in result) == (False, False)


def test_a_folder_that_cannot_be_made(stage: Stage) -> None:
    stage.close_folder()
    registry = str(stage.folder / "new" / "below" / "registry.db")
    options = {"registry": registry, "name": "b", "smtp": SMTP}
    run, planned = (stage.run("connector", **options, check=check) for check in (False, True))
    assert "cannot be changed: Permission denied" in run["msg"]
    assert planned["msg"] == run["msg"]


def test_a_key_that_cannot_be_made(stage: Stage) -> None:
    keys = stage.folder / "keys"
    keys.mkdir(mode=0o555)
    options = {"registry_key_file": str(keys / "key"), "name": "b", "smtp": SIGNED_IN}
    run, planned = (stage.run("connector", **options, check=check) for check in (False, True))
    assert run["msg"] == f"registry_key_file {keys}/key cannot be made: Permission denied."
    assert planned["msg"] == run["msg"]


def test_without_the_folder_of_the_key_no_registry_is_made_and_check_mode_warns(
    play: Play, registry_path: Path, tmp_path: Path
) -> None:
    missing = tmp_path / "missing"
    options = {"registry_key_file": str(missing / "key"), "name": "a", "smtp": SIGNED_IN}
    planned, run = (play("connector", **options, check=check) for check in (True, False))
    assert planned["warnings"] == [f"registry_key_file: is in a folder that does not exist yet: {missing}"]
    assert run["msg"] == f"registry_key_file {missing}/key cannot be made: No such file or directory."
    assert not registry_path.parent.exists()


def test_nothing_is_made_in_check_mode(play: Play, registry_path: Path) -> None:
    assert play("connector", name="a", smtp=SIGNED_IN, check=True)["changed"]
    assert not registry_path.parent.exists()
    play("connector", name="a", smtp=SMTP)
    assert play("connector", name="b", smtp=SIGNED_IN, check=True)["changed"]
    assert [each.name for each in registry_path.parent.iterdir()] == ["registry.db"]


@pytest.mark.parametrize("module", ["connector", "connectors"])
def test_a_library_that_is_missing_is_a_warning(play: Play, monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    """An earlier task of the play may be going to install it."""
    monkeypatch.setitem(sys.modules, "cryptography", None)
    entry = {"name": "a", "smtp": SIGNED_IN}
    options = entry if module == "connector" else {"connectors": [entry]}
    planned = play(module, **options, check=True)
    assert (planned["changed"], "failed" in planned) == (True, False)
    assert ["The Python library cryptography is needed" in each for each in planned["warnings"]] == [True]
    assert play(module, **options)["failed"]


def test_what_cannot_be_tested_for_want_of_a_library_is_a_warning(
    play: Play, monkeypatch: pytest.MonkeyPatch, registry_path: Path
) -> None:
    play("connector", name="a", smtp={**SIGNED_IN, "host": "127.0.0.1"})
    monkeypatch.setitem(sys.modules, "cryptography", None)
    options = {"name": "a", "smtp": {"mechanisms": ["PLAIN"]}, "verify": "login"}
    planned = play("connector", **options, check=True)
    assert planned["result"]["verdict"] == "host_not_ready"
    assert planned["warnings"]
    assert all("The Python library cryptography is needed" in each for each in planned["warnings"])
    assert play("connector", **options)["failed"]
    Path(f"{registry_path}.key").unlink()
    assert play("connector", **options, check=True)["failed"]
