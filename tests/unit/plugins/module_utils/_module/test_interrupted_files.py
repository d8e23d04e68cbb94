# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""connector_config that is killed, fails or is tampered with between any two of its calls to the system."""

from __future__ import annotations

import errno
import fcntl
import importlib
import mmap
import os
import re
import signal
import stat
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any, Callable

import pytest

from .running import BODIES, require_root, run_module

PASSWORD, ANOTHER = "Rumpelstilzchen-7f3a9c51e2", "Schneewittchen-0b8d4c6a11"
SERVER = {"host": "mail.example.com", "username": "mailer", "password": PASSWORD}
MAIN = "relayhost = old.example.com\nother = value\n"
CHANGING = ("open", "write", "fchown", "fchmod", "removexattr", "fsync", "link", "rename", "unlink")
LOOKING = ("stat", "fstat", "readlink", "access", "listdir", "listxattr")
LEFTOVER = re.compile(r"\.mailroom-[0-9a-f]{16}\.tmp")
Action = Callable[[], None]


class Scene:
    def __init__(self, top: Path) -> None:
        self.etc, self.temporary = top / "etc", top / "temporary"
        self.registry = top / "registry.db"
        self.etc.mkdir()
        self.temporary.mkdir()
        self.main, self.password = self.etc / "main.cf", self.etc / "mailroom_password"
        self.main.write_text(MAIN)
        self.declare(PASSWORD)

    def declare(self, password: str, host: str = "mail.example.com") -> None:
        smtp = {**SERVER, "host": host, "password": password}
        result = run_module("connector", {"registry": str(self.registry), "name": "main", "smtp": smtp})
        assert result is not None
        assert "msg" not in result

    def configure(self, before: Action | None = None, **options: Any) -> dict[str, Any] | None:
        task = {"app": "postfix", "path": str(self.main), "connector": "main", "registry": str(self.registry)}
        task["_ansible_remote_tmp"] = str(self.temporary)
        return run_module("connector_config", {**task, **options}, before=before)

    def content(self) -> dict[str, tuple[str, int]]:
        return {
            each.name: (each.read_text(), stat.S_IMODE(each.stat().st_mode))
            for each in self.etc.iterdir()
            if each.is_file()
        }

    def put(self, content: dict[str, tuple[str, int]]) -> None:
        """Make the folder what it was."""
        for each in self.etc.iterdir():
            each.unlink()
        for name, (text, mode) in content.items():
            (self.etc / name).write_text(text)
            (self.etc / name).chmod(mode)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


@pytest.fixture(params=[True, False], ids=["unnamed files", "named files"])
def prepare(request: pytest.FixtureRequest) -> Action:
    """Both ways to write a file before it has its name."""

    def without_unnamed_files() -> None:
        if not request.param:
            del os.O_TMPFILE

    return without_unnamed_files


def at_each_call(
    action: Action, prepare: Action, names: tuple[str, ...], *, within: str = "write_files", every: int = 1
) -> Iterator[tuple[Action, Callable[[], bool]]]:
    """What does something right before every n-th call of these, one after the other, until there are no more.

    Only calls within one function of the module's body count. Also say whether there was such a call.
    """
    for number in count(1, every):
        shared = mmap.mmap(-1, 1)

        def interfere(number: int = number, shared: mmap.mmap = shared) -> None:
            prepare()
            body: Any = importlib.import_module(f"{BODIES}.connector_config")
            calls = count(1)

            def watched(call: Callable[..., Any]) -> Callable[..., Any]:
                def calling(*arguments: Any, **more: Any) -> Any:
                    if next(calls) == number:
                        shared[0] = 1
                        action()
                    return call(*arguments, **more)

                return calling

            def started(*arguments: Any, **more: Any) -> Any:
                for name in names:
                    setattr(os, name, watched(getattr(os, name)))
                return function(*arguments, **more)

            function = getattr(body, within)
            setattr(body, within, started)

        yield interfere, lambda shared=shared: bool(shared[0])  # type: ignore[misc]
        if not shared[0]:
            assert number > min(3, every)
            return


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def fill_the_disk() -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_killed_task_leaves_no_half_of_a_file_and_no_password_elsewhere(
    scene: Scene, prepare: Action, stride: int
) -> None:
    scene.configure()
    former = scene.content()
    scene.declare(ANOTHER, host="other.example.com")
    scene.configure()
    wanted = scene.content()
    assert ANOTHER in wanted["mailroom_password"][0]
    for interfere, is_reached in at_each_call(kill, prepare, (*CHANGING, *LOOKING), every=2 * stride):
        scene.put(former)
        result = scene.configure(interfere)
        assert (result is None) is is_reached()
        for name, state in scene.content().items():
            if LEFTOVER.fullmatch(name):
                assert state[1] == 0o600 or not (PASSWORD in state[0] or ANOTHER in state[0])
            else:
                assert state in (former[name], wanted[name])
        elsewhere = [each for each in scene.temporary.rglob("*") if each.is_file()]
        assert elsewhere == []
        scene.configure()
        assert scene.content() == wanted


