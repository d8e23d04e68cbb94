# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Opens files in folders that other users may write to.

`open_folder` opens a path from the root, name by name, each relative to the one before. It refuses a path on which
an untrusted user could replace something: every folder must belong to a trusted user (root, the user that runs the
task, and those that the caller names) and be writable by nobody else, except with the sticky bit, or by a group that
has no other member. A symbolic link is followed only where it and its folder belong to trusted users
and nobody else may write that folder, sticky bit or not.

So nobody else can rename or remove files of trusted users in a checked folder, which `status`, `open_file` and
`create_file` rely on. Where `Folder.others_may_add` is true, others may still create files with new names.

An unsafe path is raised as UnsafePath, whose text names the path and what is allowed, without a full stop. Errors of
the operating system are raised as OSError.
"""

from __future__ import annotations

import errno
import grp
import os
import pwd
import stat
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

from ._errors import MailroomError

MAX_LINKS = 40
NO_UNNAMED_FILES = (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT)
"""The errors of file systems that do not support O_TMPFILE."""

# To traverse a folder, which requires no permission to list it.
_OPEN_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class UnsafePath(MailroomError):
    """An untrusted user could have created this file or folder, or could change it."""


class Folder(NamedTuple):
    """An open folder that was checked."""

    descriptor: int
    path: str
    """Its path without symbolic links."""
    others_may_add: bool = False
    """Whether others may create files in it: the sticky bit only protects existing files."""


def trusted_owners(*others: int) -> frozenset[int]:
    """Root, the user that runs the task, and others."""
    return frozenset((0, os.geteuid(), *others))


@contextmanager
def open_folder(path: str, owners: Collection[int], *, create: bool = False) -> Iterator[Folder]:
    """Open a folder for the duration of the block; with `create`, missing folders are created with mode 0700."""
    folder = _resolve_folder(path, owners, create)
    try:
        yield folder
    finally:
        os.close(folder.descriptor)


def status(folder: Folder, name: str) -> os.stat_result | None:
    """The status of a name in a folder, None where it does not exist. Links are not followed."""
    try:
        return os.stat(name, dir_fd=folder.descriptor, follow_symlinks=False)
    except FileNotFoundError:
        return None


def kind_of(found: os.stat_result) -> str:
    """What something is that is not a regular file, in words."""
    return _KINDS.get(stat.S_IFMT(found.st_mode), "something else")


def check_file(path: str, found: os.stat_result, owners: Collection[int], forbidden: int) -> None:
    """Refuse a file that is not regular, not of a trusted user, hard-linked, or has forbidden mode bits."""
    if not stat.S_ISREG(found.st_mode):
        raise UnsafePath(f"{path} must be a regular file, but is {kind_of(found)}")
    if found.st_uid not in owners:
        raise UnsafePath(f"{path} must belong to {_user_names(owners)}, but belongs to {_user_name(found.st_uid)}")
    if found.st_nlink > 1:
        raise UnsafePath(f"{path} must be a file with one name, but has {found.st_nlink} (hard links)")
    mode = stat.S_IMODE(found.st_mode)
    if mode & forbidden:
        verb, advice = ("writable", "go-w") if not forbidden & 0o044 else ("accessible", "0600")
        raise UnsafePath(f"{path} must not be {verb} by others, and its mode is {mode:04o}: chmod {advice} {path}")


def open_file(folder: Folder, name: str, flags: int, owners: Collection[int], forbidden: int) -> int:
    """The descriptor of a file that exists and passes check_file.

    It is checked before it is opened, since opening a device may have side effects, and again when it is open.
    """
    path = os.path.join(folder.path, name)
    found = os.stat(name, dir_fd=folder.descriptor, follow_symlinks=False)
    check_file(path, found, owners, forbidden)
    flags |= os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(name, flags, dir_fd=folder.descriptor)
    try:
        check_file(path, os.fstat(descriptor), owners, forbidden)
    except UnsafePath:
        os.close(descriptor)
        raise
    return descriptor


def create_file(folder: Folder, name: str) -> int:
    """The descriptor of a new file with mode 0600. Raises FileExistsError where the name exists."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    return os.open(name, flags, 0o600, dir_fd=folder.descriptor)


def check_can_add(folder: int) -> None:
    """Raise the OSError that creating a file in an open folder would raise. No file is left behind."""
    unnamed = getattr(os, "O_TMPFILE", 0)
    if unnamed:
        try:
            os.close(os.open(".", unnamed | os.O_WRONLY | os.O_CLOEXEC, 0o600, dir_fd=folder))
        except OSError as error:
            if error.errno not in NO_UNNAMED_FILES:
                raise
        else:
            return
    if not os.access(".", os.W_OK | os.X_OK, dir_fd=folder):
        raise not_writable(folder)


