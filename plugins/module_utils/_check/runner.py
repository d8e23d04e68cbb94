# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Tests many connectors at once, within bounds: which checks each needs, and what runs side by side."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from typing import cast

from .._connector.domain import canonical
from .._connector.presets import PRESETS
from .._connector.redaction import Redaction
from .._connector.resolved import Protocol
from .._errors import MissingLibrary, format_traceback
from .._net.limits import max_tests
from .._protocol.session import MailSession
from .._verdict.observation import Observation
from .alternatives import USUAL_PAIRS, Alternatives, is_worth_trying
from .credentials import RejectedCredentials
from .endpoint import endpoint_check
from .interface import Bounds, Check, CheckContext
from .job import Job
from .result import Result, reaches
from .round_trip import RoundTripCheck

MOST_PER_PROVIDER = 10
CONCURRENCY = 32

_PROVIDERS = frozenset(
    preset[block]["host"] for preset in PRESETS.values() for block in ("smtp", "imap") if block in preset
)

ResultCallback = Callable[[int, Result], None]


def run(  # noqa: PLR0913
    jobs: Sequence[Job],
    bounds: Bounds,
    concurrency: int,
    on_result: ResultCallback | None = None,
    alternatives: Alternatives | None = None,
    *,
    refuse: Callable[[], Observation | None] | None = None,
) -> list[Result]:
    """Test every connector; the results are in the order of the jobs, and go to `on_result` as soon as they are there.

    `refuse` is asked before each, and says why it must not begin any more, if it must not.

    Connectors that sign in as the same user are tested one after another. The threads are daemons, so that an
    interrupted task ends at once. There are no more of them than there can be sockets for.
    """
    _import_early(jobs, bounds)
    if alternatives is None and bounds.alternatives:
        alternatives = Alternatives(bounds.timeout)
    batch = _Batch(jobs, bounds, alternatives, refuse)
    groups = _group_by_account(jobs)
    waiting: queue.SimpleQueue[Sequence[int]] = queue.SimpleQueue()
    for group in groups:
        waiting.put(group)
    started, limit = 0, max_tests(min(concurrency, len(groups)))
    with suppress(RuntimeError):  # this host lets no more threads be started
        while started < limit:
            threading.Thread(target=batch.work, args=(waiting,), daemon=True, name=f"test {started + 1}").start()
            started += 1
    if not started:
        batch.work(waiting)
    return batch.results(on_result)


def _import_early(jobs: Sequence[Job], bounds: Bounds) -> None:
    """What the threads import is imported before they start: at once they would get in each other's way.

    A library that is missing is reported by each connector that needs it; anything else that cannot be imported is a
    bug.
    """
    protocols: set[Protocol] = set()
    for job in jobs:
        # Where the servers of a connector cannot be listed, its own test fails with the reason.
        with suppress(Exception):
            endpoints = [*job.endpoints(), *(job.reader.endpoints() if job.reader else ())]
            protocols.update(endpoint.protocol for endpoint in endpoints)
    for protocol in sorted(protocols):
        endpoint_check(protocol)
    if "imap" in protocols:
        from .._protocol.imap_client import import_imap_client

        with suppress(MissingLibrary):
            import_imap_client()
    if any(job.connector.oauth2 for job in jobs):
        from .._auth import oauth, token_sources  # noqa: F401
        from .._net import https  # noqa: F401
    if reaches(bounds.depth, "send"):
        from .._message import compose, outgoing_mail, smtp  # noqa: F401

        if "imap" in protocols:
            from .._message import imap  # noqa: F401
        if "graph" in protocols:
            from .._message import graph  # noqa: F401


