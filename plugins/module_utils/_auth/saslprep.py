# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Prepare user names and passwords for comparison (RFC 4013)."""

from __future__ import annotations

import stringprep
import unicodedata

from .._verdict.observation import probe_error

_PROHIBITED = (
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)


def saslprep(text: str, what: str) -> str:
    """Prepare a text. Code points that Unicode 3.2 does not assign are allowed."""
    if text.isascii() and text.isprintable():
        return text
    mapped = "".join(
        " " if stringprep.in_table_c12(char) else char for char in text if not stringprep.in_table_b1(char)
    )
    prepared = unicodedata.ucd_3_2_0.normalize("NFKC", mapped)
    if any(prohibited(char) for char in prepared for prohibited in _PROHIBITED) or _mixes_directions(prepared):
        raise probe_error("unfit_secret", f"{what} has characters that cannot be used to sign in")
    return prepared


def _mixes_directions(text: str) -> bool:
    if not any(stringprep.in_table_d1(char) for char in text):
        return False
    edges_fit = stringprep.in_table_d1(text[0]) and stringprep.in_table_d1(text[-1])
    return not edges_fit or any(stringprep.in_table_d2(char) for char in text)
