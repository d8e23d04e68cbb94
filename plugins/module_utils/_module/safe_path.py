# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Opens the folder of a file without following links that other users may have put into the path.

Folders are opened one by one, each relative to the one above it. All later operations on the file are relative to the
open folder, so that nothing can be replaced between a check and its use.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import NoReturn

from .._errors import DeclarationError, MailroomError, Problem

# To traverse a folder requires the permission to search it, not to list it.
_OPEN_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MAX_LINKS = 40
_NO_FOLDER = -1


@dataclass(frozen=True)
class Location:
    """A file name in an open folder. The file may not exist."""

    path: str
    """The path without symbolic links, for messages only."""

    name: str
    folder: int
    """The descriptor of the folder; -1, which no system call accepts, where there is no folder."""

    @property
    def has_folder(self) -> bool:
        return self.folder != _NO_FOLDER

    def folder_status(self) -> os.stat_result:
        return os.fstat(self.folder)

    def status(self) -> os.stat_result | None:
        """The status of the file, without following a symbolic link; None where it does not exist."""
        return _status(self.name, self.folder) if self.has_folder else None

    def sibling(self, name: str) -> Location:
        return Location(os.path.join(os.path.dirname(self.path), name), name, self.folder)

    def is_same(self, other: Location) -> bool:
        return bool(self._identities() & other._identities())

    def is_one_of(self, paths: Iterable[str]) -> bool:
        """Whether this is one of these files, also under another path, symbolic link or hard link."""
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
    # Some file systems ignore case.
    return (folder.st_dev, folder.st_ino, name.casefold())


def _identities(path: str) -> set[_Identity]:
    found = set()
    # ValueError: NUL characters, which the registry itself reports.
    with suppress(ValueError):
        for spelling in (os.path.abspath(path), os.path.realpath(path)):
            folder, name = os.path.split(spelling)
            with suppress(OSError):
                found.add(_identity_in(os.stat(folder), name))
            with suppress(OSError):
                found.add(_identity_of(os.stat(spelling)))
    return found


@contextmanager
def locate(path: str, option: str, *, follow: bool = False, allow_missing_folder: bool = False) -> Iterator[Location]:
    """Open the folder of the file at an absolute path; messages name `option`.

    A symbolic link above the file is followed only where nobody but root and the running user can replace it, and the
    file itself may only be such a link with `follow`.
    """
    resolver = _PathResolver(path, option)
    try:
        try:
            name = resolver.resolve(follow=follow, allow_missing_folder=allow_missing_folder)
        except OSError as error:
            raise MailroomError(f"The folder of {path} cannot be opened: {error.strerror}") from None
        folder = _Folder(resolver.missing, _NO_FOLDER) if resolver.missing else resolver.folders[-1]
        yield Location(os.path.join(folder.path, name), name, folder.descriptor)
    finally:
        resolver.close()


@dataclass(frozen=True)
class _Folder:
    path: str
    descriptor: int


class _PathResolver:
    """Resolves a path from the root to the folder of a file; every folder on it stays open until the end."""

    def __init__(self, path: str, option: str) -> None:
        self.folders: list[_Folder] = [_Folder("/", os.open("/", _OPEN_FOLDER))]
        self.missing = ""
        self._remaining = _split_path(path)
        self._option = option

    def close(self, keep: int = 0) -> None:
        while len(self.folders) > keep:
            os.close(self.folders.pop().descriptor)

    def resolve(self, *, follow: bool, allow_missing_folder: bool) -> str:
        """Open all folders of the path, and return the name of the file in the last of them."""
        followed = 0
        while self._remaining:
            part = self._remaining.pop()
            if part == "..":
                # The parent is not looked up, since somebody may have moved the folder since it was opened.
                self.close(keep=max(1, len(self.folders) - 1))
                continue
            folder = self.folders[-1]
            status = _status(part, folder.descriptor)
            if status and stat.S_ISLNK(status.st_mode):
                if not self._remaining and not follow:
                    link = os.path.join(folder.path, part)
                    hint = "followed only with follow: true" if self._option == "path" else "not followed here"
                    self._fail(f"{link} is a symbolic link, which is {hint}")
                followed += 1
                self._follow_link(part, status, followed)
            elif not self._remaining:
                return part
            elif status is None:
                if not allow_missing_folder:
                    self._fail("is in a folder that does not exist")
                *missing, name = [part, *reversed(self._remaining)]
                self.missing = os.path.normpath(os.path.join(folder.path, *missing))
                return name
            elif stat.S_ISDIR(status.st_mode):
                descriptor = os.open(part, _OPEN_FOLDER, dir_fd=folder.descriptor)
                self.folders.append(_Folder(os.path.join(folder.path, part), descriptor))
            else:
                self._fail(f"leads through {os.path.join(folder.path, part)}, which is not a folder")
        return self._fail("must name a file, not a folder")

    def _follow_link(self, name: str, link: os.stat_result, followed: int) -> None:
        folder = self.folders[-1]
        if followed > _MAX_LINKS:
            self._fail(f"leads through more than {_MAX_LINKS} symbolic links")
        if not self._is_trusted_link(link):
            self._fail(
                f"leads through the symbolic link {os.path.join(folder.path, name)}, which is followed only where it"
                " and every folder above it belong to root or the user that runs the task, and nobody else can write"
                " there"
            )
        target = os.readlink(name, dir_fd=folder.descriptor)
        if target.startswith("/"):
            self.close(keep=1)
        self._remaining += _split_path(target)

    def _is_trusted_link(self, link: os.stat_result) -> bool:
        """Whether nobody but root and the running user can replace this link."""
        folders = [os.fstat(folder.descriptor) for folder in self.folders]
        return (
            link.st_uid in trusted_users()
            and is_writable_only_by(folders[-1], trusted_users())
            and all(
                is_writable_only_by(folder, trusted_users())
                # With the sticky bit only the owner of the next folder can move it, and that owner is checked too.
                or (folder.st_uid in trusted_users() and folder.st_mode & stat.S_ISVTX)
                for folder in folders
            )
        )

    def _fail(self, what: str) -> NoReturn:
        raise DeclarationError([Problem("", self._option, what)])


def trusted_users() -> frozenset[int]:
    """Root and the user that runs the task."""
    return frozenset((0, os.geteuid()))


def is_writable_only_by(folder: os.stat_result, users: Collection[int | None]) -> bool:
    """Whether only these users can write to a folder. Rights of an access list show in the group bits of the mode."""
    return folder.st_uid in users and not folder.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _status(name: str, folder: int) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _split_path(path: str) -> list[str]:
    """The names in a path, in reverse order."""
    return [part for part in reversed(path.split("/")) if part not in ("", ".")]
