# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A registry and its key among files and folders that somebody else has prepared: security review, finding 7."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Callable

import pytest

from ansible_collections.mailroom.core.plugins.module_utils._errors import (
    MailroomError,
    RegistryError,
    RegistryKeyError,
)
from ansible_collections.mailroom.core.plugins.module_utils._registry.key_source import KeySource
from ansible_collections.mailroom.core.plugins.module_utils._registry.registry import Registry
from ansible_collections.mailroom.core.plugins.module_utils._registry.sqlite import file as sqlite_file
from ansible_collections.mailroom.core.plugins.module_utils._registry.sqlite.storage import SqliteBackend

from ..strangers import GiveAway
from ..strangers import give_away as make_give_away
from .processes import Link, forked
from .samples import KEY, ask_file, declare, entry, everything, folder_content, mode, open_registry, secrets
from .test_sqlite_files import leave_hot_journal

Make = Callable[[Path], object]
SHARED = 0o1777


@pytest.fixture
def give_away(monkeypatch: pytest.MonkeyPatch) -> GiveAway:
    return make_give_away(monkeypatch)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "folder"
    made.mkdir()
    return made


@pytest.fixture
def path(folder: Path) -> Path:
    return folder / "registry.db"


@pytest.fixture
def key_file(path: Path) -> Path:
    return path.with_name("registry.db.key")


def make_registry(path: Path, *names: str) -> Registry:
    """With connectors that have a secret, sealed with the key in the file beside it."""
    registry = open_registry(path, key=None)
    declare(registry, *(entry(name, "swordfish") for name in names or ("a",)))
    return registry


def refusal(use: Callable[[], object], error: type[MailroomError] = RegistryError) -> str:
    with pytest.raises(error) as refused:
        use()
    told = str(refused.value)
    assert told.endswith(".")
    assert "\n" not in told
    return told


def uses(path: Path) -> list[Callable[[], object]]:
    registry = open_registry(path, key=None)
    return [
        registry.exists,
        lambda: everything(registry),
        lambda: declare(registry, entry("new")),
    ]


def make_socket(path: Path) -> None:
    before = Path.cwd()
    os.chdir(path.parent)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path.name)
    os.chdir(before)


NOT_FILES: dict[str, Make] = {
    "a FIFO": os.mkfifo,
    "a socket": make_socket,
    "a directory": Path.mkdir,
    "a symbolic link": lambda path: path.symlink_to("elsewhere"),
}


class TestPlantedRegistry:
    @pytest.mark.parametrize("kind", NOT_FILES)
    def test_what_is_no_regular_file_is_refused_at_once(self, path: Path, kind: str) -> None:
        NOT_FILES[kind](path)
        before = folder_content(path.parent)
        for use in uses(path):
            assert f"{path} must be a regular file, but is {kind}." in refusal(use)
        assert folder_content(path.parent) == before

    def test_link_to_a_registry_is_refused(self, tmp_path: Path, path: Path) -> None:
        target = tmp_path / "another.db"
        make_registry(target)
        before = target.read_bytes()
        path.symlink_to(target)
        for use in uses(path):
            assert "is a symbolic link" in refusal(use)
        assert target.read_bytes() == before

    def test_second_name_of_a_file_is_refused(self, tmp_path: Path, path: Path) -> None:
        target = tmp_path / "another.db"
        make_registry(target)
        os.link(target, path)
        for use in uses(path):
            assert "must be a file with one name" in refusal(use)

    @pytest.mark.parametrize("permissions", [0o666, 0o620, 0o602])
    @pytest.mark.parametrize("is_empty", [True, False])
    def test_file_that_others_may_write_is_refused(self, path: Path, permissions: int, is_empty: bool) -> None:
        if is_empty:
            path.touch()
        else:
            make_registry(path)
        path.chmod(permissions)
        before = path.read_bytes()
        for use in uses(path):
            assert refusal(use).endswith(f"its mode is 0{permissions:o}: chmod go-w {path}.")
        assert path.read_bytes() == before

    @pytest.mark.parametrize("permissions", [0o644, 0o640, 0o600, 0o604])
    def test_file_that_others_may_read_is_used(self, path: Path, permissions: int) -> None:
        make_registry(path)
        path.chmod(permissions)
        declare(open_registry(path, key=None), entry("b"))
        assert list(everything(open_registry(path)).connectors) == ["a", "b"]
        assert mode(path) == permissions

    @pytest.mark.parametrize("is_empty", [True, False])
    def test_file_of_somebody_else_is_refused(self, path: Path, is_empty: bool, give_away: GiveAway) -> None:
        if is_empty:
            path.touch()
        else:
            make_registry(path)
        give_away(path)
        before = path.read_bytes()
        for use in uses(path):
            assert f"{path} must belong to " in refusal(use)
        assert path.read_bytes() == before

    def test_own_empty_file_is_completed(self, path: Path) -> None:
        path.touch(mode=0o600)
        make_registry(path)
        assert list(everything(open_registry(path)).connectors) == ["a"]

    def test_file_that_is_larger_than_any_registry_is_refused(self, path: Path) -> None:
        make_registry(path)
        os.truncate(path, 1 << 40)
        for use in uses(path)[1:]:
            assert refusal(use) == f"{path} is larger than any registry: {1 << 40} bytes."

    @pytest.mark.parametrize("name", ["x" * 256, "x" * 250])
    def test_name_that_leaves_no_room_for_the_journal_is_refused(self, folder: Path, name: str) -> None:
        assert refusal(lambda: declare(open_registry(folder / name), entry("a"))).endswith("File name too long.")
        assert folder_content(folder) == {}

    def test_path_that_is_too_long_for_sqlite_is_refused(self, folder: Path) -> None:
        path = folder.joinpath(*["x" * 100] * 6, "registry.db")
        assert refusal(lambda: declare(open_registry(path), entry("a"))).endswith("File name too long.")


