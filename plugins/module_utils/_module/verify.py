# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Tests what is about to be committed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from .._check.interface import Bounds
from .._check.job import Job
from .._check.result import Depth
from .._check.runner import CONCURRENCY
from .._check.runner import run as run_tests
from .._connector.plan import Plan
from .._connector.state import Connector, has_same_connection
from .._errors import ConnectorsFailed
from .._registry.registry import Reader
from .._report.table import failure_message
from .abandoned import end_when_abandoned
from .jobs import stored_job


class Trial(NamedTuple):
    """A connector as it is about to be, with what is tested of it."""

    connector: Connector
    job: Job


class Verification:
    """The tests of a task: each connector is tested once as it is about to be, and only what passed is committed."""

    def __init__(self, depth: Depth, is_check: bool, is_verbose: bool = False) -> None:
        bounds = Bounds(depth=depth, alternatives=True)
        self._bounds = bounds.in_check_mode() if is_check else bounds
        self._sends = depth == "send"
        self._is_check = is_check
        self._is_verbose = is_verbose
        self.untested_here: list[str] = []
        """Why some were not tested in check mode, which is no failure there."""
        self._tested: dict[str, Connector] = {}
        self._results: dict[str, dict[str, Any]] = {}

    def untested(self, plan: Plan) -> list[Connector]:
        """What will connect otherwise than before, as far as it has not passed just so."""
        wanted = plan.changed_connections(sends=self._sends)
        return [
            each for each in wanted if not has_same_connection(self._tested.get(each.name), each, sends=self._sends)
        ]

    def trials(self, plan: Plan, reader: Reader) -> list[Trial]:
        return [Trial(each, stored_job(reader, each, self._bounds.depth)) for each in self.untested(plan)]

    def test(self, trials: Sequence[Trial]) -> None:
        """Test many at once; one that fails ends the task."""
        if not trials:
            return
        if not self._results:
            end_when_abandoned()
        tested = run_tests([trial.job for trial in trials], self._bounds, CONCURRENCY)
        results = [each.to_dict(verbose=self._is_verbose) for each in tested]
        for trial, result in zip(trials, results):
            self._tested[trial.connector.name] = trial.connector
            self._results[trial.connector.name] = result
        failed = [each for each, result in zip(tested, results) if result["status"] == "fail"]
        if self._is_check and all(each.lacks_library() for each in failed):
            # An earlier task of the play may be going to install it.
            self.untested_here = [each.diagnosis().remedy for each in failed]
            return
        if failed:
            message = failure_message(results, "failed the test, so nothing was changed")
            raise ConnectorsFailed(message, {"changed": False, "results": results})

    def results(self, plan: Plan) -> list[dict[str, Any]]:
        """The results of what the plan changes."""
        names = [each.name for each in plan.changed_connections(sends=self._sends)]
        return [self._results[name] for name in names if name in self._results]
