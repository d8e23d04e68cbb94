# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""connector_config as root, among files and folders of users who mean harm ."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import stat
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from .running import require_root, run_module

PASSWORD = "Rumpelstilzchen-7f3a9c51e2"
SECRET = "What root alone may know.\n"
USER, OTHER = 1001, 65534
SERVER = {"host": "mail.example.com", "username": "mailer", "password": PASSWORD}
MAIN = "relayhost = old.example.com\nother = value\n"
YAML = "global:\n  resolve_timeout: 5m\nroute: {receiver: nobody}\nreceivers: [{name: nobody}]\n"


@pytest.fixture(autouse=True)
def root() -> None:
    require_root()


class Scene:
    """A registry of root's, a folder of root's, and one of a user's."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.registry = top / "registry" / "registry.db"
        self.etc = self.folder("etc")
        self.home = self.folder("home", USER)
        self.victim = self.file(self.folder("root") / "victim", SECRET)
        self.state = self._state()

    def folder(self, name: str, owner: int = 0, mode: int = 0o755) -> Path:
        path = self.top / name
        path.mkdir()
        path.chmod(mode)
        os.chown(path, owner, owner)
        return path

    def file(self, path: Path, text: str = "", owner: int = 0, mode: int = 0o600) -> Path:
        path.write_text(text)
        path.chmod(mode)
        os.chown(path, owner, owner)
        return path

    def link(self, path: Path, target: str | Path, owner: int = 0) -> Path:
        path.symlink_to(target)
        os.chown(path, owner, owner, follow_symlinks=False)
        return path

    def _state(self) -> tuple[Any, ...]:
        status = self.victim.stat()
        content = self.victim.read_text()
        return content, status.st_uid, status.st_gid, status.st_mode, status.st_ino, status.st_nlink

    def assert_victim_is_untouched(self) -> None:
        assert self._state()[:5] == self.state[:5]

    def run(self, module: str, options: dict[str, Any], user: int = 0, **more: Any) -> dict[str, Any]:
        result = run_module(module, options, user=user, **more)
        assert result is not None
        assert PASSWORD not in str(result)
        assert SECRET.strip() not in str(result)
        return result

    def let_the_user_run_it(self) -> None:
        for path in (self.registry.parent, *self.registry.parent.iterdir()):
            os.chown(path, USER, USER)

    def configure(self, app: str, path: Path, *, user: int = 0, check: bool = False, **options: Any) -> dict[str, Any]:
        """Write the connector main, unless the options say otherwise."""
        task = {"app": app, "path": str(path), "registry": str(self.registry), "connector": "main", **options}
        if app == "postfix" and task.get("state") != "absent":
            task["options"] = {"leave_out": ["from_address"], **task.get("options", {})}
        return self.run("connector_config", task, user, check=check)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a registry of root's and its key."""
    folder = tmp_path_factory.mktemp("registry")
    servers = {"main": SERVER, "open": {"host": "relay.example.com"}}
    entries = [{"name": name, "from_address": "a@example.com", "smtp": smtp} for name, smtp in servers.items()]
    result = run_module("connectors", {"registry": str(folder / "registry.db"), "connectors": entries})
    assert result is not None
    assert result.get("msg") is None
    return folder


@pytest.fixture
def scene(registry: Path) -> Iterator[Scene]:
    # Not in pytest's folders: other users can enter this one.
    top = Path(tempfile.mkdtemp())
    top.chmod(0o755)
    scene = Scene(top)
    shutil.copytree(registry, scene.registry.parent)
    try:
        yield scene
        scene.assert_victim_is_untouched()
    finally:
        shutil.rmtree(top)


def owner_and_mode(path: Path) -> tuple[int, int]:
    status = path.lstat()
    return status.st_uid, stat.S_IMODE(status.st_mode)


def inside(folder: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in folder.iterdir() if each.is_file() and not each.is_symlink()}


def warnings_of(result: dict[str, Any]) -> list[str]:
    texts: list[str] = result.get("warnings", [])
    assert all(len(text) < 1000 and text.isprintable() for text in texts)
    return texts


