# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Files that a task writes: all of them replaced, or none."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from .._errors import MailroomError
from .task import Task


@dataclass(frozen=True)
class FileChange:
    """A file's text as it is and as it is to be, None where there is no file; and what of it is shown."""

    path: str
    before: str | None
    after: str | None
    shown: tuple[str, str]
    private: bool = False
    """Whether owner, group and mode are those of the task. Else they stay as they are."""

    @property
    def differs(self) -> bool:
        return self.before != self.after

    def diff(self) -> dict[str, str]:
        before, after = self.shown
        return {"before_header": self.path, "after_header": self.path, "before": before, "after": after}


def read_text(path: str) -> str | None:
    """A file's text, None where there is no file. What is no UTF-8 in it is kept."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
            return file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise MailroomError(f"{path} cannot be read: {error.strerror}") from None


def is_open_to_all(path: str) -> bool:
    return os.path.exists(path) and bool(os.stat(path).st_mode & stat.S_IROTH)


def write_files(module: Task, changes: Sequence[FileChange]) -> dict[str, Any]:
    """Make the files what they are to be, except in check mode, and say what differs."""
    differing = [change for change in changes if change.differs]
    diffs: list[dict[str, Any]] = [change.diff() for change in differing]
    if differing and not module.check_mode:
        _carry_out(module, differing)
    for change in changes:
        if change.private and change.after is not None and not change.differs:
            attributes: dict[str, Any] = {}
            if _set_attributes(module, change.path, attributes):
                header = f"{change.path} (file attributes)"
                diffs.append({"before_header": header, "after_header": header, **attributes})
    return {"changed": bool(diffs), "diff": diffs}


def back_up(module: Task, changes: Sequence[FileChange], path: str) -> dict[str, str]:
    """Keep a copy of the file at a path, where it is about to change."""
    if not any(change.path == path and change.differs and change.before is not None for change in changes):
        return {}
    with _telling(path):
        return {"backup_file": str(module.backup_local(path))}  # type: ignore[no-untyped-call]


def _carry_out(module: Task, differing: Sequence[FileChange]) -> None:
    """Everything that may fail for want of space or rights is tried on copies first."""
    with _for_nobody_else():
        copies = [(change, _copy(module, change)) for change in differing if change.after is not None]
        for change, copy in copies:
            module.atomic_move(copy, change.path, keep_dest_attrs=not change.private)  # type: ignore[no-untyped-call]
            if change.private:
                _set_attributes(module, change.path)
    for change in differing:
        if change.after is None:
            with _telling(change.path):
                os.remove(change.path)


@contextmanager
def _for_nobody_else() -> Iterator[None]:
    """What Ansible makes anew meanwhile, nobody else may read, not even for a moment."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


def _copy(module: Task, change: FileChange) -> str:
    with _telling(change.path):
        copy: str
        descriptor, copy = tempfile.mkstemp(dir=module.tmpdir)
        module.add_cleanup_file(copy)  # type: ignore[no-untyped-call]
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            file.write(change.after or "")
    if change.private:
        _set_attributes(module, copy)
    return copy


def _set_attributes(module: Task, path: str, diff: dict[str, Any] | None = None) -> bool:
    wanted = module.params
    changed = module.set_owner_if_different(path, wanted["owner"], False, diff, expand=False)  # type: ignore[no-untyped-call]
    changed = module.set_group_if_different(path, wanted["group"], changed, diff, expand=False)  # type: ignore[no-untyped-call]
    return bool(module.set_mode_if_different(path, wanted["mode"], changed, diff, expand=False))  # type: ignore[no-untyped-call]


@contextmanager
def _telling(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise MailroomError(f"{path} cannot be written: {error.strerror}") from None
