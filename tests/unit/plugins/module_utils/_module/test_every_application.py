# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The attacks of the security review, repeated on every application that is written into a file."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from unit.plugins.module_utils._target.cases import CASES

from ansible_collections.mailroom.core.plugins.module_utils._target.targets import FILE_TARGETS

from .running import require_root, run_module

USER = 1001
SECRET = "What root alone may know.\n"
FOREIGN = "# Of somebody else.\nother = value\n"
YAML = "global:\n  resolve_timeout: 5m\nroute: {receiver: nobody}\nreceivers: [{name: nobody}]\n"
# The name of a connector is in letters, digits and underscores.
NAMES = {case: re.sub(r"\W", "_", case) for case in CASES}
APART = [
    *(case for case, (app, _declared, _options) in CASES.items() if FILE_TARGETS[app].password_apart == "always"),
    *(case for case, (app, _declared, _options) in CASES.items() if FILE_TARGETS[app].password_apart == "optional"),
]
EVERY = pytest.mark.parametrize("case", FILE_TARGETS)


@pytest.fixture(autouse=True)
def root() -> None:
    require_root()


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry with a connector for each case, under the name of the case."""
    path = tmp_path_factory.mktemp("registry") / "registry.db"
    entries = [{**declared, "name": NAMES[case]} for case, (_app, declared, _options) in CASES.items()]
    result = run_module("connectors", {"registry": str(path), "connectors": entries})
    assert result
    assert len(result["created"]) == len(NAMES)
    return path


class Scene:
    """The folder of an application, and a file of root's that nobody else may read or change."""

    def __init__(self, registry: Path, case: str) -> None:
        self._registry = registry
        self._case = case
        self.app, _declared, self._options = CASES[case]
        self.target = FILE_TARGETS[self.app].variant(self._options)
        self.top = Path(tempfile.mkdtemp())
        self.top.chmod(0o755)
        self.etc = self.top / "etc"
        self.etc.mkdir()
        self.path = self.etc / "settings"
        self.victim = self.top / "victim"
        self.victim.write_text(SECRET)
        self.victim.chmod(0o600)
        self._before = self.victim.stat()

    @property
    def foreign(self) -> str:
        """Settings of the application that others have written."""
        return YAML if self.app == "alertmanager" else FOREIGN

    def configure(self, path: Path | None = None, **more: Any) -> dict[str, Any]:
        options = {**self._options, **more.pop("options", {})}
        task = {"app": self.app, "path": str(path or self.path), "registry": str(self._registry)}
        result = run_module("connector_config", {**task, "connector": NAMES[self._case], "options": options, **more})
        assert result is not None, "it was killed since it hung"
        assert SECRET.strip() not in str(result)
        return result

    def configure_apart(self, **more: Any) -> dict[str, Any]:
        """The same, with the password in a file of its own."""
        return self.configure(options={"password_file": str(self.password)}, **more)

    @property
    def password(self) -> Path:
        return self.etc / "password"

    def assert_victim_is_untouched(self) -> None:
        status = self.victim.stat()
        assert self.victim.read_text() == SECRET
        for field in ("st_uid", "st_gid", "st_mode", "st_ino"):
            assert getattr(status, field) == getattr(self._before, field)


@pytest.fixture
def scene(registry: Path, case: str) -> Iterator[Scene]:
    made = Scene(registry, case)
    try:
        yield made
        made.assert_victim_is_untouched()
    finally:
        shutil.rmtree(made.top)


@EVERY
def test_settings_are_written_and_removed_where_nobody_attacks(scene: Scene) -> None:
    """So the others fail for what they try, not for their connector."""
    if scene.target.needs_file:
        scene.path.write_text(scene.foreign)
    written = scene.configure()
    assert (written.get("msg"), written["changed"]) == (None, True)
    assert scene.configure(state="absent")["changed"] is True
    assert scene.path.exists() is scene.target.needs_file


