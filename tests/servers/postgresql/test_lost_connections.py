# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A connection that is cut at COMMIT: the change is made once, and the task knows whether it was."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from peers.cutting import CuttingProxy, Moment
from unit.plugins.module_utils._registry.samples import carry_out, entry, everything, history, request

from ansible_collections.mailroom.core.plugins.module_utils._errors import RegistryError
from ansible_collections.mailroom.core.plugins.module_utils._registry.postgresql import database
from ansible_collections.mailroom.core.plugins.module_utils._registry.registry import Registry
from ansible_collections.mailroom.core.plugins.module_utils._registry.writer import Writer

from .conftest import Place


@pytest.fixture
def proxy(place: Place) -> Iterator[CuttingProxy]:
    with CuttingProxy(place.server.port) as proxy:
        yield proxy


class Work:
    """Declares a connector, and counts how often it was asked to."""

    def __init__(self) -> None:
        self.runs = 0

    def __call__(self, writer: Writer) -> None:
        self.runs += 1
        carry_out(writer, request(entry("a", "secret")))


@pytest.fixture
def registry(place: Place, proxy: CuttingProxy) -> Registry:
    return place.over_tcp(proxy.port)


def test_a_commit_whose_answer_is_lost_is_not_repeated(place: Place, proxy: CuttingProxy, registry: Registry) -> None:
    work = Work()
    proxy.cut_commits("after")
    registry.write(work)
    assert proxy.cut.is_set()
    assert work.runs == 1
    assert len(history(place.over_socket(), "a")) == 1


def test_a_commit_that_never_arrived_is_repeated(place: Place, proxy: CuttingProxy, registry: Registry) -> None:
    work = Work()
    proxy.cut_commits("before", times=2)
    registry.write(work)
    assert work.runs == 3
    assert len(history(place.over_socket(), "a")) == 1


def test_to_ask_leaves_no_mark(place: Place, proxy: CuttingProxy, registry: Registry) -> None:
    proxy.cut_commits("before")
    registry.write(Work())
    assert place.admin("SELECT count(*) FROM {s}.transaction_mark") == [(1,)]


def test_who_is_cut_off_again_and_again_fails_and_has_changed_nothing(
    place: Place, proxy: CuttingProxy, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    proxy.cut_commits("before", times=100)
    with pytest.raises(RegistryError) as failed:
        registry.write(Work())
    assert str(failed.value).endswith("cannot be changed: the connection was lost before the change was committed.")
    assert everything(place.over_socket()).connectors == {}


@pytest.mark.parametrize(("moment", "count"), [("after", 1), ("before", 0)])
def test_what_cannot_be_found_out_is_unknown_and_names_the_query_that_decides(
    place: Place, proxy: CuttingProxy, monkeypatch: pytest.MonkeyPatch, moment: Moment, count: int
) -> None:
    monkeypatch.setattr(database, "OUTCOME_SECONDS", 0)
    proxy.cut_commits(moment, out_of_reach=True)
    with pytest.raises(RegistryError) as failed:
        place.over_tcp(proxy.port).write(Work())
    message = str(failed.value)
    assert message.startswith(f"Whether the registry postgresql://postgres@127.0.0.1:{proxy.port}/mail?schema=")
    assert " was changed is unknown: " in message
    assert proxy.settled.wait(600)
    query = message.partition("the change was made if this query says 1: ")[2]
    assert place.admin(query) == [(count,)]
    assert len(everything(place.over_socket()).connectors) == count


def test_a_lost_connection_is_told_without_the_password(place: Place, proxy: CuttingProxy) -> None:
    proxy.cut_commits("never", out_of_reach=True)
    proxy.cut.set()
    with pytest.raises(RegistryError) as failed:
        everything(place.over_tcp(proxy.port))
    assert " cannot be reached: " in str(failed.value)
    assert place.server.password not in str(failed.value)
