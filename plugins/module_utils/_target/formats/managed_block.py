# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""A block of lines that is ours in a file of others.

Lines that it overrides are set aside as comments, and come back when the block goes. What is a comment begins with # in
all files that this is used for.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import NamedTuple

from ..._errors import DeclarationError, Problem
from ..interface import FileTarget

_BEGIN = "# BEGIN mailroom.core.connector_config"
_END = "# END mailroom.core.connector_config"
_ASIDE = "# set aside by mailroom.core.connector_config: "
_PASSWORD = "# The password is in "


def content(text: str) -> str:
    """The lines of the block, empty where there is none."""
    return "".join(f"{line}\n" for line in _parse(text).inside)


def password_file_in(text: str) -> str:
    """The file that the block names for the password."""
    first = content(text).partition("\n")[0]
    return first[len(_PASSWORD) :] if first.startswith(_PASSWORD) else ""


def restored(text: str) -> str:
    """The text as it was before there was a block."""
    outside = _parse(text).outside
    return "\n".join(line[len(_ASIDE) :] if line.startswith(_ASIDE) else line for line in outside)


class _Lines(NamedTuple):
    outside: list[str]
    inside: list[str]


def _parse(text: str) -> _Lines:
    """Separate the lines of the block from the others; anything but one whole block, or none, is an error."""
    lines = text.split("\n")
    # An editor may have given all lines another ending.
    marks = [(number, line.rstrip("\r")) for number, line in enumerate(lines) if line.rstrip("\r") in (_BEGIN, _END)]
    if not marks:
        return _Lines(lines, [])
    if [mark for _number, mark in marks] != [_BEGIN, _END]:
        what = f"holds {_BEGIN} or {_END} without the other, or more than once: put that right first"
        raise DeclarationError([Problem("", "path", what)])
    (begin, _begin), (end, _end) = marks
    return _Lines([*lines[:begin], *lines[end + 1 :]], lines[begin + 1 : end])


def inserted(text: str, position: int, lines: Sequence[str], aside: Container[int], password_file: str) -> str:
    """The text with the block before the line at a position, and the lines with these numbers set aside."""
    others = [_ASIDE + line if number in aside else line for number, line in enumerate(text.split("\n"))]
    named = [_PASSWORD + password_file] if password_file else []
    return "\n".join([*others[:position], _BEGIN, *named, *lines, _END, *others[position:]])


class ManagedBlockTarget(FileTarget):
    """An application whose settings are a block in the administrator's file; the password is in a file beside it."""

    keeps_password_apart = True

    def clear(self, text: str) -> str:
        return restored(text)

    def difference(self, before: str, after: str) -> tuple[str, str]:
        return content(before), content(after)

    def password_file_in(self, text: str) -> str:
        return password_file_in(text)
