# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way to a file. What other users put in it is tried in test_hostile_files.py."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.mailroom.core.plugins.module_utils._errors import MailroomError
from ansible_collections.mailroom.core.plugins.module_utils._module.safe_path import Location, locate


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "etc" / "deep").mkdir(parents=True)
    return tmp_path / "etc"


def found(path: Path | str, **more: bool) -> str:
    with locate(str(path), "path", **more) as location:
        assert location.has_folder
        folder = os.stat(os.path.dirname(location.path))  # noqa: PTH116, PTH120
        assert os.path.samestat(location.folder_status(), folder)
        assert os.path.basename(location.path) == location.name  # noqa: PTH119
        return location.path


def refusal(path: Path | str, **more: bool) -> str:
    with pytest.raises(MailroomError) as refused, locate(str(path), "path", **more):
        pass
    return str(refused.value)


@pytest.mark.parametrize(
    "spelling", ["file", "./file", "deep/../file", ".//file/", "deep/../deep/../../etc/file", "/../../../..{0}/file"]
)
def test_all_spellings_lead_to_the_file(folder: Path, spelling: str) -> None:
    path = spelling.format(folder) if spelling.startswith("/") else f"{folder}/{spelling}"
    assert found(path) == f"{folder}/file"


@pytest.mark.parametrize("path", ["/", "/..", "/.", "//", "/etc/.."])
def test_a_path_that_names_no_file_is_refused(path: str) -> None:
    assert refusal(path) == "path: must name a file, not a folder"


def test_up_from_the_target_of_a_link_is_up_from_the_target(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("etc/deep")
    assert found(tmp_path / "link" / ".." / "file") == f"{folder}/file"


def test_a_link_whose_target_is_not_there_is_followed(folder: Path) -> None:
    (folder / "file").symlink_to("deep/other")
    assert found(folder / "file", follow=True) == f"{folder}/deep/other"
    (folder / "link").symlink_to("nowhere")
    assert refusal(folder / "link" / "file") == "path: is in a folder that does not exist"


def test_a_missing_folder_may_be_allowed(folder: Path) -> None:
    with locate(f"{folder}/deep/../a/./b/../c/file", "path", allow_missing_folder=True) as location:
        assert (location.path, location.name) == (f"{folder}/a/c/file", "file")
        assert (location.has_folder, location.status()) == (False, None)
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.open(location.name, os.O_RDONLY, dir_fd=location.folder)


def test_what_is_no_folder_is_named(folder: Path) -> None:
    (folder / "file").touch()
    assert refusal(folder / "file" / "other") == f"path: leads through {folder}/file, which is not a folder"


def test_a_path_that_is_too_long_is_one_sentence(folder: Path) -> None:
    path = folder / ("x" * 300) / "file"
    assert refusal(path) == f"The folder of {path} cannot be opened: File name too long"


def test_no_descriptor_stays_open(folder: Path) -> None:
    (folder / "link").symlink_to(folder)
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    found(folder / "deep" / ".." / "link" / "file")
    refusal(folder / "nowhere" / "file")
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_the_same_file_has_many_names(folder: Path) -> None:
    (folder / "file").touch()
    (folder / "hard").hardlink_to(folder / "file")
    (folder / "link").symlink_to("file")

    def is_one_of(name: str, *paths: Path) -> bool:
        with locate(str(folder / name), "path") as location:
            return location.is_one_of(map(str, paths))

    for other in (folder / "deep" / ".." / "file", folder / "FILE", folder / "hard", folder / "link"):
        assert is_one_of("file", other)
        assert is_one_of("file", folder / "nothing", other)
    assert is_one_of("new", folder / "New")
    assert not is_one_of("new", folder / "file", folder / "deep" / "new", folder / "nowhere" / "new", Path("a\0b"))


def test_two_locations_are_compared_without_their_paths(folder: Path) -> None:
    def same(one: str, other: str) -> bool:
        with locate(str(folder / one), "path") as first, locate(str(folder / other), "path") as second:
            return bool(Location.is_same(first, second))

    assert same("new", "deep/../new")
    assert not same("new", "deep/new")