class TestPlantedKeyFile:
    @pytest.mark.parametrize("kind", NOT_FILES)
    def test_what_is_no_regular_file_is_refused_at_once(self, path: Path, key_file: Path, kind: str) -> None:
        NOT_FILES[kind](key_file)
        registry = open_registry(path, key=None)
        told = refusal(lambda: declare(registry, entry("a", "swordfish")), RegistryKeyError)
        assert told == f"registry_key_file {key_file} cannot be used: {key_file} must be a regular file, but is {kind}."
        assert everything(registry).connectors == {}

    def test_link_is_neither_followed_nor_filled(self, tmp_path: Path, path: Path, key_file: Path) -> None:
        target = tmp_path / "target"
        target.touch(mode=0o600)
        key_file.symlink_to(target)
        refusal(lambda: make_registry(path), RegistryKeyError)
        assert target.read_bytes() == b""

    def test_second_name_of_a_file_is_not_filled(self, tmp_path: Path, path: Path, key_file: Path) -> None:
        target = tmp_path / "target"
        target.touch(mode=0o600)
        os.link(target, key_file)
        refusal(lambda: make_registry(path), RegistryKeyError)
        assert target.read_bytes() == b""

    @pytest.mark.parametrize(
        ("permissions", "is_empty"),
        [*((each, False) for each in (0o640, 0o604, 0o620, 0o602, 0o610, 0o601)), (0o604, True)],
    )
    def test_file_that_others_may_use_is_refused(
        self, path: Path, key_file: Path, permissions: int, is_empty: bool
    ) -> None:
        content = "" if is_empty else KEY
        key_file.touch()
        key_file.chmod(permissions)
        key_file.write_text(content)
        told = refusal(lambda: make_registry(path), RegistryKeyError)
        assert told.endswith(f"its mode is 0{permissions:o}: chmod 0600 {key_file}.")
        assert key_file.read_text() == content

    @pytest.mark.parametrize("content", ["", KEY])
    def test_file_of_somebody_else_is_refused(
        self, path: Path, key_file: Path, content: str, give_away: GiveAway
    ) -> None:
        key_file.touch(mode=0o600)
        key_file.write_text(content)
        give_away(key_file)
        assert "must belong to" in refusal(lambda: make_registry(path), RegistryKeyError)
        assert key_file.read_text() == content

    def test_own_empty_file_is_filled(self, path: Path, key_file: Path) -> None:
        key_file.touch(mode=0o600)
        assert secrets(make_registry(path), "a") == {"smtp.password": "swordfish"}

    @pytest.mark.parametrize("path", ["key", "./key", "", "/tmp/", "~/key", "/tmp/a\0b"])
    def test_what_is_no_absolute_path_of_a_file_is_refused(self, path: str) -> None:
        source = KeySource(None, path)
        for use in (source.ring, source.make, source.check_file):
            assert "must be the absolute path of a file" in refusal(use, RegistryKeyError)