def settings_of(scene: Scene, app: str, folder: Path | None = None, owner: int = 0) -> Path:
    """The file of an application that keeps the password apart."""
    name, text = {"postfix": ("main.cf", MAIN), "alertmanager": ("alertmanager.yml", YAML)}[app]
    return scene.file((folder or scene.etc) / name, text, owner, 0o644)


APART = pytest.mark.parametrize("app", ["postfix", "alertmanager"])
STATES = pytest.mark.parametrize("state", ["present", "absent"])


class TestAFileThatTheSettingsName:
    """whoever may write the settings chose which file is removed."""

    @APART
    @pytest.mark.parametrize("more", [{"state": "absent"}, {"connector": "open"}, {"connector": "main"}])
    def test_file_that_the_settings_name_is_not_removed(self, scene: Scene, app: str, more: dict[str, Any]) -> None:
        path = settings_of(scene, app)
        assert "msg" not in scene.configure(app, path)
        named = f"# The password is in {path.parent}/mailroom_password\n"
        text = path.read_text()
        assert named in text
        path.write_text(text.replace(named, f"# The password is in {scene.victim}\n"))
        result = scene.configure(app, path, **more)
        assert "msg" not in result
        assert any(str(scene.victim) in text for text in warnings_of(result))
        assert (scene.etc / "mailroom_password").exists() is (more == {"connector": "main"})
        assert str(scene.victim) not in path.read_text()

    @APART
    @pytest.mark.parametrize("what", ["pipe", "/dev/zero"])
    def test_file_that_the_settings_name_is_not_opened(self, scene: Scene, app: str, what: str) -> None:
        pipe = scene.top / "pipe"
        os.mkfifo(pipe)
        path = settings_of(scene, app)
        scene.configure(app, path)
        beside = f"{path.parent}/mailroom_password\n"
        path.write_text(path.read_text().replace(beside, f"{pipe if what == 'pipe' else what}\n"))
        assert "msg" not in scene.configure(app, path, state="absent")
        assert (pipe.exists(), Path("/dev/zero").is_char_device()) == (True, True)

    def test_its_name_is_shown_in_a_harmless_form(self, scene: Scene) -> None:
        path = settings_of(scene, "postfix")
        scene.configure("postfix", path)
        hostile = "/x\x1b[2J\x07\u202e" + "y" * 100_000
        path.write_text(path.read_text().replace(f"{scene.etc}/mailroom_password\n", hostile + "\n", 1))
        (warning,) = warnings_of(scene.configure("postfix", path))
        assert warning.endswith("/x?[2J??" + "y" * 192)

    @APART
    def test_the_former_option_is_not_followed_either(self, scene: Scene, app: str) -> None:
        path = settings_of(scene, app)
        former, later = (str(scene.etc / name) for name in ("former", "later"))
        scene.configure(app, path, options={"password_file": former})
        result = scene.configure(app, path, options={"password_file": later})
        assert any(text.endswith(former) for text in warnings_of(result))
        assert {"former", "later"} <= inside(scene.etc).keys()
        assert warnings_of(scene.configure(app, path, options={"password_file": later})) == []