def test_a_first_task_that_is_killed_leaves_no_password_under_another_name(scene: Scene, stride: int) -> None:
    for interfere, _is_reached in at_each_call(kill, lambda: None, (*CHANGING, *LOOKING), every=2 * stride):
        scene.put({"main.cf": (MAIN, 0o644)})
        scene.configure(interfere)
        assert {name for name, (text, _mode) in scene.content().items() if PASSWORD in text} <= {"mailroom_password"}


@pytest.mark.parametrize(
    ("prepare", "kind"),
    [(True, "changed"), (True, "removed"), (False, "made"), (False, "with a copy")],
    indirect=["prepare"],
    ids=str,
)
def test_a_task_that_fails_changes_nothing(scene: Scene, prepare: Action, kind: str, stride: int) -> None:
    options = {"state": "absent"} if kind == "removed" else {"backup": kind == "with a copy"}
    if kind != "made":
        scene.configure()
    if kind in ("changed", "with a copy"):
        scene.declare(ANOTHER, host="other.example.com")
    before = scene.content()
    failures = 0
    for interfere, is_reached in at_each_call(fill_the_disk, prepare, CHANGING, every=stride):
        scene.put(before)
        result = scene.configure(interfere, **options)
        assert result is not None
        if "msg" in result:
            failures += 1
            assert re.fullmatch(
                rf"{re.escape(str(scene.etc))}/\S+ cannot be written: No space left on device", result["msg"]
            )
            assert scene.content() == before
        else:
            # It was about removing what nobody needs any more, which the next task does.
            scene.configure(**options)
            assert scene.content() != before
            assert not any(LEFTOVER.fullmatch(name) for name in scene.content())
        assert is_reached() or "msg" not in result
    assert failures > 3 // stride


def test_settings_that_are_changed_meanwhile_are_not_overwritten(scene: Scene) -> None:
    def change() -> None:
        with scene.main.open("a") as file:
            file.write("another = 1\n")

    for interfere, is_reached in at_each_call(change, lambda: None, ("link",)):
        if not is_reached():
            break
        scene.put({"main.cf": (MAIN, 0o644)})
        result = scene.configure(interfere)
        assert result is not None
        assert result["msg"] == f"{scene.main} was changed by another process during this task: run the task again"
        assert scene.content() == {"main.cf": (MAIN + "another = 1\n", 0o644)}


