# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Writes the files of a task: replaces all of them, or none.

A file is never changed in place: a new file gets content, owner and mode before it is renamed to the target. All
operations use descriptors, so that no link can redirect them.
"""

from __future__ import annotations

import fcntl
import os
import re
import stat
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from .._errors import MailroomError
from .._files import NO_UNNAMED_FILES, not_writable
from .attributes import PRIVATE_MODE, FileAttributes, WantedAttributes, read_attributes
from .safe_path import Location, trusted_users
from .task import Task

_MAX_BYTES = 1024 * 1024
_TEMPORARY = re.compile(r"\.mailroom-[0-9a-f]{16}\.tmp\Z")
_KINDS = {
    stat.S_IFDIR: "Is a directory",
    stat.S_IFLNK: "Is a symbolic link",
    stat.S_IFIFO: "Is a named pipe",
    stat.S_IFSOCK: "Is a socket",
    stat.S_IFCHR: "Is a device",
    stat.S_IFBLK: "Is a device",
}


_PUBLIC_MODE = 0o644

Access = Literal["private", "restricted", "unchanged"]


@dataclass(frozen=True)
class FileContent:
    """The content and attributes of a file."""

    text: str = field(repr=False)
    """The text; bytes that are not UTF-8 are kept as surrogates."""

    status: os.stat_result
    attributes: FileAttributes


@dataclass(frozen=True)
class FileChange:
    """The current file and the text to write, each None for no file, and the texts for the diff."""

    location: Location
    before: FileContent | None
    after: str | None = field(repr=False)
    diff_texts: tuple[str, str]
    access: Access = "unchanged"
    """Whether owner, group and mode are those of the task, stay as they are, or are those of a file of others that now
    holds a secret: what the task gives, else as they are without access for everybody."""

    @property
    def differs(self) -> bool:
        return self.after != (self.before.text if self.before else None)

    def diff(self) -> dict[str, str]:
        before, after = self.diff_texts
        return {
            "before_header": self.location.path,
            "after_header": self.location.path,
            "before": before,
            "after": after,
        }


def read_file(location: Location, owner: int | None) -> FileContent | None:
    """Read a regular file that the task may replace, None where there is no file.

    In a folder that others can write to, it must belong to root, the running user, the folder's owner or `owner`.
    """
    path = location.path
    try:
        found = location.status()
        if found is None:
            return None
        # Checked before opening, since opening a pipe or a device may block or have side effects.
        _check_file(location, found, owner)
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        with os.fdopen(os.open(location.name, flags, dir_fd=location.folder), "rb") as file:
            status = os.fstat(file.fileno())
            _check_file(location, status, owner)
            attributes = read_attributes(file.fileno())
            content = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise MailroomError(f"{path} cannot be read: {error.strerror}") from None
    if len(content) > _MAX_BYTES:
        raise MailroomError(f"{path} cannot be read: it is larger than {_MAX_BYTES // 1024} KiB")
    return FileContent(content.decode("utf-8", "surrogateescape"), status, attributes)


def _check_file(location: Location, status: os.stat_result, owner: int | None) -> None:
    path = location.path
    if not stat.S_ISREG(status.st_mode):
        raise MailroomError(
            f"{path} cannot be read: {_KINDS.get(stat.S_IFMT(status.st_mode), 'Is not a regular file')}"
        )
    if status.st_nlink > 1:
        raise MailroomError(f"{path} is refused: it has further names (hard links), make it a file with one name")
    folder = location.folder_status()
    is_shared = bool(folder.st_mode & (stat.S_IWGRP | stat.S_IWOTH))
    if is_shared and status.st_uid not in {*trusted_users(), folder.st_uid, owner}:
        raise MailroomError(
            f"{path} is refused: others than its owner can write to the folder, so the file must belong to root, the"
            " user that runs the task, the owner of the folder or the owner that the task names"
        )


class _Replacement(NamedTuple):
    """A file to write or, without text, to remove."""

    location: Location
    text: str | None
    attributes: FileAttributes
    before: FileContent | None


def write_files(
    module: Task, changes: Sequence[FileChange], wanted: WantedAttributes, backup: FileChange | None = None
) -> dict[str, Any]:
    """Apply changes to files, except in check mode, and return what differs.

    With `backup`, a copy of that file is kept if it changes.
    """
    differing = [change for change in changes if change.differs]
    diffs: list[dict[str, Any]] = [change.diff() for change in differing]
    replacements = []
    for change in changes:
        attributes = _attributes_after(module, change, wanted)
        if change.before and not change.differs and attributes != change.before.attributes:
            header = f"{change.location.path} (file attributes)"
            before, after = change.before.attributes.difference(attributes)
            diffs.append({"before_header": header, "after_header": header, "before": before, "after": after})
        elif not change.differs:
            continue
        replacements.append(_Replacement(change.location, change.after, attributes, change.before))
    result: dict[str, Any] = {"changed": bool(diffs), "diff": diffs}
    if module.check_mode:
        for replacement in replacements:
            _check_writable(replacement)
        return result
    _remove_leftovers([change.location for change in changes], wanted.owner)
    if backup and backup.differs and backup.before:
        copy = _plan_backup(backup.location, backup.before)
        replacements.insert(0, copy)
        result["backup_file"] = copy.location.path
    _replace_files(replacements)
    return result


def _attributes_after(module: Task, change: FileChange, wanted: WantedAttributes) -> FileAttributes:
    if change.before and (change.after is None or change.access == "unchanged"):
        return change.before.attributes
    if change.before and change.access == "restricted":
        return wanted.for_shared_file(change.before.attributes)
    if change.before and not change.differs:
        return wanted.for_existing_file(change.before.attributes)
    if change.access == "unchanged":
        # The task's options are about the file of the password, and this one holds none.
        wanted = WantedAttributes(None, None, _PUBLIC_MODE)
    return wanted.for_new_file(module, change.location.path)


def _plan_backup(location: Location, before: FileContent) -> _Replacement:
    """The backup copy, named like Ansible's backups unless that file exists."""
    start, end = f"{location.name}.{os.getpid()}", time.strftime("%Y-%m-%d@%H:%M:%S~")
    copy = location.sibling(f"{start}.{end}")
    with _translate_os_errors(copy.path):
        if copy.status():
            copy = location.sibling(f"{start}.{os.urandom(4).hex()}.{end}")
    return _Replacement(copy, before.text, before.attributes.for_private_copy(), None)


