# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""A block of lines that is ours in a file of others.

Lines that it overrides are set aside as comments, and come back when the block goes. What is a comment begins with # in
all files that this is used for.
"""

from __future__ import annotations

import re
from collections.abc import Container, Sequence

from .._errors import DeclarationError, Problem

_BEGIN = "# BEGIN mailroom.core.connector_config"
_END = "# END mailroom.core.connector_config"
_ASIDE = "# set aside by mailroom.core.connector_config: "
_PASSWORD = "# The password is in "
_BLOCK = re.compile(rf"^{re.escape(_BEGIN)}\n((?:.*\n)*?){re.escape(_END)}\n", re.MULTILINE)


def content(text: str) -> str:
    """The lines of the block, empty where there is none."""
    found = _BLOCK.search(text)
    return found.group(1) if found else ""


def password_file_in(text: str) -> str:
    """The file that the block names for the password."""
    first = content(text).partition("\n")[0]
    return first[len(_PASSWORD) :] if first.startswith(_PASSWORD) else ""


def restored(text: str) -> str:
    """The text as it was before there was a block."""
    others = _BLOCK.sub("", text).split("\n")
    if _BEGIN in others or _END in others:
        raise DeclarationError([Problem("", "path", f"holds {_BEGIN} or {_END} without the other, put it back first")])
    return "\n".join(line[len(_ASIDE) :] if line.startswith(_ASIDE) else line for line in others)


def inserted(text: str, position: int, lines: Sequence[str], aside: Container[int], password_file: str) -> str:
    """The text with the block before the line at a position, and the lines with these numbers set aside."""
    others = [_ASIDE + line if number in aside else line for number, line in enumerate(text.split("\n"))]
    named = [_PASSWORD + password_file] if password_file else []
    return "\n".join([*others[:position], _BEGIN, *named, *lines, _END, *others[position:]])
