# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths that others prepared, or may still change: security review, finding 7."""

from __future__ import annotations

import errno
import grp
import os
import pwd
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest

from ansible_collections.mailroom.core.plugins.module_utils import _files
from ansible_collections.mailroom.core.plugins.module_utils._files import (
    UnsafePath,
    create_file,
    open_file,
    open_folder,
    trusted_owners,
)

from .strangers import STRANGER, GiveAway
from .strangers import give_away as make_give_away

GROUP = 4_000_000
# Version 2; the owner, user 65534 and the mask may do everything, the group and all others read and enter.
ACCESS_LIST = bytes.fromhex("0200000001000700ffffffff02000700feff000004000500ffffffff10000700ffffffff20000500ffffffff")
STRANGERS_NAME = pwd.getpwuid(STRANGER).pw_name


@pytest.fixture
def give_away(monkeypatch: pytest.MonkeyPatch) -> GiveAway:
    return make_give_away(monkeypatch)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "folder"
    made.mkdir(mode=0o755)
    return made


def others_may_add(path: Path) -> bool:
    with open_folder(str(path), trusted_owners()) as opened:
        assert os.path.samestat(os.fstat(opened.descriptor), path.stat())
        assert opened.path == os.path.realpath(path)
        return opened.others_may_add


def refusal(path: Path) -> str:
    with pytest.raises(UnsafePath) as refused, open_folder(str(path), trusted_owners()):
        pass
    return str(refused.value)


def file_refusal(path: Path, forbidden: int = 0o077) -> str:
    with open_folder(str(path.parent), trusted_owners()) as folder, pytest.raises(UnsafePath) as refused:
        open_file(folder, path.name, os.O_RDONLY, trusted_owners(), forbidden)
    return str(refused.value)


def open_descriptors() -> set[str]:
    return {str(each.readlink()) for each in Path("/proc/self/fd").iterdir() if each.is_symlink()}


class TestFolders:
    @pytest.mark.parametrize("mode", [0o700, 0o755, 0o555, 0o311, 0o2755])
    def test_folder_that_nobody_else_may_write_is_opened(self, folder: Path, mode: int) -> None:
        folder.chmod(mode)
        assert others_may_add(folder) is False

    @pytest.mark.parametrize("mode", [0o1777, 0o1757])
    def test_folder_with_the_sticky_bit_is_opened_as_one_where_others_may_add(self, folder: Path, mode: int) -> None:
        folder.chmod(mode)
        assert others_may_add(folder) is True

    @pytest.mark.parametrize("mode", [0o777, 0o757, 0o2777, 0o707])
    def test_folder_that_everybody_may_write_is_refused(self, folder: Path, mode: int) -> None:
        folder.chmod(mode)
        told = refusal(folder)
        assert told.startswith(f"the folder {folder} is writable by everybody: chmod ")
        assert told.endswith(f"o-w {folder}, or use another folder")

    def test_folder_above_that_everybody_may_write_is_refused(self, folder: Path) -> None:
        (folder / "own").mkdir(mode=0o700)
        folder.chmod(0o777)
        assert f"the folder {folder} is writable by everybody" in refusal(folder / "own")

    def test_own_folder_below_one_with_the_sticky_bit_is_opened(self, folder: Path) -> None:
        (folder / "own").mkdir(mode=0o700)
        folder.chmod(0o1777)
        assert others_may_add(folder / "own") is False

    def test_folder_of_somebody_else_is_refused(self, folder: Path, give_away: GiveAway) -> None:
        give_away(folder)
        assert refusal(folder).endswith(f", but belongs to {STRANGERS_NAME}")

    def test_folder_of_somebody_else_above_is_refused(self, folder: Path, give_away: GiveAway) -> None:
        (folder / "own").mkdir()
        give_away(folder)
        assert refusal(folder / "own").endswith(f", but belongs to {STRANGERS_NAME}")

    def test_owner_that_the_caller_names_is_trusted(self, folder: Path, give_away: GiveAway) -> None:
        give_away(folder)
        with open_folder(str(folder), trusted_owners(STRANGER)) as opened:
            assert opened.path == os.path.realpath(folder)

    def test_relative_path_is_refused(self) -> None:
        assert refusal(Path("folder")) == "folder must be an absolute path"

    def test_missing_folder_is_not_made_unless_asked_for(self, folder: Path) -> None:
        with pytest.raises(FileNotFoundError), open_folder(str(folder / "a" / "b"), trusted_owners()):
            pass
        assert list(folder.iterdir()) == []

    def test_missing_folders_are_made_for_their_owner_alone(self, folder: Path) -> None:
        with open_folder(str(folder / "a" / "b"), trusted_owners(), create=True) as opened:
            assert opened.path == os.path.realpath(folder / "a" / "b")
        assert [each.stat().st_mode & 0o777 for each in (folder / "a", folder / "a" / "b")] == [0o700, 0o700]

    def test_folder_below_a_file_is_an_error_of_the_system(self, folder: Path) -> None:
        (folder / "file").touch()
        with pytest.raises(NotADirectoryError), open_folder(str(folder / "file" / "below"), trusted_owners()):
            pass

    def test_descriptors_are_closed(self, folder: Path) -> None:
        before = open_descriptors()
        others_may_add(folder)
        folder.chmod(0o777)
        refusal(folder)
        assert open_descriptors() == before


