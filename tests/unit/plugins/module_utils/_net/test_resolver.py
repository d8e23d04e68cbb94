# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A resolver that hangs, that is refused a thread or a descriptor, and that answers after all."""

from __future__ import annotations

import ast
import errno
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.mailroom.core.plugins.module_utils._net import dial, resolver
from ansible_collections.mailroom.core.plugins.module_utils._net.clock import Clock
from ansible_collections.mailroom.core.plugins.module_utils._net.resolver import Resolver
from ansible_collections.mailroom.core.plugins.module_utils._verdict.observation import (
    Observation,
    ProbeError,
    probe_error,
)

MODULE_UTILS = Path(__file__).resolve().parents[5] / "plugins" / "module_utils"
MOST = 4
FOUND = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 25))]


class NameServer:
    """What getaddrinfo asks: names that begin with `dead` are not answered until it is woken up."""

    def __init__(self) -> None:
        self.awake = threading.Event()
        self.asked: list[str] = []
        self.errors: list[Exception] = []

    def getaddrinfo(self, name: str, *_args: object, **_more: object) -> list[Any]:
        self.asked.append(name)
        if name.startswith("dead"):
            self.awake.wait()
        if self.errors:
            raise self.errors.pop(0)
        return FOUND


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[NameServer]:
    made = NameServer()
    monkeypatch.setattr(resolver.socket, "getaddrinfo", made.getaddrinfo)
    yield made
    made.awake.set()


def stopped(look_up: Callable[[], object]) -> Observation:
    with pytest.raises(ProbeError) as caught:
        look_up()
    return caught.value.observation


def threads() -> int:
    return sum(thread.name == "look-up" for thread in threading.enumerate())


class Patience(Clock):
    """A clock whose time is over as soon as something has happened, however slow this machine is."""

    def __init__(self, is_over: Callable[[], bool]) -> None:
        super().__init__(600, 600)
        self._is_over = is_over

    def step_remaining(self) -> float:
        if self._is_over():
            raise probe_error("timeout", "no answer in time")
        return super().step_remaining()


def let_hang(tested: Resolver, server: NameServer, names: int) -> list[Observation]:
    """Look up names that hang, each until it is asked for or, where there is no thread left, at once."""
    observations = []
    for name in (f"dead{number}" for number in range(names)):
        patience = Patience(lambda name=name: len(server.asked) == MOST or name in server.asked)  # type: ignore[misc]
        observations.append(stopped(lambda name=name, patience=patience: tested.resolve(name, 25, patience)))  # type: ignore[misc]
    return observations


def test_names_that_hang_have_a_bounded_number_of_threads(server: NameServer) -> None:
    before = threads()
    observations = let_hang(Resolver(MOST), server, 50)
    assert {(observation.kind, observation.text) for observation in observations} == {
        ("timeout", "the name servers did not answer in time")
    }
    assert threads() - before == MOST
    assert len(server.asked) == MOST


def test_names_are_looked_up_again_when_the_resolver_answers(server: NameServer) -> None:
    tested = Resolver(MOST)
    let_hang(tested, server, 2 * MOST)
    server.awake.set()
    assert tested.resolve("mail.example.com", 25, Clock(600, 600)) == FOUND
    assert len(server.asked) == MOST + 1, "what nobody waits for any more is not asked"


def test_a_name_is_looked_up_once_for_all_who_wait(server: NameServer) -> None:
    tested = Resolver(MOST)
    everybody = threading.Barrier(20, action=server.awake.set)

    def look_up() -> list[Any]:
        arrivals = iter([everybody.wait])

        def wait_for_the_others() -> bool:
            for arrive in arrivals:
                arrive()
            return False

        return tested.resolve("dead.example.com", 25, Patience(wait_for_the_others))

    with ThreadPoolExecutor(20) as pool:
        assert [each.result() for each in [pool.submit(look_up) for _number in range(20)]] == [FOUND] * 20
    assert server.asked == ["dead.example.com"]


def test_a_name_that_was_given_up_is_asked_for_anew(server: NameServer) -> None:
    tested = Resolver(MOST)
    for attempt in (1, 2):
        patience = Patience(lambda attempt=attempt: len(server.asked) == attempt)  # type: ignore[misc]
        stopped(lambda patience=patience: tested.resolve("dead.example.com", 25, patience))  # type: ignore[misc]
    assert len(server.asked) == 2


def test_an_ip_address_waits_for_no_name_server(server: NameServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dial, "RESOLVER", Resolver(1))
    stopped(lambda: dial.resolve("dead.example.com", 25, Patience(lambda: bool(server.asked))))
    for address in ("192.0.2.1", "2001:db8::1"):
        assert dial.resolve(address, 25, Clock(5, 5))
    assert stopped(lambda: dial.resolve("mail.example.com", 25, Clock(5, 0.01))).kind == "timeout"


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
def test_a_look_up_waits_for_a_free_descriptor(server: NameServer, number: int) -> None:
    server.errors = [OSError(number, "Too many open files")] * 3
    assert Resolver(MOST).resolve("mail.example.com", 25, Clock(600, 600)) == FOUND
    assert len(server.asked) == 4


def test_a_look_up_without_a_descriptor_ends_in_time(server: NameServer) -> None:
    server.errors = [OSError(errno.EMFILE, "Too many open files")] * 1000
    assert stopped(lambda: Resolver(MOST).resolve("mail.example.com", 25, Clock(5, 0.1))).kind == "timeout"


def test_a_host_that_starts_no_thread_is_exhausted(server: NameServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert stopped(lambda: Resolver(MOST).resolve("mail.example.com", 25, Clock(5, 0.05))).kind == "exhausted"


def test_a_thread_that_can_be_started_later_looks_up(server: NameServer, monkeypatch: pytest.MonkeyPatch) -> None:
    start, attempts = threading.Thread.start, iter([False, False, True])

    def refuse_at_first(thread: threading.Thread) -> None:
        if not next(attempts):
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse_at_first)
    assert Resolver(MOST).resolve("mail.example.com", 25, Clock(600, 600)) == FOUND


def test_nothing_waits_by_the_wall_clock() -> None:
    """Locks with a timeout do, with an old C library; a clock that jumps by hours would keep a test waiting."""
    waiting = []
    for path in MODULE_UTILS.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                is_lock = node.func.attr in ("get", "acquire", "wait")
                if is_lock and any(keyword.arg == "timeout" for keyword in node.keywords):
                    waiting.append(f"{path.relative_to(MODULE_UTILS)}:{node.lineno}")
    assert waiting == []