@EVERY
def test_link_of_a_user_is_not_followed(scene: Scene) -> None:
    scene.path.symlink_to(scene.victim)
    os.chown(scene.path, USER, USER, follow_symlinks=False)
    for more in ({"owner": str(USER), "follow": True}, {"state": "absent"}):
        assert "symbolic link" in scene.configure(**more)["msg"]
    assert scene.path.is_symlink()


@EVERY
def test_folder_behind_a_link_of_a_user_is_not_entered(scene: Scene) -> None:
    home = scene.top / "home"
    home.mkdir()
    os.chown(home, USER, USER)
    (home / "etc").symlink_to(scene.top)
    os.chown(home / "etc", USER, USER, follow_symlinks=False)
    for more in ({}, {"state": "absent"}):
        assert "symbolic link" in scene.configure(home / "etc" / "victim", **more)["msg"]


@EVERY
def test_further_name_of_a_file_is_not_written(scene: Scene) -> None:
    scene.path.hardlink_to(scene.victim)
    for more in ({}, {"state": "absent"}):
        assert "hard links" in scene.configure(**more)["msg"]


@EVERY
def test_pipe_does_not_stall_the_task(scene: Scene) -> None:
    os.mkfifo(scene.path)
    for more in ({}, {"state": "absent"}):
        assert scene.configure(**more)["msg"] == f"{scene.path} cannot be read: Is a named pipe"
    assert scene.path.is_fifo()


@EVERY
def test_file_of_others_is_not_removed(scene: Scene) -> None:
    scene.path.write_text(scene.foreign)
    assert scene.configure(state="absent")["changed"] is False
    assert scene.path.read_text() == scene.foreign


@EVERY
def test_file_of_another_user_in_a_shared_folder_is_not_written(scene: Scene) -> None:
    scene.path.write_text(scene.foreign)
    os.chown(scene.path, USER, USER)
    scene.etc.chmod(0o1777)
    assert "others than its owner can write to the folder" in scene.configure()["msg"]
    assert scene.path.read_text() == scene.foreign


@EVERY
def test_registry_is_not_overwritten(scene: Scene, registry: Path) -> None:
    before = registry.read_bytes()
    assert scene.configure(registry)["msg"] == "path: must not be the registry, its journal or its key file"
    assert registry.read_bytes() == before


@pytest.mark.parametrize("case", APART)
@pytest.mark.parametrize("what", ["link", "hard link", "pipe", "key"])
def test_password_is_not_written_where_somebody_has_put_something(scene: Scene, registry: Path, what: str) -> None:
    scene.path.write_text(scene.foreign if not scene.target.owns_file else "")
    if what == "link":
        scene.password.symlink_to(scene.victim)
        os.chown(scene.password, USER, USER, follow_symlinks=False)
    elif what == "hard link":
        scene.password.hardlink_to(scene.victim)
    elif what == "pipe":
        os.mkfifo(scene.password)
    else:
        scene.password.symlink_to(f"{registry}.key")
    key = Path(f"{registry}.key").read_bytes()
    before = scene.path.read_text()
    assert scene.configure_apart()["msg"]
    assert (scene.path.read_text(), Path(f"{registry}.key").read_bytes()) == (before, key)


@pytest.mark.parametrize("case", APART)
@pytest.mark.parametrize("more", [{"state": "absent"}, {"options": {"password_file": "/etc/elsewhere"}}])
def test_file_that_the_settings_name_is_neither_read_nor_removed(scene: Scene, more: dict[str, Any]) -> None:
    scene.path.write_text(scene.foreign if not scene.target.owns_file else "")
    assert scene.configure_apart().get("msg") is None
    text = scene.path.read_text()
    assert str(scene.password) in text
    os.mkfifo(scene.top / "pipe")
    for named in (scene.victim, scene.top / "pipe"):
        scene.path.write_text(text.replace(str(scene.password), str(named)))
        options = {"password_file": str(scene.etc / "elsewhere")} if "options" in more else {}
        assert scene.configure(**({"options": options} if options else more)).get("msg") is None
        assert named.exists()
