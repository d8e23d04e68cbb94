# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Owner, group, mode and extended attributes of a file: as they are, and as a task wants them."""

from __future__ import annotations

import errno
import grp
import os
import pwd
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Callable

from .._errors import DeclarationError, Problem
from .task import Task

PRIVATE_MODE = 0o600
_HIGHEST_ID = 2**32 - 2
_HIGHEST_MODE = 0o7777
_CONTEXT = "security.selinux"
_ACCESS_LIST = "system.posix_acl_access"
_NOT_SUPPORTED = (errno.ENODATA, errno.EOPNOTSUPP)


@dataclass(frozen=True)
class FileAttributes:
    """What a file has besides its content."""

    owner: int
    group: int
    mode: int
    extended: Mapping[str, bytes] = field(default_factory=dict, compare=False)

    def apply(self, descriptor: int) -> None:
        """Give them to a new file. What it inherited from its folder's access list goes."""
        if hasattr(os, "setxattr"):
            self._apply_extended(descriptor)
        status = os.fstat(descriptor)
        if (status.st_uid, status.st_gid) != (self.owner, self.group):
            os.fchown(descriptor, self.owner, self.group)
        os.fchmod(descriptor, self.mode)

    def _apply_extended(self, descriptor: int) -> None:
        try:
            os.removexattr(descriptor, _ACCESS_LIST)
        except OSError as error:
            if error.errno not in _NOT_SUPPORTED:
                raise
        # Without its access list, the rights of a file's group would be those of the list's mask.
        if _ACCESS_LIST in self.extended:
            os.setxattr(descriptor, _ACCESS_LIST, self.extended[_ACCESS_LIST])
        for name in self.extended.keys() - {_ACCESS_LIST}:
            with suppress(OSError):
                os.setxattr(descriptor, name, self.extended[name])

    def private(self) -> FileAttributes:
        """The same for a copy that nobody but the owner can read; where that is not to be had, the running user."""
        extended = {name: value for name, value in self.extended.items() if name == _CONTEXT}
        mine = {} if os.geteuid() == 0 else {"owner": os.geteuid(), "group": os.getegid()}
        return replace(self, mode=PRIVATE_MODE, extended=extended, **mine)

    def difference(self, other: FileAttributes) -> tuple[dict[str, Any], dict[str, Any]]:
        """What differs in two files, for each of them."""
        before, after = ({"owner": one.owner, "group": one.group, "mode": f"0{one.mode:03o}"} for one in (self, other))
        names = [name for name in before if before[name] != after[name]]
        return {name: before[name] for name in names}, {name: after[name] for name in names}


def attributes_of(descriptor: int) -> FileAttributes:
    """The attributes of an open file."""
    status = os.fstat(descriptor)
    extended: dict[str, bytes] = {}
    if hasattr(os, "getxattr"):
        with suppress(OSError):
            for name in os.listxattr(descriptor):
                if name in (_CONTEXT, _ACCESS_LIST) or name.startswith("user."):
                    extended[name] = os.getxattr(descriptor, name)
    return FileAttributes(status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode), extended)


@dataclass(frozen=True)
class WantedAttributes:
    """What the options owner, group and mode ask for; None leaves an attribute as it is."""

    owner: int | None
    group: int | None
    mode: str | int | None
    is_mode_given: bool = True

    def of_new_file(self, module: Task, path: str) -> FileAttributes:
        owner = os.geteuid() if self.owner is None else self.owner
        group = os.getegid() if self.group is None else self.group
        # What SELinux gives to a file at this path, where it is in use.
        context = module.selinux_default_context(path) if module.selinux_enabled() else []  # type: ignore[no-untyped-call]
        extended = {_CONTEXT: ":".join(context).encode() + b"\0"} if context and all(context) else {}
        return FileAttributes(owner, group, _mode(self.mode, PRIVATE_MODE), extended)

    def of_existing_file(self, attributes: FileAttributes) -> FileAttributes:
        owner = attributes.owner if self.owner is None else self.owner
        group = attributes.group if self.group is None else self.group
        return replace(attributes, owner=owner, group=group, mode=_mode(self.mode, attributes.mode))

    def of_shared_file(self, attributes: FileAttributes) -> FileAttributes:
        """A file of others that now holds a secret: unless the task says more, just what everybody may do goes."""
        if self.is_mode_given:
            return self.of_existing_file(attributes)
        private = replace(attributes, mode=attributes.mode & ~stat.S_IRWXO)
        return replace(self, mode=None).of_existing_file(private)


def wanted_attributes(module: Task) -> WantedAttributes:
    """Read the options owner, group and mode, and fail where they say what cannot be."""
    owner = _id_of(module, "owner", lambda name: pwd.getpwnam(name).pw_uid)
    group = _id_of(module, "group", lambda name: grp.getgrnam(name).gr_gid)
    given = module.params["mode"]
    mode = PRIVATE_MODE if given is None else given
    _mode(mode, PRIVATE_MODE)
    return WantedAttributes(owner, group, mode, is_mode_given=given is not None)


def _id_of(module: Task, option: str, find: Callable[[str], int]) -> int | None:
    given = module.params[option]
    if given is None:
        return None
    try:
        number = int(given)
    except ValueError:
        try:
            return find(given)
        except (KeyError, ValueError):
            if module.check_mode:
                module.warn(f"{option}: there is no {given} on this host yet")
                return None
            raise DeclarationError([Problem("", option, f"there is no {given} on this host")]) from None
    if not 0 <= number <= _HIGHEST_ID:
        raise DeclarationError([Problem("", option, f"must be a name, or a number from 0 to {_HIGHEST_ID}")])
    return number


def _mode(given: Any, current: int) -> int:
    """The mode that is given in octal digits or in symbols for a file with the current one; None leaves that."""
    if given is None:
        return current
    try:
        mode = given if isinstance(given, int) and not isinstance(given, bool) else int(str(given), 8)
    except ValueError:
        status = os.stat_result((stat.S_IFREG | current, *[0] * 9))
        try:
            mode = int(Task._symbolic_mode_to_octal(status, str(given)))  # type: ignore[no-untyped-call]  # noqa: SLF001
        except Exception:  # noqa: BLE001  Ansible's parser raises whatever it stumbles over
            mode = -1
    if not 0 <= mode <= _HIGHEST_MODE:
        raise DeclarationError([Problem("", "mode", "must be an octal number, quoted, or symbolic such as u=rw,g=r")])
    return mode
