# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""A block of lines that is ours in a file of others.

Lines that it overrides are set aside as comments, and come back when the block goes. What is a comment begins with # in
all files that this is used for.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import NamedTuple, NoReturn

from ..._errors import DeclarationError, Problem
from ..interface import FileTarget, named_password_file

_BEGIN = "# BEGIN mailroom.core.connector_config"
_END = "# END mailroom.core.connector_config"
_ASIDE = "# set aside by mailroom.core.connector_config: "


def content(text: str) -> str:
    """The lines of the block, empty where there is none."""
    return "".join(f"{line}\n" for line in _parse(text).inside)


def remove_block(text: str) -> str:
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
        refuse(f"holds {_BEGIN} or {_END} without the other, or more than once: put that right first")
    (begin, _begin), (end, _end) = marks
    return _Lines([*lines[:begin], *lines[end + 1 :]], lines[begin + 1 : end])


def insert_block(text: str, position: int, lines: Sequence[str], aside: Container[int], password_file: str) -> str:
    """The text with the block before the line at a position, and the lines with these numbers set aside."""
    others = [_ASIDE + line if number in aside else line for number, line in enumerate(text.split("\n"))]
    named = named_password_file(password_file)
    return "\n".join([*others[:position], _BEGIN, *named, *lines, _END, *others[position:]])


def append_block(text: str, lines: Sequence[str], password_file: str = "", aside: Container[int] = ()) -> str:
    """The text with the block at its end, in place of an earlier one."""
    text = with_line_end(remove_block(text))
    return insert_block(text, text.count("\n"), lines, aside, password_file)


def with_line_end(text: str) -> str:
    """The text, its last line ended."""
    return text if not text or text.endswith("\n") else text + "\n"


def refuse(what: str) -> NoReturn:
    """Fail because of the file's content, without showing it."""
    raise DeclarationError([Problem("", "path", what)])


class ManagedBlockTarget(FileTarget):
    """An application whose settings are a block in the administrator's file."""

    owns_file = False
    needs_file = False

    def clear(self, text: str) -> str:
        return remove_block(text)

    def content(self, text: str) -> str:
        return content(text)
