# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Suggests a known word in place of a misspelt one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Callable

from .._errors import printable

# Comparing takes quadratic time, and no known word is longer.
_MAX_WORD_LENGTH = 100
# Less similar words are rarely typing errors; two swapped letters of four have 0.75.
_SIMILARITY_CUTOFF = 0.7
_MIN_PREFIX_LENGTH = 3
# Each suggestion compares a word with all known ones, and there may be thousands of both.
MAX_SUGGESTIONS = 20
_NO_SYNONYMS: Mapping[str, str] = MappingProxyType({})


def nearest(word: str, known: Iterable[str], synonyms: Mapping[str, str] = _NO_SYNONYMS) -> str:
    """The known word that is most similar to this one; empty where none is similar.

    `synonyms` maps other words to the known word that each stands for.
    """
    wanted = normalize_word(word)
    spelling = {**synonyms, **{normalize_word(each): each for each in known}}
    if wanted in spelling:
        return spelling[wanted]
    if not wanted or len(wanted) > _MAX_WORD_LENGTH:
        return ""
    # A prefix of exactly one known word stands for it: "desc" for "description".
    longer = {spelling[each] for each in spelling if each.startswith(wanted)}
    if len(longer) == 1 and len(wanted) >= _MIN_PREFIX_LENGTH:
        return longer.pop()
    import difflib

    found = difflib.get_close_matches(wanted, spelling, n=1, cutoff=_SIMILARITY_CUTOFF)
    return spelling[found[0]] if found else ""


def did_you_mean(word: str, known: Iterable[str], synonyms: Mapping[str, str] = _NO_SYNONYMS) -> str:
    """The end of an error message about an unknown word: `; did you mean name?`, or empty."""
    found = nearest(word, known, synonyms)
    return f"; did you mean {found}?" if found else ""


class Suggestions:
    """Suggestions for unknown words of one kind. The known words are loaded when the first suggestion is needed."""

    def __init__(self, known: Callable[[], Iterable[str]]) -> None:
        self._look_up = known
        self._known: tuple[str, ...] | None = None
        self._remaining = MAX_SUGGESTIONS

    def did_you_mean(self, word: str) -> str:
        if self._remaining <= 0:
            return ""
        self._remaining -= 1
        if self._known is None:
            self._known = tuple(self._look_up())
        return did_you_mean(word, self._known)


def printable_word(word: str) -> str:
    """An unknown word for a message: shortened, without control characters."""
    return printable(word[:_MAX_WORD_LENGTH])


def normalize_word(word: str) -> str:
    """A word in lower case, with underscores in place of spaces and hyphens."""
    return word.strip().lower().replace("-", "_").replace(" ", "_")
