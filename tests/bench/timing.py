# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures cases alternately, so that what else the machine does falls on all of them alike."""

from __future__ import annotations

import dataclasses
import statistics
import time
import typing as t


@dataclasses.dataclass
class Case:
    """Something to measure, and what it may cost in pings."""

    name: str
    run: t.Callable[[int], object]
    prepare: t.Callable[[int], object] = lambda number: None
    target: float | None = None
    rounds: int | None = None
    seconds: list[float] = dataclasses.field(default_factory=list)

    @property
    def median(self) -> float:
        """The seconds it takes."""
        return statistics.median(self.seconds)

    def ratio(self, other: Case) -> float:
        """How many of the other it takes: the median over the rounds, each in its own round's terms."""
        return statistics.median(mine / theirs for mine, theirs in zip(self.seconds, other.seconds))


@dataclasses.dataclass
class Further:
    """One task more in a playbook, and what it may cost in further pings."""

    name: str
    single: Case
    repeated: Case
    times: int
    target: float | None = None

    @property
    def seconds(self) -> list[float]:
        """What one task more costs in each round."""
        both = zip(self.single.seconds, self.repeated.seconds)
        return [(repeated - single) / (self.times - 1) for single, repeated in both]

    @property
    def median(self) -> float:
        """The seconds it takes."""
        return statistics.median(self.seconds)

    def ratio(self, other: Further) -> float:
        """How many of the other it takes: the median over the rounds, each in its own round's terms."""
        return statistics.median(mine / theirs for mine, theirs in zip(self.seconds, other.seconds))


def alternate(cases: list[Case], rounds: int) -> None:
    """Runs A B C A B C …; round 0 warms up and does not count."""
    for number in range(rounds + 1):
        for case in cases:
            if case.rounds is None or 1 <= number <= case.rounds:
                case.prepare(number)
                seconds = _seconds(case.run, number)
                case.seconds += [seconds] if number else []


def _seconds(run: t.Callable[[int], object], number: int) -> float:
    started = time.perf_counter()
    run(number)
    return time.perf_counter() - started