class TestAPasswordFileThatIsNotNeededAnyMore:
    """it is removed only where it is ours beyond doubt."""

    @APART
    def test_password_file_that_was_written_here_is_removed(self, scene: Scene, app: str) -> None:
        path = settings_of(scene, app)
        before = path.read_text()
        scene.configure(app, path)
        planned = scene.configure(app, path, state="absent", check=True)
        gone = scene.configure(app, path, state="absent")
        assert (warnings_of(gone), gone["diff"]) == ([], planned["diff"])
        assert inside(scene.etc) == {path.name: before.encode()}
        assert scene.configure(app, path, state="absent")["changed"] is False

    @APART
    def test_password_file_of_others_is_left(self, scene: Scene, app: str) -> None:
        path = settings_of(scene, app)
        foreign = scene.file(scene.etc / "mailroom_password", "mine\n")
        (warning,) = warnings_of(scene.configure(app, path, state="absent"))
        assert warning.startswith(
            f"The password file {foreign} was left as it is (it is not known to have been written"
        )
        assert foreign.read_text() == "mine\n"

    def test_password_file_that_was_changed_since_is_left(self, scene: Scene) -> None:
        path = settings_of(scene, "alertmanager")
        scene.configure("alertmanager", path)
        changed = scene.file(scene.etc / "mailroom_password", f"{PASSWORD}2")
        assert len(warnings_of(scene.configure("alertmanager", path, state="absent"))) == 1
        assert changed.exists()

    @pytest.mark.parametrize(("app", "is_left"), [("postfix", False), ("alertmanager", True)])
    def test_without_a_registry_only_a_mark_tells(self, scene: Scene, app: str, *, is_left: bool) -> None:
        path = settings_of(scene, app)
        before = path.read_text()
        scene.configure(app, path)
        shutil.rmtree(scene.registry.parent)
        result = scene.configure(app, path, state="absent")
        assert (path.read_text(), (scene.etc / "mailroom_password").exists()) == (before, is_left)
        assert (len(warnings_of(result)), scene.registry.exists()) == (is_left, False)

    @APART
    def test_password_file_of_an_earlier_version_is_recorded(self, scene: Scene, app: str) -> None:
        path = settings_of(scene, app)
        scene.configure(app, path)
        password = scene.etc / "mailroom_password"
        text = password.read_text()
        scene.file(password, text.split("\n", 1)[1] if app == "postfix" else text)
        self.forget(scene)
        assert len(warnings_of(scene.configure(app, path, state="absent", check=True))) == 1
        assert scene.configure(app, path)["changed"] is False
        assert warnings_of(scene.configure(app, path, state="absent")) == []
        assert not password.exists()

    def forget(self, scene: Scene) -> None:
        with closing(sqlite3.connect(scene.registry, isolation_level=None)) as database:
            database.execute("DELETE FROM written_file")

    @pytest.mark.parametrize(
        ("app", "way"),
        [*(("postfix", way) for way in ("link", "hard link", "pipe", "folder")), ("alertmanager", "link")],
    )
    def test_password_file_that_is_no_plain_file_is_left(self, scene: Scene, app: str, way: str) -> None:
        path = settings_of(scene, app)
        before = path.read_text()
        scene.configure(app, path)
        password, aside = scene.etc / "mailroom_password", scene.etc / "aside"
        if way == "hard link":
            aside.hardlink_to(password)
        else:
            password.rename(aside)
            if way == "link":
                scene.link(password, aside)
            elif way == "pipe":
                os.mkfifo(password)
            else:
                password.mkdir()
        result = scene.configure(app, path, state="absent")
        assert (len(warnings_of(result)), path.read_text(), aside.exists()) == (1, before, True)
        assert os.path.lexists(password)

    @APART
    def test_password_file_in_a_folder_of_somebody_else_is_left_unless_that_is_the_owner(
        self, scene: Scene, app: str
    ) -> None:
        path = settings_of(scene, app, scene.home, USER)
        before, password = path.read_text(), scene.home / "mailroom_password"
        for named in ({}, {"owner": str(OTHER)}, {"owner": str(USER)}):
            scene.configure(app, path, owner=str(USER))
            assert owner_and_mode(password) == (USER, 0o600)
            result = scene.configure(app, path, state="absent", **named)
            assert (path.read_text(), owner_and_mode(path)) == (before, (USER, 0o644))
            is_left = named.get("owner") != str(USER)
            assert (len(warnings_of(result)), password.exists()) == (is_left, is_left)

    @pytest.mark.parametrize("mode", [0o775, 0o777, 0o1777])
    def test_password_file_in_a_folder_that_others_can_write_is_left(self, scene: Scene, mode: int) -> None:
        path = settings_of(scene, "postfix")
        scene.configure("postfix", path)
        scene.etc.chmod(mode)
        assert len(warnings_of(scene.configure("postfix", path, state="absent"))) == 1
        assert (scene.etc / "mailroom_password").exists()


