# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""No reply is endless in size, in lines or in time."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator

import pytest

from ansible_collections.mailroom.core.plugins.module_utils._net import clock
from ansible_collections.mailroom.core.plugins.module_utils._net.clock import Clock
from ansible_collections.mailroom.core.plugins.module_utils._net.stream import (
    LARGEST_REPLY,
    LONGEST_LINE,
    MOST_LINES,
    Stream,
)
from ansible_collections.mailroom.core.plugins.module_utils._verdict.observation import ProbeError

Pair = tuple[Stream, socket.socket]


@contextlib.contextmanager
def _pair(timeout: float = 5, deadline: float = 5) -> Iterator[Pair]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Stream(ours, Clock(deadline, timeout)), theirs


@contextlib.contextmanager
def _fed(data: bytes, *, again: bool = False) -> Iterator[Stream]:
    """A stream whose other end says this, again and again if wanted, and then closes."""
    with _pair() as (stream, theirs):

        def feed() -> None:
            with contextlib.suppress(OSError):
                theirs.sendall(data)
                while again:
                    theirs.sendall(data)
                theirs.shutdown(socket.SHUT_WR)

        thread = threading.Thread(target=feed)
        thread.start()
        yield stream
        stream.close()
        thread.join()


def _stopped(act: Callable[[], object]) -> tuple[str, str]:
    with pytest.raises(ProbeError) as stopped:
        act()
    return stopped.value.observation.kind, stopped.value.observation.text


def _all_lines(stream: Stream) -> None:
    while True:
        stream.readline()


def test_lines_and_blocks_are_read_as_they_were_sent() -> None:
    with _fed(b"one\r\ntwo\nthree") as stream:
        assert [stream.readline(), stream.readline(), stream.read(3)] == [b"one\r\n", b"two\n", b"thr"]
        assert stream.has_unread
        assert stream.read(2) == b"ee"
        assert not stream.has_unread
        assert _stopped(lambda: stream.read(1)) == ("closed", "the server closed the connection")


def test_what_is_put_back_is_read_again() -> None:
    with _fed(b"one\r\ntwo\r\n") as stream:
        first = stream.readline()
        stream.unread(first)
        assert [stream.readline(), stream.readline()] == [b"one\r\n", b"two\r\n"]


ENDLESS = {
    "a line that does not end": b"x" * 4096,
    "lines that do not end": b"250-more\r\n" * 400,
    "blank lines": b"\n" * 4096,
    "long lines": b"x" * (LONGEST_LINE - 2) + b"\r\n",
    "null bytes": b"\0" * 4096,
}


@pytest.mark.parametrize("data", ENDLESS.values(), ids=ENDLESS)
def test_an_endless_reply_is_a_protocol_error(data: bytes) -> None:
    with _fed(data, again=True) as stream:
        assert _stopped(lambda: _all_lines(stream))[0] == "protocol"


def test_the_limits_are_those_that_are_named() -> None:
    with _fed(b"\n" * (MOST_LINES + 1)) as stream:
        for _line in range(MOST_LINES):
            stream.readline()
        assert _stopped(stream.readline)[0] == "protocol"


def test_a_huge_literal_is_not_even_waited_for() -> None:
    with _fed(b"") as stream:
        assert _stopped(lambda: stream.read(LARGEST_REPLY + 1))[0] == "protocol"


def test_many_literals_are_too_many() -> None:
    with _fed(b"x" * 65536, again=True) as stream:
        kind, text = _stopped(lambda: [stream.read(65536) for _literal in range(100)])
    assert kind == "protocol"
    assert "octets" in text


def test_the_limits_begin_anew_with_each_command() -> None:
    with _pair() as (stream, theirs):
        for _command in range(4):
            stream.sendall(b"NOOP\r\n")
            theirs.sendall(b"\n" * (MOST_LINES // 2 + 1))
            for _line in range(MOST_LINES // 2 + 1):
                stream.readline()


@pytest.mark.parametrize(("timeout", "deadline"), [(0.2, 5), (5, 0.2)])
def test_a_drip_ends_at_the_deadline(timeout: float, deadline: float) -> None:
    """Each octet comes in time, all of them together do not."""
    with _pair(timeout, deadline) as (stream, theirs):
        over = threading.Event()

        def drip() -> None:
            while not over.wait(0.02):
                theirs.sendall(b"2")

        thread = threading.Thread(target=drip)
        thread.start()
        assert _stopped(stream.readline) == ("timeout", "no answer in time")
        over.set()
        thread.join()


def test_silence_ends_at_the_timeout() -> None:
    with _pair(timeout=0.1) as (stream, _theirs):
        assert _stopped(stream.readline)[0] == "timeout"
        assert _stopped(lambda: stream.read(1))[0] == "timeout"


def test_deadline_holds_for_all_steps_together(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(clock.time, "monotonic", lambda: now[0])
    with _pair(timeout=50, deadline=80) as (stream, theirs):
        theirs.sendall(b"one\n")
        now[0] = 40
        assert stream.readline() == b"one\n"
        now[0] = 81
        assert _stopped(lambda: stream.sendall(b"NOOP\r\n"))[0] == "timeout"


def test_a_client_that_is_not_heard_ends_at_the_timeout() -> None:
    with _pair(timeout=0.1) as (stream, _theirs):
        assert _stopped(lambda: stream.sendall(b"x" * 10_000_000))[0] == "timeout"


def test_a_reset_is_told_apart_from_an_end() -> None:
    with _pair() as (stream, theirs):
        theirs.close()
        assert _stopped(stream.readline)[0] == "closed"
        assert _stopped(lambda: [stream.sendall(b"x") for _time in range(3)])[0] == "reset"


def test_plain_text_before_the_encryption_is_refused() -> None:
    with _fed(b"220 Go ahead\r\n250-injected\r\n") as stream:
        stream.readline()
        assert stream.has_unread
        assert _stopped(lambda: stream.start_tls(ssl.create_default_context(), "localhost"))[0] == "speaks_plain"


def test_a_handshake_ends_at_the_timeout() -> None:
    with _pair(timeout=0.1) as (stream, _theirs), pytest.raises(OSError, match="timed out"):
        stream.start_tls(ssl.create_default_context(), "localhost")


def test_closing_twice_is_harmless() -> None:
    with _pair() as (stream, _theirs):
        stream.close()
        stream.close()
