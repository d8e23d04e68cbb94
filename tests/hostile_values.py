# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values with characters that formats give a meaning."""

from __future__ import annotations

import random

SPECIAL = "#;\"'\\:%$` \t{}[]()<>&|*?!~=,@-+^/\u00e9\u2192\U0001f600\u00a0"
WORDS = ["", " ", "a", "%(a)s", "${a}", "$(a)", "`a`", "<%= a %>", "#{a}", "&amp;", "\\n", "'''", '"""', "]]>", "null"]
HOSTILE = [
    *WORDS,
    *SPECIAL,
    *(f" {char} " for char in SPECIAL),
    *(f"{char}a" for char in SPECIAL),
    *(f"a{char}" for char in SPECIAL),
    *(one + other for one in SPECIAL for other in SPECIAL),
    *("".join(random.Random(number).choices(SPECIAL + "ab1", k=12)) for number in range(300)),
]