class TestLinks:
    """what a user planted was written and given to that user."""

    @pytest.mark.parametrize(
        ("state", "hops", "follow"), [("present", 1, False), ("present", 2, True), ("absent", 1, True)]
    )
    def test_a_link_of_a_user_is_refused(self, scene: Scene, state: str, hops: int, *, follow: bool) -> None:
        rc = scene.link(scene.home / ".msmtprc", scene.victim, USER)
        if hops == 2:
            rc = scene.link(scene.etc / "msmtprc", rc)
        scene.victim.write_text("# Written by mailroom.core.connector_config; what is changed here is lost.\n")
        scene.state = scene._state()
        for check in (True, False):
            result = scene.configure("msmtp", rc, owner=str(USER), follow=follow, state=state, check=check)
            assert result["msg"].startswith("path: ")
            assert "symbolic link" in result["msg"]
        assert rc.is_symlink()

    @pytest.mark.parametrize(
        ("owner", "folder_owner", "mode", "above"),
        [
            (USER, 0, 0o755, False),
            (0, USER, 0o755, False),
            (0, 0, 0o777, False),
            (0, 0, 0o1777, False),
            (0, 0, 0o775, False),
            (0, USER, 0o755, True),
        ],
    )
    def test_a_link_that_others_can_exchange_is_refused(
        self, scene: Scene, owner: int, folder_owner: int, mode: int, *, above: bool
    ) -> None:
        folder = scene.folder("links", folder_owner, mode)
        if above:
            path = scene.link(folder / "deep", scene.etc, owner) / "msmtprc"
        else:
            path = scene.link(folder / "msmtprc", scene.etc / "msmtprc", owner)
        told = scene.configure("msmtp", path, owner=str(USER), follow=True)["msg"]
        assert told.startswith(f"path: leads through the symbolic link {folder}/")
        assert inside(scene.etc) == {}

    def test_link_below_a_folder_that_others_can_write_is_refused(self, scene: Scene) -> None:
        folder = scene.home / "roots"
        folder.mkdir(0o755)
        link = scene.link(folder / "etc", scene.etc)
        assert str(link) in scene.configure("msmtp", link / "msmtprc")["msg"]

    def test_a_link_of_roots_above_the_file_is_followed(self, scene: Scene) -> None:
        link = scene.link(scene.top / "link", "etc")
        relative = scene.link(scene.etc / "again", "../etc")
        for path in (link / "msmtprc", relative / "msmtprc", scene.home / ".." / "link" / "." / "again" / "msmtprc"):
            result = scene.configure("msmtp", path)
            assert (result.get("msg"), result.get("path")) == (None, str(scene.etc / "msmtprc"))

    def test_link_in_place_of_the_file_is_followed_only_if_asked_for(self, scene: Scene) -> None:
        link = scene.link(scene.top / "msmtprc", scene.etc / "msmtprc")
        told = scene.configure("msmtp", link)["msg"]
        assert told == f"path: {link} is a symbolic link, which is followed only with follow: true"
        result = scene.configure("msmtp", link, follow=True)
        assert (result["path"], link.is_symlink()) == (str(scene.etc / "msmtprc"), True)
        assert scene.configure("msmtp", link, follow=True, state="absent")["changed"] is True
        assert (inside(scene.etc), link.is_symlink()) == ({}, True)

    def test_a_link_of_the_user_that_runs_the_task_is_followed(self, scene: Scene) -> None:
        scene.let_the_user_run_it()
        link = scene.link(scene.home / "link", scene.home, USER)
        assert scene.configure("msmtp", link / "msmtprc", user=USER).get("msg") is None
        assert owner_and_mode(scene.home / "msmtprc") == (USER, 0o600)

    def test_links_without_end_are_refused(self, scene: Scene) -> None:
        scene.link(scene.etc / "one", "two")
        scene.link(scene.etc / "two", "one")
        told = scene.configure("msmtp", scene.etc / "one" / "msmtprc")["msg"]
        assert told == "path: leads through more than 40 symbolic links"

    @APART
    @STATES
    def test_a_password_file_is_never_a_link(self, scene: Scene, app: str, state: str) -> None:
        path = settings_of(scene, app)
        before = path.read_text()
        for link in (
            scene.link(scene.home / "password", scene.victim, USER),
            scene.link(scene.etc / "password", scene.victim),
        ):
            result = scene.configure(app, path, follow=True, state=state, options={"password_file": str(link)})
            told = result["msg"] if state == "present" else warnings_of(result)[0]
            assert f"{link} is a symbolic link, which is not followed here" in told
        assert path.read_text() == before

    @APART
    def test_password_file_in_a_folder_that_a_user_can_exchange_is_refused(self, scene: Scene, app: str) -> None:
        path = settings_of(scene, app)
        folder = scene.link(scene.home / "folder", scene.victim.parent, USER)
        told = scene.configure(app, path, options={"password_file": str(folder / "victim")})["msg"]
        assert told.startswith("options.password_file: leads through the symbolic link")

    @STATES
    def test_a_hard_link_is_refused(self, scene: Scene, state: str) -> None:
        scene.victim.write_text("# Written by mailroom.core.connector_config; what is changed here is lost.\n")
        scene.state = scene._state()
        rc = scene.home / ".msmtprc"
        rc.hardlink_to(scene.victim)
        for check in (True, False):
            told = scene.configure("msmtp", rc, owner=str(USER), state=state, check=check)["msg"]
            assert told.startswith(f"{rc} is refused: it has further names (hard links)")

    @APART
    def test_a_hard_link_as_password_file_is_refused(self, scene: Scene, app: str) -> None:
        path = settings_of(scene, app)
        (scene.home / "password").hardlink_to(scene.victim)
        options = {"password_file": str(scene.home / "password")}
        assert "hard links" in scene.configure(app, path, owner=str(USER), options=options)["msg"]

    @pytest.mark.parametrize("app", ["postfix", "alertmanager"])
    def test_a_hard_link_as_settings_is_refused(self, scene: Scene, app: str) -> None:
        path = settings_of(scene, app)
        (scene.home / "mine").hardlink_to(path)
        assert "hard links" in scene.configure(app, path)["msg"]


