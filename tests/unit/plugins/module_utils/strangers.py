# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files and folders that belong to somebody else, also where tests do not run as root."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Callable

import pytest

STRANGER = 65534
GiveAway = Callable[[Path], None]


def give_away(monkeypatch: pytest.MonkeyPatch) -> GiveAway:
    """What makes a path belong to the stranger: really as root, else as far as os.stat and os.fstat tell."""
    if os.geteuid() == 0:
        return lambda path: os.chown(path, STRANGER, -1, follow_symlinks=False)
    given: set[tuple[int, int]] = set()

    def told(function: Callable[..., os.stat_result]) -> Callable[..., os.stat_result]:
        def with_owner(*arguments: Any, **more: Any) -> os.stat_result:
            found = function(*arguments, **more)
            if (found.st_dev, found.st_ino) not in given:
                return found
            return os.stat_result((*found[:4], STRANGER, *found[5:]))

        return with_owner

    look = os.lstat
    monkeypatch.setattr(os, "stat", told(os.stat))
    monkeypatch.setattr(os, "fstat", told(os.fstat))

    def give(path: Path) -> None:
        found = look(path)
        given.add((found.st_dev, found.st_ino))

    return give