class TestFolders:
    @pytest.mark.parametrize("permissions", [0o777, 0o2777, 0o757])
    def test_folder_that_others_may_write_is_refused(self, folder: Path, path: Path, permissions: int) -> None:
        make_registry(path)
        folder.chmod(permissions)
        for use in uses(path):
            told = refusal(use)
            assert f"the folder {folder} is writable by everybody: chmod " in told
        assert f"the folder {folder} is writable" in refusal(lambda: open_registry(path).exclusive().__enter__())

    def test_folder_above_that_others_may_write_is_refused(self, folder: Path) -> None:
        path = folder / "own" / "registry.db"
        make_registry(path)
        folder.chmod(0o777)
        for use in uses(path):
            assert f"the folder {folder} is writable by everybody" in refusal(use)

    def test_folder_of_somebody_else_is_refused(self, folder: Path, path: Path, give_away: GiveAway) -> None:
        make_registry(path)
        give_away(folder)
        for use in uses(path):
            assert f"the folder {folder} must belong to" in refusal(use)

    def test_key_file_in_a_folder_that_others_may_write_is_refused(self, tmp_path: Path, folder: Path) -> None:
        registry = Registry(SqliteBackend(str(tmp_path / "registry.db")), KeySource(None, str(folder / "key")))
        folder.chmod(0o777)
        told = refusal(lambda: declare(registry, entry("a", "swordfish")), RegistryKeyError)
        assert told.startswith(f"registry_key_file {folder}/key cannot be used: the folder {folder} is writable")
        assert folder_content(folder) == {}

    def test_nothing_is_made_below_a_folder_that_others_may_write(self, folder: Path) -> None:
        folder.chmod(0o777)
        refusal(lambda: declare(open_registry(folder / "a" / "b" / "registry.db"), entry("a")))
        assert folder_content(folder) == {}

    def test_link_above_is_followed_where_nobody_else_may_change_it(self, tmp_path: Path, folder: Path) -> None:
        (tmp_path / "link").symlink_to(folder)
        make_registry(tmp_path / "link" / "registry.db")
        assert secrets(open_registry(folder / "registry.db", key=None), "a") == {"smtp.password": "swordfish"}

    def test_link_above_of_somebody_else_is_refused(self, tmp_path: Path, folder: Path, give_away: GiveAway) -> None:
        (tmp_path / "link").symlink_to(folder)
        give_away(tmp_path / "link")
        for use in uses(tmp_path / "link" / "registry.db"):
            assert f"{tmp_path}/link is a symbolic link that belongs to" in refusal(use)

    def test_setgid_folder_is_used(self, folder: Path, path: Path) -> None:
        folder.chmod(0o2750)
        make_registry(path)
        assert secrets(open_registry(path, key=None), "a") == {"smtp.password": "swordfish"}


@pytest.fixture
def evil_journal(tmp_path: Path) -> bytes:
    """A journal that turns any registry of the same size into one whose connector is named evil."""
    other = tmp_path / "evil" / "registry.db"
    make_registry(other, "evil")
    leave_hot_journal(other)
    return other.with_name("registry.db-journal").read_bytes()


