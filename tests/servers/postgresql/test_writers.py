# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many at once: writers take turns and lose nothing, readers wait for nobody, also behind a pooler."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Callable

import psycopg
import pytest
from peers.postgresql import DATABASE, SUPERUSER, PgBouncer, Postgres
from unit.plugins.module_utils._registry.samples import carry_out, declare, entry, everything, history, request, secrets

from ansible_collections.mailroom.core.plugins.module_utils._connector.state import Wanted
from ansible_collections.mailroom.core.plugins.module_utils._registry.registry import Registry
from ansible_collections.mailroom.core.plugins.module_utils._registry.writer import Writer

from .conftest import Place

WRITERS, TURNS = 6, 3


@pytest.fixture(scope="module")
def pooler(server: Postgres) -> Iterator[PgBouncer]:
    with PgBouncer(server) as pooler:
        yield pooler


@pytest.fixture(params=["directly", "through PgBouncer"])
def open_one(request: pytest.FixtureRequest, place: Place) -> Callable[[], Registry]:
    port = None if request.param == "directly" else request.getfixturevalue("pooler").port
    return lambda: place.over_tcp(port)


def count_up(writer: Writer) -> None:
    """A change that depends on what was there before."""
    settings = writer.load(Wanted(frozenset(["counter"]))).connectors["counter"].settings
    carry_out(writer, request(entry("counter", description=str(int(settings["description"]) + 1))))


def test_writers_lose_no_change(open_one: Callable[[], Registry]) -> None:
    declare(open_one(), entry("counter", "secret", description="0"))

    def work(number: int) -> None:
        registry = open_one()
        for turn in range(TURNS):
            registry.write(count_up)
            declare(registry, entry(f"w{number}_{turn}", f"secret {number} {turn}"))

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(work, range(WRITERS)))
    found = everything(open_one())
    assert found.connectors["counter"].settings["description"] == str(WRITERS * TURNS)
    assert len(history(open_one(), "counter")) == WRITERS * TURNS + 1
    assert len(found.connectors) == WRITERS * TURNS + 1
    assert secrets(open_one(), "w3_2") == {"smtp.password": "secret 3 2"}


def test_a_reader_does_not_wait_for_a_writer_and_sees_nothing_of_it(open_one: Callable[[], Registry]) -> None:
    declare(open_one(), entry("a"))
    with open_one().writing() as writer:
        carry_out(writer, request(entry("b")))
        assert list(everything(open_one()).connectors) == ["a"]
    assert list(everything(open_one()).connectors) == ["a", "b"]


def test_a_reader_sees_one_state_while_others_write(open_one: Callable[[], Registry]) -> None:
    declare(open_one(), entry("a"))
    with open_one().reading() as reader:
        before = reader.load(Wanted())
        declare(open_one(), entry("b"))
        assert reader.load(Wanted()).connectors == before.connectors


def test_a_deadlock_with_somebody_else_is_tried_again(place: Place) -> None:
    """Somebody holds a row by hand, and then wants the one that a task holds."""
    registry = place.over_socket()
    declare(registry, entry("counter", description="0"))
    runs = []
    given = {"host": str(place.server.folder), "port": place.server.port, "user": SUPERUSER, "dbname": DATABASE}
    with psycopg.connect(**given) as by_hand, ThreadPoolExecutor(1) as pool:
        # Whoever waits this long finds the deadlock and gives way: that shall be the task.
        by_hand.execute("SET deadlock_timeout = '1h'")
        by_hand.execute(f"UPDATE {place.schema}.connector SET created_by = 'hand'")

        def work(writer: Writer) -> None:
            runs.append(pool.submit(lambda: _end_after(by_hand, place.schema)) if not runs else None)
            count_up(writer)

        registry.write(work)
    assert len(runs) == 2
    assert everything(registry).connectors["counter"].settings["description"] == "1"


def _end_after(by_hand: psycopg.Connection[tuple[object, ...]], schema: str) -> None:
    by_hand.execute(f"UPDATE {schema}.registry SET turn = turn")
    by_hand.commit()


def test_an_unchanged_task_writes_nothing(place: Place) -> None:
    registry = place.over_socket()
    declare(registry, entry("a"))
    before = place.admin("SELECT * FROM {s}.transaction_mark")
    assert not declare(registry, entry("a")).changed
    assert place.admin("SELECT * FROM {s}.transaction_mark") == before
