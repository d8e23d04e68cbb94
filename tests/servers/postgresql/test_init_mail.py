# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Init Mail from a shared registry: one task at a time, and neither lock nor connection while mail is on its way."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from peers import actions
from peers.scripted import Talk
from peers.smtp import SmtpScript
from servers.test_connector_test import run
from unit.plugins.module_utils._registry.samples import declare, entry

from ansible_collections.mailroom.core.plugins.module_utils._errors import RegistryError
from ansible_collections.mailroom.core.plugins.module_utils._registry.postgresql import lease
from ansible_collections.mailroom.core.plugins.module_utils._registry.postgresql.database import Database
from ansible_collections.mailroom.core.plugins.module_utils._registry.postgresql.lease import Lease, holding
from ansible_collections.mailroom.core.plugins.module_utils._registry.postgresql.location import parse_location

from .conftest import Place


def options(place: Place) -> dict[str, Any]:
    return {"registry": place.server.socket_location(place.schema), "actor": "tester"}


def store(place: Place, port: int) -> None:
    smtp = {"host": "127.0.0.1", "port": port, "security": "none"}
    declare(place.over_socket(), entry("alerts", from_address="a@example.com", test_address="b@example.com", smtp=smtp))


def test_two_tasks_at_once_send_one_mail(place: Place) -> None:
    script = SmtpScript({"rcpt": actions.slow(0.5)})
    with script.server() as server, ThreadPoolExecutor(3) as together:
        store(place, server.port)
        answers = list(together.map(lambda _number: run("init_mail", options(place)), range(3)))
        mails = b"".join(server.received).count(b"Subject: Init Mail")
    assert sorted(len(answer["sent"]) for answer in answers) == [0, 0, 1]
    assert mails == 1


@pytest.mark.parametrize("module", ["init_mail", "connector_test", "connector"])
def test_no_connection_is_open_while_a_server_is_talked_to(place: Place, module: str) -> None:
    open_ones: list[Any] = []

    def look(_talk: Talk) -> bool:
        query = "SELECT query FROM pg_stat_activity WHERE application_name = 'mailroom.core'"
        open_ones.append(place.admin(query))
        return True

    with SmtpScript({"ehlo": look}).server() as server:
        store(place, server.port)
        more = {"name": "alerts", "description": "new", "from_address": "c@example.com", "verify": "send"}
        answer = run(module, {**options(place), **(more if module == "connector" else {})})
    assert not answer.get("failed"), answer
    assert open_ones == [[]]


@pytest.fixture
def database(place: Place) -> Database:
    return Database(parse_location(place.server.socket_location(place.schema)), None)


class TestLease:
    def test_one_holds_it_until_he_lets_go(self, database: Database) -> None:
        first, second = Lease(database, "x"), Lease(database, "x")
        assert (first.take(), second.take(), first.renew()) == (True, False, True)
        first.release()
        assert second.take()
        assert not first.renew()

    def test_another_name_is_another_lease(self, database: Database) -> None:
        assert (Lease(database, "x").take(), Lease(database, "y").take()) == (True, True)

    def test_one_whose_holder_was_killed_ends_by_the_databases_clock(self, place: Place, database: Database) -> None:
        killed, next_one = Lease(database, "x"), Lease(database, "x")
        killed.take()
        place.admin("UPDATE {s}.lease SET expires_at = clock_timestamp() - interval '1 second'")
        assert not killed.renew()
        assert next_one.take()
        assert place.admin("SELECT fence FROM {s}.lease") == [(2,)]

    def test_who_could_not_renew_it_in_time_may_begin_nothing_more(
        self, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        held = Lease(database, "x")
        held.take()
        held.check()
        monkeypatch.setattr(lease.time, "monotonic", lambda: 10**9)
        with pytest.raises(RegistryError, match="another task may be at work"):
            held.check()

    def test_it_is_renewed_meanwhile(self, place: Place, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(lease, "RENEWAL_SECONDS", 0.01)
        with holding(database, "x") as held:
            (before,) = place.admin("SELECT expires_at FROM {s}.lease")
            while place.admin("SELECT expires_at FROM {s}.lease") == [before]:
                pass
            held.check()
        assert place.admin("SELECT expires_at <= clock_timestamp() FROM {s}.lease") == [(True,)]


def test_a_task_whose_turn_has_ended_sends_nothing(place: Place, monkeypatch: pytest.MonkeyPatch, play: Any) -> None:
    with SmtpScript({}).server() as server:
        store(place, server.port)
        monkeypatch.setattr(lease, "LEASE_SECONDS", -1)
        answer = play("init_mail", **options(place))
        assert b"".join(server.received) == b""
    assert answer["failed"]
    assert answer["sent"] == []
    assert [each["verdict"] for each in answer["results"]] == ["host_not_ready"]
