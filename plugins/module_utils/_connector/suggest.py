# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Suggests the known word that a misspelt one was meant to be."""

from __future__ import annotations

from collections.abc import Iterable

# Comparing takes time with the square of the length, and no known word is as long.
_LONGEST = 100
# What is less alike is another word more often than a typing error; two letters of four that changed places are 0.75.
_CUTOFF = 0.7
_SHORTEST_BEGINNING = 3


def nearest(word: str, known: Iterable[str]) -> str:
    """The known word that is nearest to this one, in its own spelling; empty where none is near."""
    wanted = _folded(word)
    spelling = {_folded(each): each for each in known}
    if wanted in spelling:
        return spelling[wanted]
    if not wanted or len(wanted) > _LONGEST:
        return ""
    # The beginning of one known word only stands for it, however long the rest is: "desc" for "description".
    longer = [each for each in spelling if each.startswith(wanted)]
    if len(longer) == 1 and len(wanted) >= _SHORTEST_BEGINNING:
        return spelling[longer[0]]
    import difflib

    found = difflib.get_close_matches(wanted, spelling, n=1, cutoff=_CUTOFF)
    return spelling[found[0]] if found else ""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The end of an error message about an unknown word: `; did you mean name?`, or nothing where none is near."""
    found = nearest(word, known)
    return f"; did you mean {found}?" if found else ""


def shown(word: str) -> str:
    """An unknown word as a message repeats it: short, and without what could do something to a terminal."""
    return "".join(char if char.isprintable() else "?" for char in word[:_LONGEST])


def _folded(word: str) -> str:
    """A word without what people write in more than one way: case, and blanks or hyphens for underscores."""
    return word.strip().lower().replace("-", "_").replace(" ", "_")
