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
from .._connector.resolved import Endpoint
from .._errors import MissingLibrary, traceback_of
from .._message.transport import transport_type
from .._net.limits import tests_at_once
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


def run(
    jobs: Sequence[Job],
    bounds: Bounds,
    concurrency: int,
    told: ResultCallback | None = None,
    alternatives: Alternatives | None = None,
) -> list[Result]:
    """Test every connector; the results are in the order of the jobs. `told` hears of each as soon as it is there.

    Connectors that sign in as the same user are tested one after another. The threads are daemons, so that an
    interrupted task ends at once. There are no more of them than there can be sockets for.
    """
    _import_early(jobs, bounds)
    if alternatives is None and bounds.alternatives:
        alternatives = Alternatives(bounds.timeout)
    batch = _Batch(jobs, bounds, alternatives)
    groups: queue.SimpleQueue[Sequence[int]] = queue.SimpleQueue()
    waiting = _sharing(jobs)
    for group in waiting:
        groups.put(group)
    if not _start(tests_at_once(min(concurrency, len(waiting))), lambda: batch.work(groups)):
        batch.work(groups)
    return batch.results(told)


def _import_early(jobs: Sequence[Job], bounds: Bounds) -> None:
    """What the threads import is imported before they start: at once they would get in each other's way.

    A library that is missing is told by each connector that needs it; anything else that cannot be imported is a bug.
    """
    protocols = sorted({endpoint.protocol for job in jobs for endpoint in _endpoints(job)})
    for protocol in protocols:
        endpoint_check(protocol)
    if "imap" in protocols:
        with suppress(MissingLibrary):
            _imap_library()
    if any(job.connector.oauth2 for job in jobs):
        _token_modules()
    if reaches(bounds.depth, "send"):
        _mail_modules()
        for protocol in protocols:
            transport_type(protocol)


def _imap_library() -> object:
    from .._protocol.imap_client import client_type

    return client_type()


def _token_modules() -> tuple[object, ...]:
    from .._auth import oauth, ways
    from .._net import https

    return oauth, ways, https


def _mail_modules() -> tuple[object, ...]:
    from .._message import compose, letter, smtp

    return compose, letter, smtp


def _endpoints(job: Job) -> list[Endpoint]:
    """The servers of a connector and of its mailbox; where they cannot be told, its own test fails with the reason."""
    try:
        return [*job.endpoints(), *(job.reader.endpoints() if job.reader else ())]
    except Exception:  # noqa: BLE001  one connector's crash must not be another's
        return []


def _accounts(job: Job) -> frozenset[tuple[str, str]]:
    try:
        return job.accounts()
    except Exception:  # noqa: BLE001  one connector's crash must not be another's
        return frozenset()


def _start(count: int, work: Callable[[], None]) -> int:
    """As many threads as this host lets be started, up to a number; how many."""
    started = 0
    with suppress(RuntimeError):
        for started in range(count):
            threading.Thread(target=work, daemon=True, name=f"test {started + 1}").start()
        started = count
    return started


class _Batch:
    """The connectors of one run and what was found out so far."""

    def __init__(self, jobs: Sequence[Job], bounds: Bounds, alternatives: Alternatives | None) -> None:
        self._jobs = jobs
        self._bounds = bounds
        self._alternatives = alternatives
        self._rejected = RejectedCredentials()
        self._done: queue.SimpleQueue[tuple[int, Result]] = queue.SimpleQueue()
        self._gates = {host: threading.BoundedSemaphore(MOST_PER_PROVIDER) for host in _PROVIDERS}

    def results(self, told: ResultCallback | None) -> list[Result]:
        found: dict[int, Result] = {}
        for _job in self._jobs:
            position, found[position] = self._done.get()
            if told:
                told(position, found[position])
        return [found[position] for position in range(len(self._jobs))]

    def work(self, groups: queue.SimpleQueue[Sequence[int]]) -> None:
        while True:
            try:
                group = groups.get_nowait()
            except queue.Empty:
                return
            for position in group:
                self._done.put((position, self._tested(self._jobs[position])))

    def _tested(self, job: Job) -> Result:
        started = time.monotonic()
        result = Result(job.name, self._bounds.depth, observation=job.refused, warnings=[*self._bounds.warnings])
        result.to, result.reader = self._bounds.to, job.reader.name if job.reader else ""
        try:
            result.connector = job.connector
            if not job.refused:
                self._test(job, result)
        except BaseException as error:  # noqa: BLE001  one connector's crash must not be another's
            result.observation = Observation("internal", text=type(error).__name__)
            result.traceback = traceback_of(error, Redaction(job.all_secrets()))
        result.elapsed_ms = round((time.monotonic() - started) * 1000)
        return result

    def _test(self, job: Job, result: Result) -> None:
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
    """What is to be done for one connector, in order."""
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
            each.alternatives = alternatives.of(endpoint, observation, session_type, context.clock.remaining)


def _sharing(jobs: Sequence[Job]) -> list[list[int]]:
    """The jobs' positions, those together that sign in as the same users."""
    groups: dict[int, list[int]] = {}
    group_of: dict[tuple[str, str], int] = {}
    for position, job in enumerate(jobs):
        accounts = _accounts(job)
        joined = sorted({group_of[account] for account in accounts if account in group_of})
        target = joined[0] if joined else position
        for other in joined[1:]:
            groups[target] += groups.pop(other)
        groups.setdefault(target, []).append(position)
        if len(joined) > 1:
            group_of.update({account: target for account, group in group_of.items() if group in joined})
        group_of.update(dict.fromkeys(accounts, target))
    return [sorted(group) for group in groups.values()]