@pytest.fixture
def evil_log(tmp_path: Path) -> bytes:
    """A write-ahead log that does the same."""
    other = tmp_path / "logged" / "registry.db"
    make_registry(other, "other")
    with closing(sqlite3.connect(other, isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("UPDATE connector SET name = 'evil'")
        return other.with_name("registry.db-wal").read_bytes()


@pytest.fixture
def planted(evil_journal: bytes, evil_log: bytes) -> dict[str, bytes]:
    return {"-journal": evil_journal, "-wal": evil_log}


class TestPlantedJournals:
    """What lies beside the registry under the names of SQLite's own files."""

    @pytest.mark.parametrize("permissions", [0o755, SHARED])
    @pytest.mark.parametrize("suffix", ["-journal", "-wal"])
    def test_journal_of_somebody_else_is_not_played_back(
        self, path: Path, permissions: int, suffix: str, planted: dict[str, bytes], give_away: GiveAway
    ) -> None:
        make_registry(path)
        path.parent.chmod(permissions)
        beside = Path(f"{path}{suffix}")
        beside.write_bytes(planted[suffix])
        give_away(beside)
        before = path.read_bytes()
        for use in uses(path)[1:]:
            assert f"{beside} must belong to" in refusal(use)
        assert path.read_bytes() == before

    @pytest.mark.parametrize(
        ("suffix", "kind"),
        [("-journal", kind) for kind in NOT_FILES] + [("-wal", "a symbolic link"), ("-shm", "a FIFO")],
    )
    def test_what_is_no_regular_file_is_refused(self, path: Path, suffix: str, kind: str) -> None:
        make_registry(path)
        NOT_FILES[kind](Path(f"{path}{suffix}"))
        before = folder_content(path.parent)
        for use in uses(path)[1:]:
            assert f"{path}{suffix} must be a regular file, but is {kind}" in refusal(use)
        assert folder_content(path.parent) == before

    def test_journal_that_others_may_write_is_refused(self, path: Path, evil_journal: bytes) -> None:
        make_registry(path)
        journal = path.with_name("registry.db-journal")
        journal.write_bytes(evil_journal)
        journal.chmod(0o666)
        for use in uses(path)[1:]:
            assert f"{journal} must not be writable by others" in refusal(use)

    def test_own_journal_is_played_back(self, path: Path) -> None:
        registry = make_registry(path)
        leave_hot_journal(path)
        assert list(everything(registry).connectors) == ["a"]
        assert folder_content(path.parent).keys() == {"registry.db", "registry.db.key"}


class TestFolderThatEverybodyMayAddTo:
    """With the sticky bit, as /tmp has it: nobody removes what is there, and everybody makes what is not."""

    @pytest.fixture(autouse=True)
    def shared(self, folder: Path) -> None:
        folder.chmod(SHARED)

    def test_registry_is_made_and_used(self, path: Path, key_file: Path) -> None:
        make_registry(path)
        declare(open_registry(path, key=None), entry("b", "second"))
        assert secrets(open_registry(path, key=None), "b") == {"smtp.password": "second"}
        assert (mode(path), mode(key_file)) == (0o600, 0o600)
        assert ask_file(path, "PRAGMA integrity_check") == [("ok",)]

    def test_names_of_journal_and_log_stay_taken(self, folder: Path, path: Path) -> None:
        make_registry(path)
        taken = ("registry.db-journal", "registry.db-wal")
        assert {name: (folder / name).read_bytes() for name in taken} == dict.fromkeys(taken, b"")
        assert {mode(folder / name) for name in taken} == {0o600}

    def test_reader_without_write_permission_makes_no_files(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Files of another user beside it would keep the owner from using the registry."""
        registry = make_registry(path)
        for suffix in ("-journal", "-wal"):
            path.with_name(path.name + suffix).unlink()
        before = folder_content(path.parent)
        monkeypatch.setattr(os, "access", lambda _path, mode, **_how: not mode & os.W_OK)
        assert list(everything(registry).connectors) == ["a"]
        assert folder_content(path.parent) == before

    def test_own_journal_is_played_back_and_stays(self, path: Path) -> None:
        registry = make_registry(path)
        leave_hot_journal(path)
        inode = path.with_name("registry.db-journal").stat().st_ino
        assert list(everything(registry).connectors) == ["a"]
        assert path.with_name("registry.db-journal").stat().st_ino == inode
        declare(registry, entry("b"))
        assert path.with_name("registry.db-journal").stat().st_ino == inode

    def test_nobody_gets_a_journal_in_between(self, path: Path, planted: dict[str, bytes], stride: int) -> None:
        """Somebody tries all the time, while the registry is read, changed, and recovered after a crash."""

        def keep_trying(link: Link) -> None:
            link.tell()
            while True:
                for suffix, content in planted.items():
                    with suppress(FileExistsError):
                        descriptor = os.open(f"{path}{suffix}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
                        os.write(descriptor, content)
                        link.tell(suffix)
                        os._exit(1)

        registry = make_registry(path)
        with forked(keep_trying) as stranger:
            stranger.hear()
            for turn in range(60 // stride):
                declare(registry, entry(f"c{turn}"))
                everything(registry)
                if turn % 5 == 0:
                    leave_hot_journal(path)
            stranger.kill()
            assert stranger.hear_all() == []
        assert len(everything(registry).connectors) == 1 + 60 // stride

    def test_log_is_not_read_by_a_reader_who_may_not_write_the_folder(
        self, path: Path, evil_log: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Where nothing can be made in the folder a log may still come between the look at it and the opening."""
        make_registry(path)
        for suffix in ("-journal", "-wal"):
            Path(f"{path}{suffix}").unlink()

        def refuse(*_arguments: object) -> int:
            raise PermissionError(13, "Permission denied")

        connect = sqlite3.connect

        def plant_and_connect(*arguments: object, **more: object) -> sqlite3.Connection:
            Path(f"{path}-wal").write_bytes(evil_log)
            return connect(*arguments, **more)  # type: ignore[arg-type, no-any-return]

        monkeypatch.setattr(sqlite_file, "create_file", refuse)
        monkeypatch.setattr(os, "access", lambda _path, way: way == os.R_OK)
        monkeypatch.setattr(sqlite3, "connect", plant_and_connect)
        before = path.read_bytes()
        assert f"The registry {path} cannot be read: " in refusal(lambda: everything(open_registry(path)))
        assert path.read_bytes() == before

    @pytest.mark.parametrize("name", ["registry.db", "registry.db.key", "registry.db-journal", "registry.db-wal"])
    def test_empty_file_that_somebody_else_has_put_there_is_refused(
        self, folder: Path, path: Path, name: str, give_away: GiveAway
    ) -> None:
        (folder / name).touch(mode=0o600)
        give_away(folder / name)
        told = refusal(lambda: make_registry(path), MailroomError)
        assert f"{folder / name} must belong to" in told
        assert (folder / name).read_bytes() == b""


def test_copy_of_a_registry_keeps_working_elsewhere(path: Path, tmp_path: Path) -> None:
    """What shutil.copy2 keeps is what is checked."""
    make_registry(path)
    other = tmp_path / "copy"
    shutil.copytree(path.parent, other)
    assert secrets(open_registry(other / "registry.db", key=None), "a") == {"smtp.password": "swordfish"}
