# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Environment files: assignments that a shell and systemd's EnvironmentFile read alike.

Libraries for .env files do so as well, but for values with a single quote: python-dotenv keeps the backslash before $
and a backquote, and dotenvy, of Rust, takes no backquote with one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..interface import check_parsed

_NEEDS_ESCAPE = re.compile(r'[\\"$`]')


def quote(value: str) -> str:
    """A word for a shell. In single quotes all is literal; systemd joins no quotes, so a value is in one pair."""
    if "'" not in value:
        return f"'{value}'"
    word = '"' + _NEEDS_ESCAPE.sub(r"\\\g<0>", value) + '"'
    check_parsed(re.sub(r'\\([\\"$`])', r"\1", word[1:-1]), value)
    return word


def lines(variables: Mapping[str, str]) -> list[str]:
    """An assignment of each variable on a line of its own."""
    return [f"{name}={quote(value)}" for name, value in variables.items()]