class _Batch:
    """The connectors of one run and their results so far."""

    def __init__(
        self,
        jobs: Sequence[Job],
        bounds: Bounds,
        alternatives: Alternatives | None,
        refuse: Callable[[], Observation | None] | None,
    ) -> None:
        self._jobs = jobs
        self._bounds = bounds
        self._alternatives = alternatives
        self._refuse = refuse
        self._rejected = RejectedCredentials()
        self._done: queue.SimpleQueue[tuple[int, Result]] = queue.SimpleQueue()
        self._gates = {host: threading.BoundedSemaphore(MOST_PER_PROVIDER) for host in _PROVIDERS}

    def results(self, on_result: ResultCallback | None) -> list[Result]:
        found: dict[int, Result] = {}
        for _job in self._jobs:
            position, found[position] = self._done.get()
            if on_result:
                on_result(position, found[position])
        return [found[position] for position in range(len(self._jobs))]

    def work(self, groups: queue.SimpleQueue[Sequence[int]]) -> None:
        while True:
            try:
                group = groups.get_nowait()
            except queue.Empty:
                return
            for position in group:
                self._done.put((position, self._run_job(self._jobs[position])))

    def _run_job(self, job: Job) -> Result:
        started = time.monotonic()
        result = Result(job.name, self._bounds.depth, observation=job.refused, warnings=[*self._bounds.warnings])
        result.to, result.reader = self._bounds.to, job.reader.name if job.reader else ""
        try:
            result.connector = job.connector
            if not result.observation and self._refuse:
                result.observation = self._refuse()
            if not result.observation:
                self._run_checks(job, result)
        except BaseException as error:  # noqa: BLE001  one connector's crash must not be another's
            result.observation = Observation("internal", text=type(error).__name__)
            result.traceback = format_traceback(error, Redaction(job.all_secrets()))
        result.elapsed_ms = round((time.monotonic() - started) * 1000)
        return result

    def _run_checks(self, job: Job, result: Result) -> None:
        endpoints = job.all_endpoints()
        with ExitStack() as gates:
            for host in sorted({canonical(endpoint.host) for endpoint in endpoints} & _PROVIDERS):
                gates.enter_context(self._gates[host])
            context = CheckContext.of(job, self._bounds, self._rejected)
            for check in checks_of(context):
                result.endpoints += check.run()
            # Its own servers come first, and then the mailbox of another connector.
            result.endpoints.sort(key=lambda each: bool(each.reads_for))
            if self._alternatives:
                _try_alternatives(context, result, self._alternatives)


def checks_of(context: CheckContext) -> list[Check]:
    """The checks of one connector, in order; a new kind of check is added here."""
    job, depth = context.job, context.bounds.depth
    sender, reader = job.connector.sender, job.reading_endpoint()
    endpoints = job.endpoints()
    reads_what_it_sends = reader == sender and not job.reader
    checks: list[Check] = []
    if sender and reader and not reads_what_it_sends and reaches(depth, RoundTripCheck.needs):
        checks.append(RoundTripCheck(context, sender, reader))
        endpoints = [each for each in endpoints if each not in (sender, reader)]
    return [*checks, *(endpoint_check(endpoint.protocol)(context, endpoint) for endpoint in endpoints)]


def _try_alternatives(context: CheckContext, result: Result, alternatives: Alternatives) -> None:
    """Where one of the connector's own servers was not reached, see what answers instead."""
    for each in result.endpoints:
        endpoint, observation = each.endpoint, each.observation
        has_usual_ports = endpoint.protocol in USUAL_PAIRS and not each.reads_for
        if observation and has_usual_ports and is_worth_trying(observation):
            session_type = cast(type[MailSession], endpoint_check(endpoint.protocol).session_type)
            each.alternatives = alternatives.probe(endpoint, observation, session_type, context.clock.remaining)


def _group_by_account(jobs: Sequence[Job]) -> list[list[int]]:
    """The positions of the jobs; those that sign in as the same users are in one group."""
    groups: dict[int, list[int]] = {}
    group_of: dict[tuple[str, str], int] = {}
    for position, job in enumerate(jobs):
        try:
            accounts = job.accounts()
        except Exception:  # noqa: BLE001  one connector's crash must not be another's
            accounts = frozenset()
        joined = sorted({group_of[account] for account in accounts if account in group_of})
        target = joined[0] if joined else position
        for other in joined[1:]:
            groups[target] += groups.pop(other)
        groups.setdefault(target, []).append(position)
        if len(joined) > 1:
            group_of.update({account: target for account, group in group_of.items() if group in joined})
        group_of.update(dict.fromkeys(accounts, target))
    return [sorted(group) for group in groups.values()]
