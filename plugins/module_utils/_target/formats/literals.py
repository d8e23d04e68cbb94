# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Literals of PHP, Ruby and Python. In PHP and Ruby only a backslash and the quote itself count in single quotes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ..interface import check_parsed

_ESCAPED = re.compile(r"\\([\\'])")


def quote_single(value: str) -> str:
    """A string of PHP or Ruby."""
    quoted = "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    check_parsed(_ESCAPED.sub(r"\1", quoted[1:-1]), value)
    return quoted


def ruby(value: Any) -> str:
    """A value of Ruby: a string, a number, a truth value, or a hash of these."""
    if isinstance(value, (bool, int)):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{ruby(key)} => {ruby(inner)}" for key, inner in value.items()) + " }"
    return quote_single(value)


def php(value: Any, indent: str = "") -> str:
    """A value of PHP: a string, a number, a truth value, or an array of these."""
    if isinstance(value, (bool, int)):
        return str(value).lower()
    if isinstance(value, Mapping):
        inner = indent + "  "
        lines = [f"{inner}{quote_single(key)} => {php(each, inner)},\n" for key, each in value.items()]
        return "array(\n" + "".join(lines) + f"{indent})"
    return quote_single(value)


def python(value: Any) -> str:
    """A value of Python, in ASCII, so that no declared encoding changes it."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(ascii(each) for each in value) + "]"
    return ascii(value)
