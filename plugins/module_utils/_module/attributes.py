# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Owner, group, mode and extended attributes: those of a file, and those that the options request."""

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

from .._connector.suggest import printable_word
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
    """The owner, group, mode and extended attributes of a file."""

    owner: int
    group: int
    mode: int
    extended: Mapping[str, bytes] = field(default_factory=dict, compare=False)

    def apply(self, descriptor: int) -> None:
        """Set them on a new file; the access list that it inherited from its folder is removed."""
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
        # With an access list, the group bits of the mode are the list's mask, so the list has to be copied too.
        if _ACCESS_LIST in self.extended:
            os.setxattr(descriptor, _ACCESS_LIST, self.extended[_ACCESS_LIST])
        for name in self.extended.keys() - {_ACCESS_LIST}:
            with suppress(OSError):
                os.setxattr(descriptor, name, self.extended[name])

    def for_private_copy(self) -> FileAttributes:
        """The attributes for a copy that only the owner can read; without root, the owner is the running user."""
        extended = {name: value for name, value in self.extended.items() if name == _CONTEXT}
        own = {} if os.geteuid() == 0 else {"owner": os.geteuid(), "group": os.getegid()}
        return replace(self, mode=PRIVATE_MODE, extended=extended, **own)

    def difference(self, other: FileAttributes) -> tuple[dict[str, Any], dict[str, Any]]:
        """The attributes that differ, before and after."""
        before, after = ({"owner": one.owner, "group": one.group, "mode": f"0{one.mode:03o}"} for one in (self, other))
        names = [name for name in before if before[name] != after[name]]
        return {name: before[name] for name in names}, {name: after[name] for name in names}


def read_attributes(descriptor: int) -> FileAttributes:
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
    """The values of the options owner, group and mode; None keeps an attribute."""

    owner: int | None
    group: int | None
    mode: str | int | None
    is_mode_given: bool = True

    def for_new_file(self, module: Task, path: str) -> FileAttributes:
        owner = os.geteuid() if self.owner is None else self.owner
        group = os.getegid() if self.group is None else self.group
        # The default SELinux context of the path.
        context = module.selinux_default_context(path) if module.selinux_enabled() else []  # type: ignore[no-untyped-call]
        extended = {_CONTEXT: ":".join(context).encode() + b"\0"} if context and all(context) else {}
        return FileAttributes(owner, group, _parse_mode(self.mode, PRIVATE_MODE), extended)

    def for_existing_file(self, attributes: FileAttributes) -> FileAttributes:
        owner = attributes.owner if self.owner is None else self.owner
        group = attributes.group if self.group is None else self.group
        return replace(attributes, owner=owner, group=group, mode=_parse_mode(self.mode, attributes.mode))

    def for_shared_file(self, attributes: FileAttributes) -> FileAttributes:
        """A file of others that now holds a secret.

        A mode that keeps everybody out was chosen for whoever reads the file, and is kept; any other one was not chosen
        for a secret.
        """
        is_kept = not self.is_mode_given and not attributes.mode & stat.S_IRWXO
        return (replace(self, mode=None) if is_kept else self).for_existing_file(attributes)


def read_attribute_options(module: Task) -> WantedAttributes:
    """Read the options owner, group and mode, and raise where they are invalid."""
    owner = _parse_id(module, "owner", lambda name: pwd.getpwnam(name).pw_uid)
    group = _parse_id(module, "group", lambda name: grp.getgrnam(name).gr_gid)
    given = module.params["mode"]
    mode = PRIVATE_MODE if given is None else given
    _parse_mode(mode, PRIVATE_MODE)
    return WantedAttributes(owner, group, mode, is_mode_given=given is not None)


def _parse_id(module: Task, option: str, find: Callable[[str], int]) -> int | None:
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
                module.warn(f"{option}: there is no {printable_word(given)} on this host yet")
                return None
            raise DeclarationError([Problem("", option, f"there is no {printable_word(given)} on this host")]) from None
    if not 0 <= number <= _HIGHEST_ID:
        raise DeclarationError([Problem("", option, f"must be a name, or a number from 0 to {_HIGHEST_ID}")])
    return number


def _parse_mode(given: Any, current: int) -> int:
    """Parse a mode in octal digits or symbols, which may depend on the current one; None keeps that."""
    if given is None:
        return current
    try:
        mode = given if isinstance(given, int) and not isinstance(given, bool) else int(str(given), 8)
    except ValueError:
        status = os.stat_result((stat.S_IFREG | current, *[0] * 9))
        try:
            mode = int(Task._symbolic_mode_to_octal(status, str(given)))  # type: ignore[no-untyped-call]  # noqa: SLF001
        except Exception:  # noqa: BLE001  Ansible's parser raises any exception for malformed input
            mode = -1
    if not 0 <= mode <= _HIGHEST_MODE:
        raise DeclarationError([Problem("", "mode", "must be an octal number, quoted, or symbolic such as u=rw,g=r")])
    return mode