def not_writable(folder: int) -> OSError:
    """The error of the system for a file that cannot be created in an open folder."""
    is_read_only = os.fstatvfs(folder).f_flag & os.ST_RDONLY
    number = errno.EROFS if is_read_only else errno.EACCES
    return OSError(number, os.strerror(number))


def _resolve_folder(path: str, owners: Collection[int], create: bool) -> Folder:
    if not path.startswith("/"):
        raise UnsafePath(f"{path} must be an absolute path")
    here = _open_checked("/", "/", None, owners)
    remaining = path.split("/")[::-1]
    links = 0
    try:
        while remaining:
            name = remaining.pop()
            if name in ("", "."):
                continue
            target = _link_target(here, name, owners)
            subfolder: Folder | None
            if target is None:
                subfolder = _open_subfolder(here, name, owners, create)
            else:
                links += 1
                if links > MAX_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
                remaining += target.split("/")[::-1]
                subfolder = _open_checked("/", "/", None, owners) if target.startswith("/") else None
            if subfolder:
                os.close(here.descriptor)
                here = subfolder
    except BaseException:
        os.close(here.descriptor)
        raise
    return here


def _link_target(here: Folder, name: str, owners: Collection[int]) -> str | None:
    found = status(here, name)
    if found is None or not stat.S_ISLNK(found.st_mode):
        return None
    path = os.path.join(here.path, name)
    if found.st_uid not in owners:
        raise UnsafePath(
            f"{path} is a symbolic link that belongs to {_user_name(found.st_uid)}; only links of"
            f" {_user_names(owners)} are followed"
        )
    if here.others_may_add:
        raise UnsafePath(f"{path} is a symbolic link in a folder that others may write to; use the path of its target")
    return os.readlink(name, dir_fd=here.descriptor)


def _open_subfolder(here: Folder, name: str, owners: Collection[int], create: bool) -> Folder:
    path = os.path.dirname(here.path) if name == ".." else os.path.join(here.path, name)
    try:
        return _open_checked(name, path, here.descriptor, owners)
    except FileNotFoundError:
        if not create:
            raise
    with suppress(FileExistsError):
        os.mkdir(name, 0o700, dir_fd=here.descriptor)
    return _open_checked(name, path, here.descriptor, owners)


def _open_checked(name: str, path: str, parent: int | None, owners: Collection[int]) -> Folder:
    descriptor = os.open(name, _OPEN_FOLDER, dir_fd=parent)
    try:
        return Folder(descriptor, path, _others_may_add(path, descriptor, owners))
    except BaseException:
        os.close(descriptor)
        raise


def _others_may_add(path: str, folder: int, owners: Collection[int]) -> bool:
    """Refuse a folder in which others can replace files; return whether they can create files."""
    found = os.fstat(folder)
    if found.st_uid not in owners:
        raise UnsafePath(
            f"the folder {path} must belong to {_user_names(owners)}, but belongs to {_user_name(found.st_uid)}"
        )
    writable = found.st_mode & _OTHERS_WRITE
    if writable & stat.S_IWGRP and _is_private_group(found.st_gid, owners) and not _has_acl(folder):
        writable &= ~stat.S_IWGRP
    if not writable:
        return False
    if not found.st_mode & stat.S_ISVTX:
        who, advice = ("everybody", "o-w") if writable & stat.S_IWOTH else ("its group", "g-w")
        advice = "go-w" if writable == _OTHERS_WRITE else advice
        raise UnsafePath(f"the folder {path} is writable by {who}: chmod {advice} {path}, or use another folder")
    return True


def _has_acl(folder: int) -> bool:
    """Whether a folder has an access control list, which may grant rights to further users.

    This can only be read on Linux; where reading fails, a list is assumed.
    """
    if not hasattr(os, "getxattr"):
        return False
    try:
        return bool(os.getxattr(f"/proc/self/fd/{folder}", "system.posix_acl_access"))
    except OSError as error:
        return error.errno not in (errno.ENODATA, errno.EOPNOTSUPP)


def _is_private_group(gid: int, owners: Collection[int]) -> bool:
    """Whether all members of a group are trusted, as in a user's private group.

    A directory service may not list the users whose primary group it is. So a group without listed members only counts
    as private where it has the name of a trusted user.
    """
    try:
        group = grp.getgrgid(gid)
        members = {pwd.getpwnam(name).pw_uid for name in group.gr_mem}
    except KeyError:
        return False
    members |= {user.pw_uid for user in pwd.getpwall() if user.pw_gid == gid}
    return members <= set(owners) and (bool(members) or group.gr_name in map(_user_name, owners))


def _user_names(owners: Collection[int]) -> str:
    return " or ".join(_user_name(owner) for owner in sorted(owners))


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
