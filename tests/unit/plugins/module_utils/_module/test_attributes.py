# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Owner, group and mode as a task gives them, and what SELinux has to say."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.mailroom.core.plugins.module_utils._errors import DeclarationError
from ansible_collections.mailroom.core.plugins.module_utils._module.attributes import (
    FileAttributes,
    read_attribute_options,
    read_attributes,
)

MINE = FileAttributes(os.geteuid(), os.getegid(), 0o640)


class FakeTask:
    """As much of a module as is asked of it."""

    check_mode = False

    def __init__(self, context: list[str] | None = None, **params: Any) -> None:
        self.params = {"owner": None, "group": None, "mode": "0600", **params}
        self.context = context

    def selinux_enabled(self) -> bool:
        return self.context is not None

    def selinux_default_context(self, path: str) -> list[str] | None:
        return self.context


def wanted(existing: FileAttributes | None = None, **options: Any) -> FileAttributes:
    task: Any = FakeTask(**options)
    attributes = read_attribute_options(task)
    return attributes.for_existing_file(existing) if existing else attributes.for_new_file(task, "/etc/file")


@pytest.mark.parametrize(
    ("mode", "new", "existing"),
    [
        ("0640", 0o640, 0o640),
        (0o644, 0o644, 0o644),
        ("u=rw,g=r,o=", 0o640, 0o640),
        ("g+r", 0o640, 0o640),
        ("o+r", 0o604, 0o644),
        (None, 0o600, 0o600),
    ],
)
def test_a_mode(mode: Any, new: int, existing: int) -> None:
    assert (wanted(mode=mode).mode, wanted(MINE, mode=mode).mode) == (new, existing)


@pytest.mark.parametrize("mode", ["rw for me", "0888", "-1", "70000", 10**30, True, 1.5, [], {}, "u=q", "é"])
def test_what_is_no_mode_is_refused(mode: Any) -> None:
    with pytest.raises(DeclarationError, match=r"^mode: must be an octal number, quoted, or symbolic"):
        wanted(mode=mode)


def test_owner_and_group_by_name_or_number() -> None:
    assert wanted(owner="root", group="0").owner == 0
    assert (wanted(owner="1234", group="4321").owner, wanted(owner="1234", group="4321").group) == (1234, 4321)
    assert wanted(MINE) == FileAttributes(MINE.owner, MINE.group, 0o600)


@pytest.mark.parametrize("option", ["owner", "group"])
@pytest.mark.parametrize("value", ["-1", str(2**32 - 1), "nobody knows", "", "a\0b"])
def test_user_or_group_that_does_not_exist_is_refused(option: str, value: str) -> None:
    """-1 would mean: whoever it is now."""
    with pytest.raises(DeclarationError, match=f"^{option}: "):
        wanted(**{option: value})


def test_a_name_is_shown_short_and_printable() -> None:
    with pytest.raises(DeclarationError) as refused:
        wanted(owner="\x1b[31m\n" + "x" * 1000)
    assert str(refused.value) == f"owner: there is no ?[31m?{'x' * 94} on this host"


def test_a_new_file_gets_the_context_of_its_path() -> None:
    context = ["system_u", "object_r", "postfix_etc_t", "s0:c1,c2"]
    assert wanted(context=context).extended == {"security.selinux": b"system_u:object_r:postfix_etc_t:s0:c1,c2\0"}
    assert wanted(context=[None, None, None]).extended == {}  # type: ignore[list-item]


def test_what_a_file_system_does_not_keep_is_done_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_descriptor: int, name: str, _value: bytes) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "setxattr", refuse)
    with (tmp_path / "file").open("w") as file:
        FileAttributes(MINE.owner, MINE.group, 0o640, {"security.selinux": b"x", "user.x": b"y"}).apply(file.fileno())
        assert read_attributes(file.fileno()) == MINE
        # But for an access list: without it the mode would let others in.
        with pytest.raises(OSError, match="not permitted"):
            FileAttributes(MINE.owner, MINE.group, 0o640, {"system.posix_acl_access": b"x"}).apply(file.fileno())
