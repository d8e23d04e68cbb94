# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Suggests the known word that a misspelt one was meant to be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Callable

from .._errors import printable

# Comparing takes time with the square of the length, and no known word is as long.
_LONGEST = 100
# What is less alike is another word more often than a typing error; two letters of four that changed places are 0.75.
_CUTOFF = 0.7
_SHORTEST_BEGINNING = 3
# Each suggestion compares one word with all that are known, and there may be thousands of both.
MOST_SUGGESTIONS = 20
_NO_OTHERS: Mapping[str, str] = MappingProxyType({})


def nearest(word: str, known: Iterable[str], others: Mapping[str, str] = _NO_OTHERS) -> str:
    """The known word that is nearest to this one, in its own spelling; empty where none is near.

    `others` says which known word stands for each word that people use in its place.
    """
    wanted = folded(word)
    spelling = {**others, **{folded(each): each for each in known}}
    if wanted in spelling:
        return spelling[wanted]
    if not wanted or len(wanted) > _LONGEST:
        return ""
    # The beginning of one known word only stands for it, however long the rest is: "desc" for "description".
    longer = {spelling[each] for each in spelling if each.startswith(wanted)}
    if len(longer) == 1 and len(wanted) >= _SHORTEST_BEGINNING:
        return longer.pop()
    import difflib

    found = difflib.get_close_matches(wanted, spelling, n=1, cutoff=_CUTOFF)
    return spelling[found[0]] if found else ""


def did_you_mean(word: str, known: Iterable[str], others: Mapping[str, str] = _NO_OTHERS) -> str:
    """The end of an error message about an unknown word: `; did you mean name?`, or nothing where none is near."""
    found = nearest(word, known, others)
    return f"; did you mean {found}?" if found else ""


class Suggestions:
    """What to suggest for unknown words of one kind. The known ones are only looked up once there is an unknown one."""

    def __init__(self, known: Callable[[], Iterable[str]]) -> None:
        self._look_up = known
        self._known: tuple[str, ...] | None = None
        self._left = MOST_SUGGESTIONS

    def did_you_mean(self, word: str) -> str:
        if self._left <= 0:
            return ""
        self._left -= 1
        if self._known is None:
            self._known = tuple(self._look_up())
        return did_you_mean(word, self._known)


def shown(word: str) -> str:
    """An unknown word as a message repeats it: short, and without what could do something to a terminal."""
    return printable(word[:_LONGEST])


def folded(word: str) -> str:
    """A word without what people write in more than one way: case, and blanks or hyphens for underscores."""
    return word.strip().lower().replace("-", "_").replace(" ", "_")
