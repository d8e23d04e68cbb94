# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Files that a task writes: all of them replaced, or none.

A file is never changed where it lies. A new one gets its content, its owner and its mode while nobody looks for it, and
then takes the name. Everything is done through descriptors, so that no link can lead it elsewhere.
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
from .attributes import PRIVATE_MODE, FileAttributes, WantedAttributes, attributes_of
from .safe_path import Location, trusted_users
from .task import Task

_MOST_BYTES = 1024 * 1024
_TEMPORARY = re.compile(r"\.mailroom-[0-9a-f]{16}\.tmp\Z")
_KINDS = {
    stat.S_IFDIR: "Is a directory",
    stat.S_IFLNK: "Is a symbolic link",
    stat.S_IFIFO: "Is a named pipe",
    stat.S_IFSOCK: "Is a socket",
    stat.S_IFCHR: "Is a device",
    stat.S_IFBLK: "Is a device",
}


Access = Literal["private", "restricted", "unchanged"]


@dataclass(frozen=True)
class FileContent:
    """A file as it was read."""

    text: str = field(repr=False)
    """What is no UTF-8 in it is kept."""

    status: os.stat_result
    attributes: FileAttributes


@dataclass(frozen=True)
class FileChange:
    """A file as it is and its text as it is to be, None where there is no file; and what of it is shown."""

    location: Location
    before: FileContent | None
    after: str | None = field(repr=False)
    shown: tuple[str, str]
    access: Access = "unchanged"
    """Whether owner, group and mode are those of the task, stay as they are, or are those of a file of others that now
    holds a secret: what the task gives, else as they are without access for everybody."""

    @property
    def differs(self) -> bool:
        return self.after != (self.before.text if self.before else None)

    def diff(self) -> dict[str, str]:
        before, after = self.shown
        return {
            "before_header": self.location.path,
            "after_header": self.location.path,
            "before": before,
            "after": after,
        }


def read_file(location: Location, owner: int | None) -> FileContent | None:
    """Read a regular file that the task may replace, None where there is no file.

    In a folder that several can write, it must belong to root, the running user, the folder's or the task's owner.
    """
    path = location.path
    try:
        found = location.status()
        if found is None:
            return None
        # A pipe or a device is not even opened.
        _check_file(location, found, owner)
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        with os.fdopen(os.open(location.name, flags, dir_fd=location.folder), "rb") as file:
            status = os.fstat(file.fileno())
            _check_file(location, status, owner)
            attributes = attributes_of(file.fileno())
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise MailroomError(f"{path} cannot be read: {error.strerror}") from None
    if len(content) > _MOST_BYTES:
        raise MailroomError(f"{path} cannot be read: it is larger than {_MOST_BYTES // 1024} KiB")
    return FileContent(content.decode("utf-8", "surrogateescape"), status, attributes)


def _check_file(location: Location, status: os.stat_result, owner: int | None) -> None:
    path = location.path
    if not stat.S_ISREG(status.st_mode):
        raise MailroomError(
            f"{path} cannot be read: {_KINDS.get(stat.S_IFMT(status.st_mode), 'Is not a regular file')}"
        )
    if status.st_nlink > 1:
        raise MailroomError(f"{path} is left alone: it has other names besides (hard links), make it a file of its own")
    folder = location.folder_status()
    is_shared = bool(folder.st_mode & (stat.S_IWGRP | stat.S_IWOTH))
    if is_shared and status.st_uid not in {*trusted_users(), folder.st_uid, owner}:
        raise MailroomError(
            f"{path} is left alone: others than its owner can write the folder, and the file belongs neither to root or"
            " the user that runs the task, nor to the owner of the folder or the one that the task names"
        )


class _Step(NamedTuple):
    """A file that takes a name, in place of the one that was read there if there was one; or a name that goes."""

    location: Location
    text: str | None
    attributes: FileAttributes
    before: FileContent | None


def write_files(
    module: Task, changes: Sequence[FileChange], wanted: WantedAttributes, backup: FileChange | None = None
) -> dict[str, Any]:
    """Make the files what they are to be, except in check mode, and say what differs.

    Of the file of one change a copy is kept, if asked for and if it changes.
    """
    differing = [change for change in changes if change.differs]
    diffs: list[dict[str, Any]] = [change.diff() for change in differing]
    steps = []
    for change in changes:
        attributes = _attributes_after(module, change, wanted)
        if change.before and not change.differs and attributes != change.before.attributes:
            header = f"{change.location.path} (file attributes)"
            before, after = change.before.attributes.difference(attributes)
            diffs.append({"before_header": header, "after_header": header, "before": before, "after": after})
        elif not change.differs:
            continue
        steps.append(_Step(change.location, change.after, attributes, change.before))
    result: dict[str, Any] = {"changed": bool(diffs), "diff": diffs}
    if module.check_mode:
        for step in steps:
            _check_writable(step)
        return result
    _remove_leftovers([change.location for change in changes], wanted.owner)
    if backup and backup.differs and backup.before:
        copy = _backup_of(backup.location, backup.before)
        steps.insert(0, copy)
        result["backup_file"] = copy.location.path
    _take_steps(steps)
    return result


