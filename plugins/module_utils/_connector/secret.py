# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""A type for secrets, whose value is never in a repr, JSON or diff."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

HIDDEN = "********"


class Secret:
    """A secret text that only reveal() returns."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return HIDDEN

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is neither copied nor pickled")


def is_same(one: str | Secret | None, other: str | Secret | None) -> bool:
    """Whether both are the same token of a registry, or the same Secret object.

    Values are never compared here: only the registry can tell whether a given secret is stored already.
    """
    return one == other


def changed_secrets(before: Mapping[str, str | Secret], after: Mapping[str, str | Secret]) -> set[str]:
    """The paths of secrets that were added, replaced or removed."""
    return {path for path in {**before, **after} if not is_same(before.get(path), after.get(path))}
