# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Tests many connectors at once, within bounds."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from importlib import import_module

from .._connector.presets import PRESETS
from .._session.endpoint import Endpoint
from .._verdict.observed import Signal, Stopped
from .alternatives import Alternatives
from .course import Course
from .job import Job
from .probe import Bounds
from .refusals import Refusals
from .result import Result, reaches

MOST_PER_PROVIDER = 10
CONCURRENCY = 32

_PROVIDERS = frozenset(
    preset[block]["host"] for preset in PRESETS.values() for block in ("smtp", "imap") if block in preset
)

Told = Callable[[int, Result], None]


def run(
    jobs: Sequence[Job],
    bounds: Bounds,
    concurrency: int,
    told: Told | None = None,
    alternatives: Alternatives | None = None,
) -> list[Result]:
    """Test every connector; the results are in the order of the jobs. `told` hears of each as soon as it is there.

    Connectors that sign in as the same user are tested one after another. The threads are daemons, so that an
    interrupted task ends at once.
    """
    _import_early(jobs, bounds)
    if alternatives is None and bounds.alternatives:
        alternatives = Alternatives(bounds.timeout)
    batch = _Batch(jobs, bounds, alternatives)
    groups: queue.SimpleQueue[Sequence[int]] = queue.SimpleQueue()
    waiting = _sharing(jobs)
    for group in waiting:
        groups.put(group)
    if not _start(min(concurrency, len(waiting)), lambda: batch.work(groups)):
        batch.work(groups)
    return batch.results(told)


def _import_early(jobs: Sequence[Job], bounds: Bounds) -> None:
    """What the threads import is imported before they start: at once they would get in each other's way."""
    names = {f"{__package__}.{endpoint.protocol}" for job in jobs for endpoint in _endpoints(job)}
    if any("oauth2" in job.effective for job in jobs):
        names |= {_near("_signin.ways"), _near("_signin.oauth"), _near("_wire.https")}
    if any(name.endswith(".imap") for name in names):
        names |= {_near("_session.imap_client"), "imapclient"}
    if reaches(bounds.depth, "send"):
        names |= {_near(f"_mail.{name}") for name in ("compose", "facts", "message_id", "queue_ids")}
        names |= {_near(f"_mail.{name.rpartition('.')[2]}") for name in names if name.startswith(f"{__package__}.")}
    for name in sorted(names):
        with suppress(Exception):
            import_module(name)


def _endpoints(job: Job) -> list[Endpoint]:
    with suppress(Stopped):
        return [*job.endpoints(), *(job.reader.endpoints() if job.reader else ())]
    return []


def _near(name: str) -> str:
    return f"{str(__package__).rpartition('.')[0]}.{name}"


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
        self._refusals = Refusals()
        self._done: queue.SimpleQueue[tuple[int, Result]] = queue.SimpleQueue()
        self._gates = {host: threading.BoundedSemaphore(MOST_PER_PROVIDER) for host in _PROVIDERS}

    def results(self, told: Told | None) -> list[Result]:
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
        result = Result(job.connector, self._bounds.depth, signal=job.refused, remarks=[*self._bounds.remarks])
        result.declared, result.to = job.declared(), self._bounds.to
        try:
            if not job.refused:
                self._test(job, result)
        except BaseException as error:  # noqa: BLE001  one connector's crash must not be another's
            result.signal = Signal("internal", text=type(error).__name__)
        result.elapsed_ms = round((time.monotonic() - started) * 1000)
        return result

    def _test(self, job: Job, result: Result) -> None:
        endpoints = job.all_endpoints()
        with ExitStack() as gates:
            for host in sorted({endpoint.host.lower() for endpoint in endpoints} & _PROVIDERS):
                gates.enter_context(self._gates[host])
            Course(job, self._bounds, self._refusals, result.endpoints, self._alternatives).run()


def _sharing(jobs: Sequence[Job]) -> list[list[int]]:
    """The jobs' positions, those together that sign in as the same users."""
    groups: dict[int, list[int]] = {}
    group_of: dict[tuple[str, str], int] = {}
    for position, job in enumerate(jobs):
        accounts = job.accounts()
        joined = sorted({group_of[account] for account in accounts if account in group_of})
        target = joined[0] if joined else position
        for other in joined[1:]:
            groups[target] += groups.pop(other)
        groups.setdefault(target, []).append(position)
        group_of.update({account: target for account, group in group_of.items() if group in joined})
        group_of.update(dict.fromkeys(accounts, target))
    return [sorted(group) for group in groups.values()]