def _attributes_after(module: Task, change: FileChange, wanted: WantedAttributes) -> FileAttributes:
    if change.before and (change.after is None or change.access == "unchanged"):
        return change.before.attributes
    if change.before and change.access == "restricted":
        return wanted.of_shared_file(change.before.attributes)
    if change.before and not change.differs:
        return wanted.of_existing_file(change.before.attributes)
    return wanted.of_new_file(module, change.location.path)


def _backup_of(location: Location, before: FileContent) -> _Step:
    """The copy that is kept; its name is the one that Ansible gives to copies, unless there is such a file."""
    start, end = f"{location.name}.{os.getpid()}", time.strftime("%Y-%m-%d@%H:%M:%S~")
    copy = location.sibling(f"{start}.{end}")
    with _reporting_os_errors(copy.path):
        if copy.status():
            copy = location.sibling(f"{start}.{os.urandom(4).hex()}.{end}")
    return _Step(copy, before.text, before.attributes.private(), None)


def _take_steps(steps: Sequence[_Step]) -> None:
    """Give the files their names once each of them is whole. If one cannot be given, those before it are taken back."""
    with ExitStack() as files:
        new = [_new_file(files, step.location, step.text, step.attributes) for step in steps]
        former = [
            _new_file(files, step.location, step.before.text, step.before.attributes) if step.before else None
            for step in steps[:-1]
        ]
        taken = 0
        try:
            for step, file in zip(steps, new):
                _check_unchanged(step.location, step.before)
                _put(step.location, file, is_taken=step.before is not None)
                taken += 1
        except BaseException:
            for step, file in reversed([*zip(steps[:taken], former)]):
                _put(step.location, file, is_taken=step.text is not None)
            raise


def _new_file(files: ExitStack, location: Location, text: str | None, attributes: FileAttributes) -> _NewFile | None:
    if text is None:
        return None
    with _reporting_os_errors(location.path):
        file = _NewFile(location)
        files.callback(file.close)
        file.fill(text.encode("utf-8", "surrogateescape"), attributes)
    return file


def _put(location: Location, file: _NewFile | None, *, is_taken: bool) -> None:
    with _reporting_os_errors(location.path):
        if file:
            file.take_name(is_taken=is_taken)
        else:
            os.unlink(location.name, dir_fd=location.folder)


class _NewFile:
    """A file that takes its name when it is whole.

    Until then it has none, so that it vanishes with a task that is killed. Where there are no such files, and for the
    moment of taking the name from another file, it has a name of its own, by which a later task finds and removes it.
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

    def fill(self, content: bytes, attributes: FileAttributes) -> None:
        with suppress(OSError):
            # It tells a task that looks for leftovers that this is none yet.
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        left = memoryview(content)
        while left:
            left = left[os.write(self._descriptor, left) :]
        attributes.apply(self._descriptor)
        os.fsync(self._descriptor)

    def take_name(self, *, is_taken: bool) -> None:
        folder, name = self._location.folder, self._location.name
        if not self._temporary:
            link = _temporary_name() if is_taken else name
            os.link(f"/proc/self/fd/{self._descriptor}", link, dst_dir_fd=folder, follow_symlinks=True)
            if not is_taken:
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
    """Open a new file that has no name, or None where the system has no such files or could not name them later."""
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
    """Fail where somebody has changed or replaced a file since it was read."""
    with _reporting_os_errors(location.path):
        now = location.status()
    if _version(now) != _version(before.status if before else None):
        raise MailroomError(f"{location.path} was changed by others meanwhile: run the task again")


def _version(status: os.stat_result | None) -> tuple[int, ...]:
    if status is None:
        return ()
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _check_writable(step: _Step) -> None:
    """Fail where a file could not be written: all is tried, on a file that never gets a name, and nothing written.

    So it does where the folder cannot be written, or a file in it can be neither replaced nor removed.
    """
    location, before = step.location, step.before
    if not location.has_folder:
        return
    with _reporting_os_errors(location.path):
        descriptor = None if step.text is None else _open_unnamed(location)
        if descriptor is not None:
            try:
                step.attributes.apply(descriptor)
            finally:
                os.close(descriptor)
    user, folder = os.geteuid(), location.folder_status()
    is_writable = os.access(".", os.W_OK | os.X_OK, dir_fd=location.folder)
    if before:
        if folder.st_mode & stat.S_ISVTX and user not in (0, folder.st_uid, before.status.st_uid):
            is_writable = False
        # Root may write every file but one that is protected from that, whose name cannot be taken either.
        if user == 0 and not os.access(location.name, os.W_OK, dir_fd=location.folder):
            is_writable = False
    if not is_writable:
        raise MailroomError(f"{location.path} cannot be written: {not_writable(location.folder).strerror}")


def _remove_leftovers(locations: Iterable[Location], owner: int | None) -> None:
    """Remove what tasks that were killed have left in these folders: never a file that one still holds."""
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
def _reporting_os_errors(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise MailroomError(f"{path} cannot be written: {error.strerror}") from None