class TestAFolderOfTheOwner:
    """Legitimate: root writes a user's own settings."""

    def test_the_user_gets_the_file_and_nothing_else(self, scene: Scene) -> None:
        rc = scene.home / ".msmtprc"
        made = scene.configure("msmtp", rc, owner=str(USER), group=str(USER))
        assert (made["changed"], owner_and_mode(rc), rc.stat().st_gid) == (True, (USER, 0o600), USER)
        assert scene.configure("msmtp", rc, owner=str(USER), group=str(USER))["changed"] is False
        assert inside(scene.home).keys() == {".msmtprc"}
        assert scene.configure("msmtp", rc, owner=str(USER), state="absent")["changed"] is True
        assert inside(scene.home) == {}

    def test_a_file_that_the_user_holds_open_is_not_the_one_that_is_written(self, scene: Scene) -> None:
        rc = scene.file(scene.home / ".msmtprc", "mine", USER)
        with rc.open("r+") as held:
            scene.configure("msmtp", rc, owner=str(USER))
            assert held.read() == "mine"
        assert PASSWORD in rc.read_text()

    def test_file_with_the_same_text_is_written_anew_for_another_owner(self, scene: Scene) -> None:
        """Its former owner could go on writing to it."""
        scene.configure("msmtp", scene.etc / "msmtprc", owner=str(OTHER))
        with (scene.etc / "msmtprc").open("r+") as held:
            result = scene.configure("msmtp", scene.etc / "msmtprc", owner=str(USER))
            assert (result["changed"], owner_and_mode(scene.etc / "msmtprc")) == (True, (USER, 0o600))
            assert (os.fstat(held.fileno()).st_uid, os.fstat(held.fileno()).st_nlink) == (OTHER, 0)

    @pytest.mark.parametrize("mode", [0o1777, 0o777, 0o775])
    def test_file_of_somebody_else_in_a_shared_folder_is_refused(self, scene: Scene, mode: int) -> None:
        folder = scene.folder("shared", 0, mode)
        path = scene.file(folder / "msmtprc", "mine", OTHER)
        told = scene.configure("msmtp", path, owner=str(USER))["msg"]
        assert told.startswith(f"{path} is refused: others than its owner can write to the folder")
        assert (path.read_text(), owner_and_mode(path)) == ("mine", (OTHER, 0o600))
        for owner in (0, USER):
            os.chown(path, owner, owner)
            assert scene.configure("msmtp", path, owner=str(USER))["changed"] is True
            assert owner_and_mode(path) == (USER, 0o600)
            scene.file(path, "again")

    def test_a_folder_whose_files_everybody_can_exchange_is_warned_about(self, scene: Scene) -> None:
        folder = scene.folder("shared", 0, 0o777)
        (warning,) = warnings_of(scene.configure("msmtp", folder / "msmtprc"))
        assert (
            warning == f"Everybody on this host can write to the folder of {folder}/msmtprc, and so replace that file."
        )
        folder.chmod(0o1777)
        assert warnings_of(scene.configure("msmtp", folder / "msmtprc")) == []

    def test_the_user_may_run_the_task_below_folders_that_only_let_through(self, scene: Scene) -> None:
        scene.top.chmod(0o711)
        scene.let_the_user_run_it()
        assert scene.configure("msmtp", scene.home / ".msmtprc", user=USER)["changed"] is True
        assert owner_and_mode(scene.home / ".msmtprc") == (USER, 0o600)