def _replace_files(replacements: Sequence[_Replacement]) -> None:
    """Write all files, then rename them to their targets. If one fails, those before it are rolled back."""
    with ExitStack() as files:
        new = [
            _create_file(files, replacement.location, replacement.text, replacement.attributes)
            for replacement in replacements
        ]
        previous = [
            _create_file(files, replacement.location, replacement.before.text, replacement.before.attributes)
            if replacement.before
            else None
            for replacement in replacements[:-1]
        ]
        done = 0
        try:
            for replacement, file in zip(replacements, new):
                _check_unchanged(replacement.location, replacement.before)
                _replace(replacement.location, file, replaces_file=replacement.before is not None)
                done += 1
        except BaseException:
            for replacement, file in reversed([*zip(replacements[:done], previous)]):
                _replace(replacement.location, file, replaces_file=replacement.text is not None)
            raise


def _create_file(files: ExitStack, location: Location, text: str | None, attributes: FileAttributes) -> _NewFile | None:
    if text is None:
        return None
    with _translate_os_errors(location.path):
        file = _NewFile(location)
        files.callback(file.close)
        file.write(text.encode("utf-8", "surrogateescape"), attributes)
    return file


def _replace(location: Location, file: _NewFile | None, *, replaces_file: bool) -> None:
    with _translate_os_errors(location.path):
        if file:
            file.rename_to_target(replaces_file=replaces_file)
        else:
            os.unlink(location.name, dir_fd=location.folder)


