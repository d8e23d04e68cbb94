# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Tests connectors before their changes are committed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from .._check.interface import Bounds
from .._check.job import Job
from .._check.result import Depth, Result
from .._check.runner import CONCURRENCY
from .._check.runner import run as run_tests
from .._connector.plan import Plan
from .._connector.state import Connector, Wanted, has_same_connection
from .._errors import ConnectorsFailed
from .._registry.registry import Reader
from .._registry.writer import Writer
from .._report.model import parse_results
from .._report.table import failure_message
from .health import recorded_test
from .jobs import stored_job
from .watchdog import start_watchdog


class TestCase(NamedTuple):
    """A changed connector and the job that tests it."""

    connector: Connector
    job: Job


class Verification:
    """The tests of a task: each changed connector is tested once, and only committed if it passes."""

    def __init__(self, depth: Depth, is_check: bool, is_verbose: bool, recorded_host: str | None) -> None:
        """With `recorded_host`, the name of this host, the registry keeps the outcome of what is committed."""
        bounds = Bounds(depth=depth, alternatives=True)
        self._bounds = bounds.in_check_mode() if is_check else bounds
        self._sends = depth == "send"
        self._is_check = is_check
        self._is_verbose = is_verbose
        self._recorded_host = recorded_host
        self.skipped: list[str] = []
        """Reasons why connectors were not tested in check mode, where that is not a failure."""
        self._tested: dict[str, Connector] = {}
        self._found: dict[str, Result] = {}
        self._results: dict[str, dict[str, Any]] = {}

    def untested(self, plan: Plan) -> list[Connector]:
        """Connectors with changed connection settings that have not passed a test yet."""
        wanted = plan.changed_connections(sends=self._sends)
        return [
            each for each in wanted if not has_same_connection(self._tested.get(each.name), each, sends=self._sends)
        ]

    def test_cases(self, plan: Plan, reader: Reader) -> list[TestCase]:
        return [TestCase(each, stored_job(reader, each, self._bounds.depth)) for each in self.untested(plan)]

    def test(self, test_cases: Sequence[TestCase]) -> None:
        """Run the tests concurrently; raise if one fails."""
        if not test_cases:
            return
        if not self._results:
            start_watchdog()
        tested = run_tests([trial.job for trial in test_cases], self._bounds, CONCURRENCY)
        results = [each.to_dict(verbose=self._is_verbose) for each in tested]
        for trial, found, result in zip(test_cases, tested, results):
            self._tested[trial.connector.name] = trial.connector
            self._found[trial.connector.name] = found
            self._results[trial.connector.name] = result
        failed = [each for each, result in zip(tested, results) if result["status"] == "fail"]
        if self._is_check and all(each.lacks_library() for each in failed):
            # An earlier task of the play may install it.
            self.skipped = [each.diagnosis().remedy for each in failed]
            return
        if failed:
            message = failure_message(parse_results(results), "failed the test, so nothing was changed")
            raise ConnectorsFailed(message, {"changed": False, "results": results})

    def results(self, plan: Plan) -> list[dict[str, Any]]:
        """The results for the connectors that the plan changes."""
        names = [each.name for each in plan.changed_connections(sends=self._sends)]
        return [self._results[name] for name in names if name in self._results]

    def record(self, plan: Plan, writer: Writer, at: str) -> None:
        """Keep the outcomes for the connectors that the plan changes, in the transaction that has changed them."""
        names = [each["connector"] for each in self.results(plan)]
        if self._recorded_host is None or not names:
            return
        stored = writer.load(Wanted(frozenset(names))).connectors
        writer.record_tests(
            [
                recorded_test(self._found[name], self._results[name], stored[name], at, self._recorded_host)
                for name in names
            ]
        )