class TestWhatIsNoFile:
    """a pipe stalled the task."""

    KINDS = ("pipe", "socket", "device", "endless", "folder", "large")

    def put(self, path: Path, kind: str) -> str:
        """Something to trip over, and what is told of it."""
        if kind == "pipe":
            os.mkfifo(path)
            return "Is a named pipe"
        if kind == "socket":
            with socket.socket(socket.AF_UNIX) as bound:
                bound.bind(str(path))
            return "Is a socket"
        if kind in ("device", "endless"):
            os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5 if kind == "endless" else 7))
            return "Is a device"
        if kind == "folder":
            path.mkdir()
            return "Is a directory"
        with path.open("wb") as file:
            file.truncate(100 << 20)
        return "it is larger than 1024 KiB"

    @pytest.mark.parametrize(
        ("app", "state", "kind"),
        [
            *(("msmtp", "present", kind) for kind in KINDS),
            *((app, state, "pipe") for app in ("postfix", "alertmanager") for state in ("present", "absent")),
            ("msmtp", "absent", "pipe"),
        ],
    )
    def test_path_that_is_no_regular_file_is_refused(self, scene: Scene, app: str, state: str, kind: str) -> None:
        path = scene.etc / "settings"
        why = self.put(path, kind)
        before = path.lstat()
        assert scene.configure(app, path, state=state)["msg"] == f"{path} cannot be read: {why}"
        assert [each.name for each in scene.etc.iterdir()] == ["settings"]
        assert os.path.samestat(path.lstat(), before)

    @pytest.mark.parametrize(("app", "kind"), [*(("postfix", kind) for kind in KINDS), ("alertmanager", "pipe")])
    def test_password_file_that_is_no_regular_file_is_refused(self, scene: Scene, app: str, kind: str) -> None:
        path = settings_of(scene, app)
        before = path.read_text()
        why = self.put(scene.etc / "mailroom_password", kind)
        told = scene.configure(app, path)["msg"]
        assert told == f"{scene.etc}/mailroom_password cannot be read: {why}"
        (warning,) = warnings_of(scene.configure(app, path, state="absent"))
        assert why in warning
        assert path.read_text() == before
        assert {each.name for each in scene.etc.iterdir()} == {path.name, "mailroom_password"}


