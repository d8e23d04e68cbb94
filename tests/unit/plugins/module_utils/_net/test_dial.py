# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Iterator

import pytest
from peers import net

from ansible_collections.mailroom.core.plugins.module_utils._net import dial
from ansible_collections.mailroom.core.plugins.module_utils._net.clock import Clock
from ansible_collections.mailroom.core.plugins.module_utils._net.dial import Address, _interleave, connect, resolve
from ansible_collections.mailroom.core.plugins.module_utils._verdict.observation import ProbeError

V4, V6 = socket.AF_INET, socket.AF_INET6
ORDERS = {
    "6 6 4 4": ([(V6, "a"), (V6, "b"), (V4, "c"), (V4, "d")], "acbd"),
    "4 4 6": ([(V4, "a"), (V4, "b"), (V6, "c")], "acb"),
    "6 4 4 4": ([(V6, "a"), (V4, "b"), (V4, "c"), (V4, "d")], "abcd"),
    "one family": ([(V4, "a"), (V4, "b")], "ab"),
    "twice the same": ([(V4, "a"), (V4, "a"), (V6, "b")], "ab"),
    "none": ([], ""),
}


@pytest.fixture
def good() -> Iterator[int]:
    """A port at which 127.0.0.1 listens."""
    with net.listening() as listener:
        yield listener.getsockname()[1]


def _at(host: str, port: int) -> Address:
    return Address(V6 if ":" in host else V4, (host, port))


@pytest.mark.parametrize(("given", "tried"), ORDERS.values(), ids=ORDERS)
def test_addresses_are_tried_in_turn(given: list[tuple[int, str]], tried: str) -> None:
    addresses = [Address(family, (name, 25)) for family, name in given]
    assert "".join(address.text for address in _interleave(addresses)) == tried


def test_dead_first_address_is_given_up_for_the_next_after_a_quarter_of_a_second(good: int) -> None:
    assert dial.CONNECTION_ATTEMPT_DELAY == 0.25
    with net.Blackhole("127.0.0.2", good):
        connection, address = connect([_at("127.0.0.2", good), _at("127.0.0.1", good)], Clock(600, 600))
        connection.close()
    assert address.text == "127.0.0.1"


def test_a_refused_first_address_costs_nothing(good: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dial, "CONNECTION_ATTEMPT_DELAY", 3600)
    with net.Refused("127.0.0.2", good):
        connection, address = connect([_at("127.0.0.2", good), _at("127.0.0.1", good)], Clock(600, 600))
        connection.close()
    assert address.text == "127.0.0.1"


def test_all_refused_is_refused() -> None:
    with net.Refused("127.0.0.2") as first, net.Refused("127.0.0.3") as second, pytest.raises(ConnectionRefusedError):
        connect([_at(first.host, first.port), _at(second.host, second.port)], Clock(5, 5))


def test_no_address_at_all_is_no_connection() -> None:
    with pytest.raises(OSError, match="no address"):
        connect([], Clock(5, 5))


def test_all_dead_ends_at_the_timeout() -> None:
    with (
        net.Blackhole("127.0.0.2") as first,
        net.Blackhole("127.0.0.3") as second,
        pytest.raises(ProbeError) as stopped,
    ):
        connect([_at(first.host, first.port), _at(second.host, second.port)], Clock(600, 0.4))
    assert stopped.value.observation.kind == "timeout"


def test_a_family_that_is_not_here_is_passed_over(good: int, monkeypatch: pytest.MonkeyPatch) -> None:
    made = socket.socket

    def only_ipv4(family: int, kind: int) -> socket.socket:
        if family == V6:
            raise OSError(97, "Address family not supported by protocol")
        return made(family, kind)

    monkeypatch.setattr(dial.socket, "socket", only_ipv4)
    connection, address = connect([_at("::1", good), _at("127.0.0.1", good)], Clock(5, 5))
    connection.close()
    assert address.text == "127.0.0.1"


def test_a_connection_waits_for_a_free_descriptor(good: int, monkeypatch: pytest.MonkeyPatch) -> None:
    made, short = socket.socket, [OSError(number, "Too many open files") for number in (errno.EMFILE, errno.ENFILE) * 2]

    def none_at_first(family: int, kind: int) -> socket.socket:
        if short:
            raise short.pop()
        return made(family, kind)

    monkeypatch.setattr(dial.socket, "socket", none_at_first)
    connection, address = connect([_at("127.0.0.1", good)], Clock(600, 600))
    connection.close()
    assert address.text == "127.0.0.1"


def test_a_connection_without_a_descriptor_ends_in_time(good: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(_family: int, _kind: int) -> socket.socket:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(dial.socket, "socket", none)
    with pytest.raises(OSError, match="Too many open files"):
        connect([_at("127.0.0.1", good), _at("127.0.0.2", good)], Clock(5, 0.2))


def test_the_losers_are_closed(good: int, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[socket.socket] = []
    real = socket.socket

    def remembered(family: int, kind: int) -> socket.socket:
        made.append(real(family, kind))
        return made[-1]

    with net.Blackhole("127.0.0.2", good):
        monkeypatch.setattr(dial.socket, "socket", remembered)
        connection, _address = connect([_at("127.0.0.2", good), _at("127.0.0.1", good)], Clock(5, 5))
        monkeypatch.undo()
    assert [each.fileno() >= 0 for each in made] == [False, True]
    connection.close()


def test_a_name_is_looked_up() -> None:
    assert "127.0.0.1" in {address.text for address in resolve("localhost", 25, Clock(5, 5))}


@pytest.mark.parametrize("host", ["a..b", "ü" * 70 + ".example.com", "a" * 70 + ".example.com"])
def test_what_cannot_be_a_name_is_not_found(host: str) -> None:
    with pytest.raises((ProbeError, socket.gaierror)) as stopped:
        resolve(host, 25, Clock(5, 5))
    if isinstance(stopped.value, ProbeError):
        assert stopped.value.observation.kind == "not_found"


def test_a_resolver_that_hangs_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()
    monkeypatch.setattr(dial.socket, "getaddrinfo", lambda *_args, **_more: over.wait())
    with pytest.raises(ProbeError) as stopped:
        resolve("mail.example.com", 25, Clock(600, 0.1))
    over.set()
    assert stopped.value.observation.kind == "timeout"


def test_a_resolvers_error_is_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: object, **_more: object) -> None:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(dial.socket, "getaddrinfo", fail)
    with pytest.raises(socket.gaierror):
        resolve("mail.example.com", 25, Clock(5, 5))
