# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A primary that is killed while many write: its synchronous standby has all that a task was told is written.

`MAILROOM_FAILOVERS` says how often it is killed (default: 2, `make applications`: 12).
"""

from __future__ import annotations

import functools
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest
from peers.postgresql import DATABASE, SUPERUSER, Postgres, new_schema
from unit.plugins.module_utils._registry.samples import (
    KEY,
    carry_out,
    declare,
    entry,
    everything,
    history,
    open_database,
    request,
    secrets,
)

from ansible_collections.mailroom.core.plugins.module_utils._connector.state import Wanted
from ansible_collections.mailroom.core.plugins.module_utils._errors import RegistryError
from ansible_collections.mailroom.core.plugins.module_utils._registry.postgresql import database
from ansible_collections.mailroom.core.plugins.module_utils._registry.registry import Registry
from ansible_collections.mailroom.core.plugins.module_utils._registry.writer import Writer

WRITERS = 20
FAILOVERS = int(os.environ.get("MAILROOM_FAILOVERS", "2"))
TASKS_BETWEEN = 30
"""How many tasks succeed before the primary is killed again."""


class Pair:
    """A primary and its synchronous standby, behind one location."""

    def __init__(self, primary: Postgres, standby: Postgres) -> None:
        self.primary, self.standby = primary, standby
        self._halted: list[int] = []
        self._location = (
            f"postgresql://{SUPERUSER}@127.0.0.1:{primary.port},127.0.0.1:{standby.port}/{DATABASE}"
            f"?schema={new_schema()}&sslmode=disable&target_session_attrs=read-write"
        )

    def registry(self) -> Registry:
        return open_database(self._location, KEY, self.primary.password)

    def halt_replication(self) -> None:
        """What is committed from now on is only on the primary."""
        ((receiver,),) = self.standby.admin("SELECT pid FROM pg_stat_wal_receiver")
        os.kill(receiver, signal.SIGSTOP)
        self._halted.append(receiver)

    def resume_replication(self) -> None:
        while self._halted:
            os.kill(self._halted.pop(), signal.SIGCONT)

    def waiting_for_standby(self) -> list[int]:
        """The processes of the primary whose commit the standby does not have yet."""
        found = self.primary.admin("SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep' ORDER BY pid")
        return [pid for (pid,) in found]

    def fail_over(self) -> None:
        self.primary.kill()
        self.resume_replication()
        self.standby.promote()
        self.primary, self.standby = self.standby, self.primary

    def rebuild_standby(self) -> None:
        self.standby.follow(self.primary)


@pytest.fixture
def pair() -> Iterator[Pair]:
    settings = {"log_statement": "none"}
    with Postgres(settings) as primary, Postgres(settings, standby_of=primary) as standby:
        standby.replicate_synchronously()
        primary.replicate_synchronously()
        yield Pair(primary, standby)
        # A primary that is told to end would wait for a standby that was halted.
        standby.kill()
        primary.kill()


@dataclass
class Progress:
    """What the writers have been told."""

    written: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    has_ended: bool = False
    changed: threading.Condition = field(default_factory=threading.Condition)
    failovers: int = 0

    def tell(self, messages: list[str], message: str) -> None:
        with self.changed:
            messages.append(message)
            self.changed.notify_all()

    def wait_for_tasks(self, count: int) -> None:
        with self.changed:
            goal = len(self.written) + count
            self.changed.wait_for(lambda: len(self.written) >= goal or self.has_ended)

    def failed_over(self, *, ended: bool = False) -> None:
        with self.changed:
            self.failovers += 1
            self.has_ended = ended
            self.changed.notify_all()

    def wait_for_failover(self, number: int) -> None:
        with self.changed:
            self.changed.wait_for(lambda: self.failovers > number or self.has_ended)


def add_one(writer: Writer, name: str) -> None:
    """Add a connector, and count it in another one."""
    settings = writer.load(Wanted(frozenset(["counter"]))).connectors["counter"].settings
    count = str(int(settings["description"]) + 1)
    carry_out(writer, request(entry("counter", description=count), entry(name, f"secret of {name}")))


def keep_writing(pair: Pair, number: int, progress: Progress) -> None:
    """One task after the other, each with a connection of its own. One that fails is repeated after the fail-over."""
    turn = 0
    while not progress.has_ended:
        name, failovers = f"w{number}_{turn}", progress.failovers
        try:
            pair.registry().write(functools.partial(add_one, name=name))
        except RegistryError as error:
            progress.tell(progress.refused, str(error))
            progress.wait_for_failover(failovers)
        else:
            progress.tell(progress.written, name)
            turn += 1


@pytest.mark.matrix
def test_what_was_acknowledged_is_kept_and_nothing_is_written_twice(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, record_testsuite_property: Callable[[str, object], None]
) -> None:
    monkeypatch.setattr(database, "OUTCOME_SECONDS", 600)
    pair.registry().set_up()
    declare(pair.registry(), entry("counter", description="0"))
    progress = Progress()
    with ThreadPoolExecutor(WRITERS) as pool:
        writers = [pool.submit(keep_writing, pair, number, progress) for number in range(WRITERS)]
        try:
            for round_ in range(FAILOVERS):
                progress.wait_for_tasks(TASKS_BETWEEN)
                if round_ % 2 == 0:
                    pair.halt_replication()
                    pair.primary.wait_until(lambda: pair.waiting_for_standby() != [])
                pair.fail_over()
                progress.failed_over()
                pair.rebuild_standby()
            progress.wait_for_tasks(TASKS_BETWEEN)
        finally:
            progress.failed_over(ended=True)
    assert [writer.exception() for writer in writers] == [None] * WRITERS
    assert [message for message in progress.refused if "unknown" in message] == []
    registry = pair.registry()
    found = everything(registry)
    assert sorted(found.connectors) == sorted([*progress.written, "counter"])
    assert found.connectors["counter"].settings["description"] == str(len(progress.written))
    assert len(history(registry, "counter")) == len(progress.written) + 1
    last = progress.written[-1]
    assert secrets(registry, last) == {"smtp.password": f"secret of {last}"}
    record_testsuite_property("tasks that succeeded and failed", (len(progress.written), len(progress.refused)))


def test_a_commit_whose_answer_was_lost_counts_only_when_the_standby_has_it(pair: Pair) -> None:
    """The primary ends the connection of a task that waits for the standby, and others see its change at once."""
    registry = pair.registry()
    registry.set_up()
    with ThreadPoolExecutor(1) as pool:
        pair.halt_replication()
        task = pool.submit(registry.write, lambda writer: carry_out(writer, request(entry("a"))))
        pair.primary.wait_until(lambda: pair.waiting_for_standby() != [])
        (first,) = pair.waiting_for_standby()
        pair.primary.admin("SELECT pg_terminate_backend(%s)", [first])
        pair.primary.wait_until(lambda: task.done() or pair.waiting_for_standby() not in ([], [first]))
        was_done = task.done()
        pair.resume_replication()
        task.result()
    assert not was_done
    assert len(history(registry, "a")) == 1