class TestTheRegistrysOwnFiles:
    """they could be named as a file to write."""

    def spellings(self, scene: Scene, target: Path) -> Iterator[Path]:
        folder = scene.registry.parent
        yield target
        yield folder / ".." / "registry" / "." / target.name
        yield scene.link(scene.top / "linked", folder) / target.name
        yield folder / target.name.upper()
        if target.exists():
            (scene.etc / "hard").hardlink_to(target)
            yield scene.etc / "hard"

    @pytest.mark.parametrize(
        ("suffix", "state"),
        [*((suffix, "present") for suffix in ("", "-journal", "-wal", "-shm", ".key")), ("", "absent")],
    )
    def test_files_of_the_registry_are_refused(self, scene: Scene, suffix: str, state: str) -> None:
        target = scene.registry.with_name(scene.registry.name + suffix)
        before, settings = inside(scene.registry.parent), settings_of(scene, "postfix")
        rest = "must not be the registry, its journal or its key file"
        for spelling in self.spellings(scene, target):
            told = scene.configure("msmtp", spelling, state=state)["msg"]
            assert told == f"path: {rest}"
            result = scene.configure("postfix", settings, state=state, options={"password_file": str(spelling)})
            assert result["msg"] == f"options.password_file: {rest}"
        assert (inside(scene.registry.parent), settings.read_text()) == (before, MAIN)

    def test_key_file_elsewhere_is_refused(self, scene: Scene) -> None:
        key = scene.etc / "key"
        scene.registry.with_name("registry.db.key").rename(key)
        before = key.read_bytes()
        told = scene.configure("msmtp", key, registry_key_file=str(key))["msg"]
        assert told.startswith("path: must not be the registry")
        assert key.read_bytes() == before

    @APART
    @STATES
    def test_the_password_file_is_another_than_path(self, scene: Scene, app: str, state: str) -> None:
        path = settings_of(scene, app)
        before = path.read_bytes()
        link = scene.link(scene.top / "linked", scene.etc)
        for spelling in (
            path,
            scene.home / ".." / "etc" / path.name,
            link / path.name,
            path.with_name(path.name.upper()),
        ):
            result = scene.configure(app, path, state=state, options={"password_file": str(spelling)})
            assert result["msg"] == "options.password_file: must be a different file than path"
        assert inside(scene.etc) == {path.name: before}


HOSTILE_SETTINGS = {
    "twice": "{block}{block}",
    "nested": "# BEGIN mailroom.core.connector_config\n{block}# END mailroom.core.connector_config\n",
    "without end": "# BEGIN mailroom.core.connector_config\n",
    "without begin": "# END mailroom.core.connector_config\n",
    "turned round": "# END mailroom.core.connector_config\n# BEGIN mailroom.core.connector_config\n",
    "many begins": "# BEGIN mailroom.core.connector_config\n" * 26_000,
    "NUL": "a: b\0\n",
    "a bomb": "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 100)),
    "deep": "a: " + "[" * 5_000 + "\n",
    "a deep key": "? " * 3_000 + "\n",
    "an impossible escape": 'a: "\\UFFFFFFFF"\n',
    "an impossible date": "a: 2020-99-99\n",
}