class TestLeftovers:
    """What a killed task has left is removed by the next, and nothing else is."""

    NAME = ".mailroom-0123456789abcdef.tmp"

    @pytest.mark.parametrize("options", [{}, {"state": "absent"}])
    def test_leftovers_are_removed_even_if_nothing_changes(self, scene: Scene, options: dict[str, Any]) -> None:
        scene.configure(**options)
        (scene.etc / self.NAME).write_text(PASSWORD)
        result = scene.configure(**options)
        assert result is not None
        assert (result["changed"], (scene.etc / self.NAME).exists()) == (False, False)

    def test_what_only_looks_like_them_stays(self, scene: Scene, tmp_path: Path) -> None:
        others = [f"{self.NAME}2", "mailroom-0123456789abcdef.tmp", ".mailroom-0123456789abcdeg.tmp"]
        for name in others:
            (scene.etc / name).write_text("mine")
        target = tmp_path / "target"
        target.write_text("mine")
        (scene.etc / self.NAME).symlink_to(target)
        (scene.etc / self.NAME.replace("0", "1")).hardlink_to(target)
        (scene.etc / self.NAME.replace("0", "2")).mkdir()
        os.mkfifo(scene.etc / self.NAME.replace("0", "3"))
        names = {each.name for each in scene.etc.iterdir()}
        scene.configure()
        assert {each.name for each in scene.etc.iterdir()} == names | {"mailroom_password"}
        assert target.read_text() == "mine"

    def test_what_another_task_is_writing_stays(self, scene: Scene) -> None:
        with (scene.etc / self.NAME).open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            scene.configure()
            assert (scene.etc / self.NAME).exists()
        scene.configure()
        assert not (scene.etc / self.NAME).exists()


class TestAUserWhoInterferes:
    """At any moment: what is checked cannot be exchanged before it is used."""

    USER = 1001

    @pytest.fixture(autouse=True)
    def root(self) -> None:
        require_root()

    def exchange(self, scene: Scene, victim: Path, kind: str) -> Action:
        rc = scene.etc / "conf" / "msmtprc"

        def act() -> None:
            if kind == "folder":
                (scene.etc / "conf").rename(scene.etc / f"away-{os.urandom(4).hex()}")
                (scene.etc / "conf").symlink_to(victim.parent)
                return
            rc.unlink(missing_ok=True)
            if kind == "link":
                rc.symlink_to(victim)
            elif kind == "hard link":
                rc.hardlink_to(victim)
            elif kind == "pipe":
                os.mkfifo(rc)
            else:
                rc.mkdir()

        return act

    @pytest.mark.parametrize(
        ("kind", "options"),
        [
            ("link", {"owner": "1001", "backup": True}),
            ("folder", {"owner": "1001", "backup": True}),
            ("hard link", {"state": "absent"}),
            ("pipe", {"state": "absent"}),
        ],
        ids=["link", "folder", "hard link", "pipe"],
    )
    def test_nothing_of_roots_is_touched(
        self, scene: Scene, tmp_path: Path, kind: str, options: dict[str, Any], stride: int
    ) -> None:
        victim = tmp_path / "root" / "msmtprc"
        victim.parent.mkdir()
        conf = scene.etc / "conf"

        def reset() -> None:
            for each in scene.etc.iterdir():
                if each.is_symlink() or each.is_file():
                    each.unlink()
                else:
                    for inner in each.iterdir():
                        inner.rmdir() if inner.is_dir() else inner.unlink()
                    each.rmdir()
            conf.mkdir()
            (conf / "msmtprc").write_text(
                "# Written by mailroom.core.connector_config; what is changed here is lost.\n"
            )
            victim.unlink(missing_ok=True)
            victim.write_text("# Written by mailroom.core.connector_config; what is changed here is lost.\nroot's\n")
            for path in (scene.etc, conf, conf / "msmtprc"):
                os.chown(path, self.USER, self.USER)

        run = {"app": "msmtp", "path": str(conf / "msmtprc"), **options}
        calls = (*CHANGING, *LOOKING)
        for interfere, _is_reached in at_each_call(
            self.exchange(scene, victim, kind), lambda: None, calls, within="_connector_config", every=3 * stride
        ):
            reset()
            before = victim.stat()
            result = scene.configure(interfere, **run)
            assert result is not None
            assert "\n" not in result.get("msg", "")
            after = victim.stat()
            assert [each.name for each in victim.parent.iterdir()] == ["msmtprc"]
            assert "root's" in victim.read_text()
            assert (after.st_uid, after.st_gid, after.st_mode, after.st_ino) == (
                before.st_uid,
                before.st_gid,
                before.st_mode,
                before.st_ino,
            )