class _NewFile:
    """A file that gets its name when it is complete.

    Until then it has no name (O_TMPFILE), so that it vanishes when the task is killed. Where this is not supported, and
    while it replaces an existing file, it has a temporary name, by which a later task finds and removes leftovers.
    """

    def __init__(self, location: Location) -> None:
        self._location = location
        self._temporary = ""
        descriptor = _open_unnamed(location)
        if descriptor is None:
            name = _temporary_name()
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(name, flags, PRIVATE_MODE, dir_fd=location.folder)
            self._temporary = name
        self._descriptor = descriptor

    def write(self, content: bytes, attributes: FileAttributes) -> None:
        with suppress(OSError):
            # The lock tells tasks that look for leftovers that this file is in use.
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        left = memoryview(content)
        while left:
            left = left[os.write(self._descriptor, left) :]
        attributes.apply(self._descriptor)
        os.fsync(self._descriptor)

    def rename_to_target(self, *, replaces_file: bool) -> None:
        folder, name = self._location.folder, self._location.name
        if not self._temporary:
            link = _temporary_name() if replaces_file else name
            os.link(f"/proc/self/fd/{self._descriptor}", link, dst_dir_fd=folder, follow_symlinks=True)
            if not replaces_file:
                return
            self._temporary = link
        os.rename(self._temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        self._temporary = ""

    def close(self) -> None:
        os.close(self._descriptor)
        if self._temporary:
            with suppress(OSError):
                os.unlink(self._temporary, dir_fd=self._location.folder)


def _temporary_name() -> str:
    return f".mailroom-{os.urandom(8).hex()}.tmp"


def _open_unnamed(location: Location) -> int | None:
    """Open a new file without a name, or None where this is not supported or it could not be named later."""
    unnamed = getattr(os, "O_TMPFILE", None)
    if unnamed is None or not os.path.isdir("/proc/self/fd"):
        return None
    try:
        return os.open(".", unnamed | os.O_WRONLY | os.O_CLOEXEC, PRIVATE_MODE, dir_fd=location.folder)
    except OSError as error:
        if error.errno in NO_UNNAMED_FILES:
            return None
        raise


def _check_unchanged(location: Location, before: FileContent | None) -> None:
    """Fail where a file was changed or replaced since it was read."""
    with _translate_os_errors(location.path):
        now = location.status()
    if _file_version(now) != _file_version(before.status if before else None):
        raise MailroomError(f"{location.path} was changed by another process during this task: run the task again")


def _file_version(status: os.stat_result | None) -> tuple[int, ...]:
    if status is None:
        return ()
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _check_writable(replacement: _Replacement) -> None:
    """Fail where a file could not be written or replaced, without changing anything: attributes are tried on a file
    without a name.
    """
    location, before = replacement.location, replacement.before
    if not location.has_folder:
        return
    with _translate_os_errors(location.path):
        descriptor = None if replacement.text is None else _open_unnamed(location)
        if descriptor is not None:
            try:
                replacement.attributes.apply(descriptor)
            finally:
                os.close(descriptor)
    user, folder = os.geteuid(), location.folder_status()
    is_writable = os.access(".", os.W_OK | os.X_OK, dir_fd=location.folder)
    if before:
        if folder.st_mode & stat.S_ISVTX and user not in (0, folder.st_uid, before.status.st_uid):
            is_writable = False
        # Root may write every file except immutable ones, which cannot be replaced either.
        if user == 0 and not os.access(location.name, os.W_OK, dir_fd=location.folder):
            is_writable = False
    if not is_writable:
        raise MailroomError(f"{location.path} cannot be written: {not_writable(location.folder).strerror}")


def _remove_leftovers(locations: Iterable[Location], owner: int | None) -> None:
    """Remove temporary files of killed tasks from these folders; files that are locked are in use."""
    folders = {}
    for each in locations:
        if each.has_folder:
            status = each.folder_status()
            folders[status.st_dev, status.st_ino] = each
    for location in folders.values():
        with suppress(OSError):
            listed = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=location.folder)
            try:
                names = [name for name in os.listdir(listed) if _TEMPORARY.match(name)]
            finally:
                os.close(listed)
            for name in names:
                _remove_leftover(location.sibling(name), owner)


def _remove_leftover(location: Location, owner: int | None) -> None:
    with suppress(OSError, MailroomError), ExitStack() as stack:
        found = location.status()
        if found is None:
            return
        _check_file(location, found, owner)
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        descriptor = os.open(location.name, flags, dir_fd=location.folder)
        stack.callback(os.close, descriptor)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(location.name, dir_fd=location.folder)


@contextmanager
def _translate_os_errors(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise MailroomError(f"{path} cannot be written: {error.strerror}") from None
