# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Find a file without following what somebody else may have put in the way.

Folders are opened one by one, each relative to the one above it. Whatever is done to the file later is done relative to
the folder that is held open, so that nothing can be exchanged between a check and what relies on it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import NoReturn

from .._errors import DeclarationError, MailroomError, Problem

# To pass through a folder takes the right to search it, not to list it.
_OPEN_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MOST_LINKS = 40
_NO_FOLDER = -1


@dataclass(frozen=True)
class Location:
    """A name in a folder that is held open. There may be no file of that name."""

    path: str
    """Without symbolic links, to be shown. Nothing is opened by it."""

    name: str
    folder: int
    """The folder's descriptor. Where there is no folder it is one that no call of the system accepts."""

    @property
    def has_folder(self) -> bool:
        return self.folder != _NO_FOLDER

    def folder_status(self) -> os.stat_result:
        return os.fstat(self.folder)

    def status(self) -> os.stat_result | None:
        """What is there, a symbolic link included; None where there is nothing."""
        return _status(self.name, self.folder) if self.has_folder else None

    def sibling(self, name: str) -> Location:
        return Location(os.path.join(os.path.dirname(self.path), name), name, self.folder)

    def is_same(self, other: Location) -> bool:
        return bool(self._identities() & other._identities())

    def is_one_of(self, paths: Iterable[str]) -> bool:
        """Whether this is one of these files, by whatever name: another spelling, a link or a hard link."""
        own = self._identities()
        return any(own & _identities(path) for path in paths)

    def _identities(self) -> set[_Identity]:
        if not self.has_folder:
            return set()
        status = self.status()
        found = {_identity_in(self.folder_status(), self.name)}
        return found | {_identity_of(status)} if status else found


_Identity = tuple[object, ...]


def _identity_of(status: os.stat_result) -> _Identity:
    return (status.st_dev, status.st_ino)


def _identity_in(folder: os.stat_result, name: str) -> _Identity:
    # There are file systems that tell no small letters from capitals.
    return (folder.st_dev, folder.st_ino, name.casefold())


def _identities(path: str) -> set[_Identity]:
    found = set()
    # ValueError: NUL characters, which the registry itself complains of.
    with suppress(ValueError):
        for spelling in (os.path.abspath(path), os.path.realpath(path)):
            folder, name = os.path.split(spelling)
            with suppress(OSError):
                found.add(_identity_in(os.stat(folder), name))
            with suppress(OSError):
                found.add(_identity_of(os.stat(spelling)))
    return found


@contextmanager
def locate(path: str, option: str, *, follow: bool = False, may_lack_folder: bool = False) -> Iterator[Location]:
    """Open the folder of the file at an absolute path, which this option of the task names.

    A symbolic link above the file is followed only where nobody but root and the running user can exchange it, and one
    in the file's own place only if it is to be followed besides.
    """
    walk = _Walk(path, option)
    try:
        try:
            name = walk.descend(follow=follow, may_lack_folder=may_lack_folder)
        except OSError as error:
            raise MailroomError(f"The folder of {path} cannot be opened: {error.strerror}") from None
        folder = _Folder(walk.missing, _NO_FOLDER) if walk.missing else walk.folders[-1]
        yield Location(os.path.join(folder.path, name), name, folder.descriptor)
    finally:
        walk.close()


@dataclass(frozen=True)
class _Folder:
    path: str
    descriptor: int


class _Walk:
    """The way from the root to the folder of a file; every folder on it stays open until the end."""

    def __init__(self, path: str, option: str) -> None:
        self.folders: list[_Folder] = [_Folder("/", os.open("/", _OPEN_FOLDER))]
        self.missing = ""
        self._parts = _parts(path)
        self._option = option

    def close(self, keep: int = 0) -> None:
        while len(self.folders) > keep:
            os.close(self.folders.pop().descriptor)

    def descend(self, *, follow: bool, may_lack_folder: bool) -> str:
        """Open all folders on the way, and say the name of the file in the last of them."""
        followed = 0
        while self._parts:
            part = self._parts.pop()
            if part == "..":
                # Not asked of the system: somebody may have moved the folder meanwhile.
                self.close(keep=max(1, len(self.folders) - 1))
                continue
            here = self.folders[-1]
            status = _status(part, here.descriptor)
            if status and stat.S_ISLNK(status.st_mode):
                if not self._parts and not follow:
                    link = os.path.join(here.path, part)
                    hint = "followed only with follow: true" if self._option == "path" else "not followed here"
                    self._refuse(f"{link} is a symbolic link, which is {hint}")
                followed += 1
                self._follow(part, status, followed)
            elif not self._parts:
                return part
            elif status is None:
                if not may_lack_folder:
                    self._refuse("is in a folder that does not exist")
                *missing, name = [part, *reversed(self._parts)]
                self.missing = os.path.normpath(os.path.join(here.path, *missing))
                return name
            elif stat.S_ISDIR(status.st_mode):
                descriptor = os.open(part, _OPEN_FOLDER, dir_fd=here.descriptor)
                self.folders.append(_Folder(os.path.join(here.path, part), descriptor))
            else:
                self._refuse(f"leads through {os.path.join(here.path, part)}, which is no folder")
        return self._refuse("must name a file, not a folder")

    def _follow(self, name: str, link: os.stat_result, followed: int) -> None:
        here = self.folders[-1]
        if followed > _MOST_LINKS:
            self._refuse(f"leads through more than {_MOST_LINKS} symbolic links")
        if not self._is_ours_alone(link):
            self._refuse(
                f"leads through the symbolic link {os.path.join(here.path, name)}, which is followed only where it and"
                " every folder above it belong to root or the user that runs the task, and nobody else can write there"
            )
        target = os.readlink(name, dir_fd=here.descriptor)
        if target.startswith("/"):
            self.close(keep=1)
        self._parts += _parts(target)

    def _is_ours_alone(self, link: os.stat_result) -> bool:
        """Whether nobody but root and the running user can put another link in the place of this one."""
        folders = [os.fstat(folder.descriptor) for folder in self.folders]
        return (
            link.st_uid in trusted_users()
            and is_closed(folders[-1], trusted_users())
            and all(
                is_closed(folder, trusted_users())
                # There, only the owner of what is next on the way can move it, and that is seen to as well.
                or (folder.st_uid in trusted_users() and folder.st_mode & stat.S_ISVTX)
                for folder in folders
            )
        )

    def _refuse(self, what: str) -> NoReturn:
        raise DeclarationError([Problem("", self._option, what)])


def trusted_users() -> frozenset[int]:
    """Root and the user that runs the task."""
    return frozenset((0, os.geteuid()))


def is_closed(folder: os.stat_result, users: Collection[int | None]) -> bool:
    """Whether nobody but these users can write a folder. What an access list grants shows in the group's rights."""
    return folder.st_uid in users and not folder.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _status(name: str, folder: int) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _parts(path: str) -> list[str]:
    """The parts of a path, the first of them last."""
    return [part for part in reversed(path.split("/")) if part not in ("", ".")]