class TestGroups:
    """A folder that its group may write: accepted where all members are trusted."""

    @pytest.fixture
    def group(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
        """A group that the tests define: its name, its members, and the users whose primary group it is."""
        folder.chmod(0o775)
        gid = folder.stat().st_gid
        group = SimpleNamespace(gr_name="team", gr_mem=[], primary_of=[])
        user_named = pwd.getpwnam

        def users() -> list[SimpleNamespace]:
            return [SimpleNamespace(pw_uid=user_named(name).pw_uid, pw_gid=gid) for name in group.primary_of]

        monkeypatch.setattr(grp, "getgrgid", lambda _gid: group)
        monkeypatch.setattr(pwd, "getpwall", users)
        return group

    def test_group_with_nobody_else_as_member_is_accepted(self, folder: Path, group: SimpleNamespace) -> None:
        group.gr_mem = ["root"]
        assert others_may_add(folder) is False

    def test_primary_group_of_nobody_else_is_accepted(self, folder: Path, group: SimpleNamespace) -> None:
        group.primary_of = ["root"]
        assert others_may_add(folder) is False

    def test_group_named_after_the_user_is_accepted_without_members(self, folder: Path, group: SimpleNamespace) -> None:
        group.gr_name = "root"
        assert others_may_add(folder) is False

    def test_access_list_with_another_user_is_refused(self, folder: Path, group: SimpleNamespace) -> None:
        """The rights of that user show in the mode as the group's."""
        group.gr_mem = ["root"]
        os.setxattr(folder, "system.posix_acl_access", ACCESS_LIST)
        assert "is writable by its group" in refusal(folder)

    def test_access_list_that_cannot_be_read_is_refused(
        self, folder: Path, group: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_arguments: object) -> bytes:
            raise PermissionError(errno.EACCES, "Permission denied")

        group.gr_mem = ["root"]
        monkeypatch.setattr(os, "getxattr", refuse)
        assert "is writable by its group" in refusal(folder)

    def test_group_without_members_is_refused(self, folder: Path, group: SimpleNamespace) -> None:
        assert (
            refusal(folder)
            == f"the folder {folder} is writable by its group: chmod g-w {folder}, or use another folder"
        )

    def test_group_with_another_member_is_refused(self, folder: Path, group: SimpleNamespace) -> None:
        group.gr_mem = ["root", STRANGERS_NAME]
        assert "is writable by its group" in refusal(folder)

    def test_group_that_is_the_primary_one_of_another_user_is_refused(
        self, folder: Path, group: SimpleNamespace
    ) -> None:
        group.gr_mem, group.primary_of = ["root"], [STRANGERS_NAME]
        assert "is writable by its group" in refusal(folder)

    def test_group_named_after_the_user_with_another_member_is_refused(
        self, folder: Path, group: SimpleNamespace
    ) -> None:
        group.gr_name, group.gr_mem = "root", [STRANGERS_NAME]
        assert "is writable by its group" in refusal(folder)

    def test_group_with_a_member_that_is_no_user_is_refused(self, folder: Path, group: SimpleNamespace) -> None:
        group.gr_mem = ["root", "no such user"]
        assert "is writable by its group" in refusal(folder)

    def test_group_without_a_name_is_refused(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def unknown(gid: int) -> None:
            raise KeyError(gid)

        folder.chmod(0o775)
        monkeypatch.setattr(grp, "getgrgid", unknown)
        assert "is writable by its group" in refusal(folder)


class TestLinks:
    def test_own_link_above_is_followed(self, tmp_path: Path, folder: Path) -> None:
        (folder / "below").mkdir()
        (tmp_path / "link").symlink_to(folder)
        (tmp_path / "relative").symlink_to("link/../link")
        assert others_may_add(tmp_path / "relative" / "below") is False

    def test_link_of_somebody_else_is_refused(self, tmp_path: Path, folder: Path, give_away: GiveAway) -> None:
        (tmp_path / "link").symlink_to(folder)
        give_away(tmp_path / "link")
        assert f"{tmp_path}/link is a symbolic link that belongs to {STRANGERS_NAME}" in refusal(tmp_path / "link")

    def test_own_link_in_a_folder_that_others_may_write_is_refused(self, tmp_path: Path, folder: Path) -> None:
        (folder / "link").symlink_to(tmp_path)
        folder.chmod(0o1777)
        told = refusal(folder / "link")
        assert (
            told == f"{folder}/link is a symbolic link in a folder that others may write to; use the path of its target"
        )

    def test_where_a_link_leads_is_checked_too(self, tmp_path: Path, folder: Path) -> None:
        (folder / "own").mkdir()
        folder.chmod(0o777)
        (tmp_path / "link").symlink_to(folder / "own")
        assert f"the folder {folder} is writable by everybody" in refusal(tmp_path / "link")

    def test_circle_of_links_ends(self, tmp_path: Path) -> None:
        (tmp_path / "a").symlink_to("b")
        (tmp_path / "b").symlink_to("a")
        with pytest.raises(OSError, match="symbolic links"), open_folder(str(tmp_path / "a"), trusted_owners()):
            pass


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


class TestFiles:
    def test_file_is_opened_and_read(self, folder: Path) -> None:
        (folder / "file").touch(mode=0o600)
        (folder / "file").write_text("text")
        with open_folder(str(folder), trusted_owners()) as opened:
            descriptor = open_file(opened, "file", os.O_RDONLY, trusted_owners(), 0o077)
        with os.fdopen(descriptor) as file:
            assert file.read() == "text"

    def test_link_is_refused(self, folder: Path) -> None:
        (folder / "target").touch(mode=0o600)
        (folder / "link").symlink_to("target")
        assert file_refusal(folder / "link") == f"{folder}/link must be a regular file, but is a symbolic link"

    @pytest.mark.parametrize(
        ("make", "kind"), [(os.mkfifo, "a FIFO"), (os.mkdir, "a directory"), (make_socket, "a socket")]
    )
    def test_what_is_no_regular_file_is_refused_at_once(
        self, tmp_path: Path, make: object, kind: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        make(Path("it"))  # type: ignore[operator]
        assert file_refusal(tmp_path / "it") == f"{tmp_path}/it must be a regular file, but is {kind}"

    def test_device_is_refused_without_opening_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        opened = []
        really_open = os.open

        def note(path: str, *arguments: int, **more: int) -> int:
            opened.append(path)
            return really_open(path, *arguments, **more)

        monkeypatch.setattr(os, "open", note)
        assert file_refusal(Path("/dev/zero")) == "/dev/zero must be a regular file, but is a device"
        assert opened == ["/", "dev"]

    def test_file_of_somebody_else_is_refused(self, folder: Path, give_away: GiveAway) -> None:
        (folder / "file").touch(mode=0o600)
        give_away(folder / "file")
        assert file_refusal(folder / "file").endswith(f", but belongs to {STRANGERS_NAME}")

    def test_file_with_a_second_name_is_refused(self, folder: Path) -> None:
        (folder / "file").touch(mode=0o600)
        os.link(folder / "file", folder / "other")
        assert file_refusal(folder / "other") == f"{folder}/other must be a file with one name, but has 2 (hard links)"

    @pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o666])
    def test_file_that_others_may_use_is_refused_where_it_is_to_be_private(self, folder: Path, mode: int) -> None:
        (folder / "file").touch()
        (folder / "file").chmod(mode)
        told = file_refusal(folder / "file")
        assert (
            told
            == f"{folder}/file must not be accessible by others, and its mode is 0{mode:o}: chmod 0600 {folder}/file"
        )

    @pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
    def test_file_that_others_may_write_is_refused(self, folder: Path, mode: int) -> None:
        (folder / "file").touch()
        (folder / "file").chmod(mode)
        told = file_refusal(folder / "file", forbidden=0o022)
        assert (
            told == f"{folder}/file must not be writable by others, and its mode is 0{mode:o}: chmod go-w {folder}/file"
        )

    def test_file_that_is_swapped_for_another_after_the_look_is_refused(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (folder / "file").touch(mode=0o600)
        check, checked = _files.check_file, []

        def swap_after_the_first(*arguments: object) -> None:
            check(*arguments)  # type: ignore[arg-type]
            checked.append(arguments)
            if len(checked) == 1:
                (folder / "file").unlink()
                os.mkfifo(folder / "file", 0o600)

        monkeypatch.setattr(_files, "check_file", swap_after_the_first)
        assert file_refusal(folder / "file") == f"{folder}/file must be a regular file, but is a FIFO"

    @pytest.mark.parametrize("planted", ["file", "link", "fifo"])
    def test_new_file_never_takes_what_is_there(self, folder: Path, planted: str) -> None:
        (folder / "file").touch()
        (folder / "link").symlink_to("elsewhere")
        os.mkfifo(folder / "fifo")
        with open_folder(str(folder), trusted_owners()) as opened, pytest.raises(FileExistsError):
            create_file(opened, planted)
        assert not (folder / "elsewhere").exists()

    def test_new_file_is_for_its_owner_alone(self, folder: Path) -> None:
        with open_folder(str(folder), trusted_owners()) as opened:
            os.close(create_file(opened, "file"))
        assert (folder / "file").stat().st_mode & 0o777 == 0o600