class TestHostileSettings:
    """What the owner of the settings may write there ends in one sentence, or is handled rightly."""

    @pytest.mark.parametrize(
        ("app", "kind"),
        [
            *(("alertmanager", kind) for kind in HOSTILE_SETTINGS),
            *(("postfix", kind) for kind in ("twice", "without end", "turned round", "many begins", "NUL")),
        ],
    )
    @pytest.mark.sampled(3)
    def test_hostile_settings_are_refused_or_stay(self, scene: Scene, app: str, kind: str) -> None:
        path = settings_of(scene, app)
        block = "# BEGIN mailroom.core.connector_config\n# x\n# END mailroom.core.connector_config\n"
        hostile = path.read_text() + HOSTILE_SETTINGS[kind].replace("{block}", block)
        path.write_text(hostile)
        result = scene.configure(app, path)
        if "msg" in result:
            assert result["msg"].startswith("path: ")
            assert "\n" not in result["msg"]
            assert inside(scene.etc) == {path.name: hostile.encode()}
        assert scene.configure(app, path, state="absent").get("changed") is not result.get("failed", False)
        assert path.read_text() == hostile

    @APART
    def test_lines_that_end_otherwise_are_understood(self, scene: Scene, app: str) -> None:
        path = settings_of(scene, app)
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
        before = path.read_bytes()
        scene.configure(app, path)
        path.write_bytes(path.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
        assert scene.configure(app, path)["changed"] is True
        assert path.read_bytes().count(b"# BEGIN") == 1
        scene.configure(app, path, state="absent")
        assert path.read_bytes() == before


class TestCheckMode:
    """It fails where the task itself could not write."""

    @pytest.fixture
    def users(self, scene: Scene) -> Scene:
        scene.let_the_user_run_it()
        return scene

    @pytest.mark.parametrize("check", [True, False])
    def test_a_folder_that_cannot_be_written(self, users: Scene, *, check: bool) -> None:
        told = users.configure("msmtp", users.etc / "msmtprc", user=USER, check=check)["msg"]
        assert told == f"{users.etc}/msmtprc cannot be written: Permission denied"

    @pytest.mark.parametrize("check", [True, False])
    def test_an_owner_that_cannot_be_given(self, users: Scene, *, check: bool) -> None:
        path = users.home / "msmtprc"
        told = users.configure("msmtp", path, user=USER, owner=str(OTHER), check=check)["msg"]
        assert told == f"{path} cannot be written: Operation not permitted"
        assert not path.exists()

    @pytest.mark.parametrize("check", [True, False])
    def test_a_file_that_cannot_be_removed(self, users: Scene, *, check: bool) -> None:
        path = users.home / "msmtprc"
        users.configure("msmtp", path, user=USER)
        users.home.chmod(0o555)
        told = users.configure("msmtp", path, user=USER, state="absent", check=check)["msg"]
        assert told == f"{path} cannot be written: Permission denied"

    def test_a_folder_that_an_earlier_task_may_make(self, scene: Scene) -> None:
        missing = "is in a folder that does not exist"
        for app, path in (("msmtp", scene.top / "new" / "msmtprc"), ("postfix", scene.top / "new" / "main.cf")):
            result = scene.configure(app, path, check=True)
            assert (warnings_of(result)[0], result["changed"]) == (f"path: {missing} yet: {path.parent}", True)
            assert scene.configure(app, path)["msg"] == f"path: {missing}"
            assert scene.configure(app, path, state="absent")["changed"] is False
        options = {"password_file": str(scene.top / "new" / "password")}
        result = scene.configure("postfix", settings_of(scene, "postfix"), check=True, options=options)
        assert warnings_of(result) == [f"options.password_file: {missing} yet: {scene.top}/new"]

    def test_an_owner_that_an_earlier_task_may_make(self, scene: Scene) -> None:
        path = scene.etc / "msmtprc"
        (warning,) = warnings_of(scene.configure("msmtp", path, owner="nobody-knows", check=True))
        assert warning == "owner: there is no nobody-knows on this host yet"
        assert scene.configure("msmtp", path, owner="nobody-knows")["msg"].startswith("owner: there is no nobody-knows")

    def test_check_mode_writes_nothing(self, scene: Scene) -> None:
        path = settings_of(scene, "postfix")
        before = scene.etc.stat().st_mtime_ns
        scene.configure("postfix", path, backup=True, check=True)
        assert (inside(scene.etc), scene.etc.stat().st_mtime_ns) == ({"main.cf": MAIN.encode()}, before)


class TestWhatAFileKeeps:
    ACCESS_LIST = bytes.fromhex(
        "0200000001000600ffffffff02000400e903000004000000ffffffff10000400ffffffff20000000ffffffff"
    )
    """Its owner reads and writes, user 1001 reads, the group and all others may nothing."""

    def test_settings_keep_owner_mode_and_access_list(self, scene: Scene) -> None:
        path = settings_of(scene, "postfix", owner=USER)
        os.setxattr(path, "system.posix_acl_access", self.ACCESS_LIST)
        os.setxattr(path, "user.note", b"mine")
        scene.configure("postfix", path)
        assert owner_and_mode(path) == (USER, 0o640)
        assert os.getxattr(path, "system.posix_acl_access") == self.ACCESS_LIST
        assert os.getxattr(path, "user.note") == b"mine"

    def test_a_file_with_a_password_inherits_nothing_from_its_folder(self, scene: Scene) -> None:
        """Neither an access list nor a group, which the mode would let in."""
        os.setxattr(scene.etc, "system.posix_acl_default", self.ACCESS_LIST)
        os.chown(scene.etc, 0, USER)
        scene.etc.chmod(0o2755)
        path = settings_of(scene, "alertmanager")
        scene.configure("alertmanager", path, mode="0640")
        for password in (scene.etc / "mailroom_password",):
            assert "system.posix_acl_access" not in os.listxattr(password)
            assert (owner_and_mode(password), password.stat().st_gid) == ((0, 0o640), 0)

    def test_a_copy_is_for_the_owner_alone(self, scene: Scene) -> None:
        path = settings_of(scene, "postfix", owner=USER)
        copy = Path(scene.configure("postfix", path, backup=True)["backup_file"])
        assert (copy.read_text(), owner_and_mode(copy), copy.parent) == (MAIN, (USER, 0o600), scene.etc)
