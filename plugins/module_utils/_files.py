# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Open files in folders that others may write.

`open_folder` walks to a folder from the root, name by name, each opened relative to the one before. It refuses a
path on which somebody who is not trusted could put something else: every folder belongs to a trusted user (root, the
user that runs the task, and whom the caller names) and is writable by nobody else, except with the sticky bit, or
by a group that has no other member. A symbolic link is followed only where it and its folder belong to trusted users
and nobody else may write that folder, sticky bit or not.

So nobody else can rename or remove what a checked folder holds, as far as that belongs to a trusted user: `status`,
`open_file` and `create_file` take it from there. Where `Folder.others_may_add` is true somebody else may still make
files with names that are not taken yet.

What is wrong is raised as UnsafePath, whose text is a sentence without its full stop that names the path and what is
allowed. What the operating system refuses is raised as OSError.
"""

from __future__ import annotations

import errno
import grp
import os
import pwd
import stat
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from ._errors import MailroomError

MOST_LINKS = 40
NO_UNNAMED_FILES = (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT)
"""What a file system says that has no files without a name."""

# Only to pass through a folder, which needs no right to list it.
_PASS = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
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
    """Somebody who is not trusted could have put this here, or could change it."""


@dataclass(frozen=True)
class Folder:
    """An open folder that was checked."""

    descriptor: int
    path: str
    """Where it is, without links."""
    others_may_add: bool = False
    """Whether somebody else may make files in it: its sticky bit only keeps those that are there."""


def trusted_owners(*others: int) -> frozenset[int]:
    """Root, the user that runs the task, and others."""
    return frozenset((0, os.geteuid(), *others))


@contextmanager
def open_folder(path: str, owners: Collection[int], *, create: bool = False) -> Iterator[Folder]:
    """A folder, for as long as the block runs. What is missing of it is made, for its owner alone, on request."""
    folder = _walk(path, owners, create)
    try:
        yield folder
    finally:
        os.close(folder.descriptor)


def status(folder: Folder, name: str) -> os.stat_result | None:
    """What a folder holds under a name, None where there is nothing. Links are not followed."""
    try:
        return os.stat(name, dir_fd=folder.descriptor, follow_symlinks=False)
    except FileNotFoundError:
        return None


def check_file(path: str, found: os.stat_result, owners: Collection[int], forbidden: int) -> None:
    """Refuse what is no regular file of a trusted user, has a second name, or a mode with forbidden bits."""
    kind = stat.S_IFMT(found.st_mode)
    if kind != stat.S_IFREG:
        raise UnsafePath(f"{path} must be a regular file and is {_KINDS.get(kind, 'something else')}")
    if found.st_uid not in owners:
        raise UnsafePath(f"{path} must belong to {_names(owners)} and belongs to {_name(found.st_uid)}")
    if found.st_nlink > 1:
        raise UnsafePath(f"{path} must be a file with one name and has {found.st_nlink} (hard links)")
    mode = stat.S_IMODE(found.st_mode)
    if mode & forbidden:
        verb, advice = ("writable", "go-w") if not forbidden & 0o044 else ("accessible", "0600")
        raise UnsafePath(f"{path} must not be {verb} for others, and its mode is {mode:04o}: chmod {advice} {path}")


def open_file(folder: Folder, name: str, flags: int, owners: Collection[int], forbidden: int) -> int:
    """The descriptor of a file that exists and passes check_file.

    It is checked before it is opened, since to open a device may set it off, and again when it is open.
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
    """The descriptor of a new file, for its owner alone. FileExistsError where there is anything under this name."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    return os.open(name, flags, 0o600, dir_fd=folder.descriptor)


def check_can_add(folder: int) -> None:
    """Raise the OSError that making a file in an open folder would raise. Nothing is made that has a name."""
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
    """What the system says where a file cannot be made in an open folder."""
    is_read_only = os.fstatvfs(folder).f_flag & os.ST_RDONLY
    number = errno.EROFS if is_read_only else errno.EACCES
    return OSError(number, os.strerror(number))


def _walk(path: str, owners: Collection[int], create: bool) -> Folder:
    if not path.startswith("/"):
        raise UnsafePath(f"{path} must be an absolute path")
    here = _enter("/", "/", None, owners)
    ahead = path.split("/")[::-1]
    links = 0
    try:
        while ahead:
            name = ahead.pop()
            if name in ("", "."):
                continue
            target = _link_target(here, name, owners)
            inside: Folder | None
            if target is None:
                inside = _step(here, name, owners, create)
            else:
                links += 1
                if links > MOST_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
                ahead += target.split("/")[::-1]
                inside = _enter("/", "/", None, owners) if target.startswith("/") else None
            if inside:
                os.close(here.descriptor)
                here = inside
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
            f"{path} is a symbolic link that belongs to {_name(found.st_uid)}; only links of {_names(owners)} are"
            " followed"
        )
    if here.others_may_add:
        raise UnsafePath(f"{path} is a symbolic link in a folder that others may write; name the folder it leads to")
    return os.readlink(name, dir_fd=here.descriptor)


def _step(here: Folder, name: str, owners: Collection[int], create: bool) -> Folder:
    path = os.path.dirname(here.path) if name == ".." else os.path.join(here.path, name)
    try:
        return _enter(name, path, here.descriptor, owners)
    except FileNotFoundError:
        if not create:
            raise
    with suppress(FileExistsError):
        os.mkdir(name, 0o700, dir_fd=here.descriptor)
    return _enter(name, path, here.descriptor, owners)


def _enter(name: str, path: str, parent: int | None, owners: Collection[int]) -> Folder:
    descriptor = os.open(name, _PASS, dir_fd=parent)
    try:
        return Folder(descriptor, path, _others_may_add(path, descriptor, owners))
    except BaseException:
        os.close(descriptor)
        raise


def _others_may_add(path: str, folder: int, owners: Collection[int]) -> bool:
    """Refuse a folder in which others can replace files; say whether they can add some."""
    found = os.fstat(folder)
    if found.st_uid not in owners:
        raise UnsafePath(f"the folder {path} must belong to {_names(owners)} and belongs to {_name(found.st_uid)}")
    writable = found.st_mode & _OTHERS_WRITE
    if writable & stat.S_IWGRP and _is_private(found.st_gid, owners) and not _has_acl(folder):
        writable &= ~stat.S_IWGRP
    if not writable:
        return False
    if not found.st_mode & stat.S_ISVTX:
        who, advice = ("everybody", "o-w") if writable & stat.S_IWOTH else ("its group", "g-w")
        advice = "go-w" if writable == _OTHERS_WRITE else advice
        raise UnsafePath(f"the folder {path} is writable for {who}: chmod {advice} {path}, or use another folder")
    return True


def _has_acl(folder: int) -> bool:
    """Whether an access control list may name further users, whose rights show in the mode as the group's.

    Where there is one is only known on Linux; where that cannot be found out, it counts as one.
    """
    if not hasattr(os, "getxattr"):
        return False
    try:
        return bool(os.getxattr(f"/proc/self/fd/{folder}", "system.posix_acl_access"))
    except OSError as error:
        return error.errno not in (errno.ENODATA, errno.EOPNOTSUPP)


def _is_private(gid: int, owners: Collection[int]) -> bool:
    """Whether all members of a group are trusted, as in a group that is a user's own.

    A directory service may not list the users whose primary group it is. So a group without members that are listed is
    a user's own only where it has that user's name.
    """
    try:
        group = grp.getgrgid(gid)
        members = {pwd.getpwnam(name).pw_uid for name in group.gr_mem}
    except KeyError:
        return False
    members |= {user.pw_uid for user in pwd.getpwall() if user.pw_gid == gid}
    return members <= set(owners) and (bool(members) or group.gr_name in map(_name, owners))


def _names(owners: Collection[int]) -> str:
    return " or ".join(_name(owner) for owner in sorted(owners))


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
