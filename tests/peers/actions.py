# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a scripted server can do at a phase instead of what it should."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable

from peers.scripted import Talk

# True: now do what a good server would do. Otherwise the phase is over.
Action = Callable[[Talk], bool | None]

ALERT_PROTOCOL_VERSION = bytes.fromhex("15030100020246")
ALERT_HANDSHAKE_FAILURE = bytes.fromhex("15030300020228")
NOISE = bytes(range(128, 256)) + b"\x00\x01\x02\x1b[2J\r\n\xff\xfe"


def reply(*lines: str, close: bool = False) -> Action:
    """Sends these lines; `{tag}` stands for the tag of an IMAP command. After 421 or BYE, or with `close`, hangs up."""

    def act(talk: Talk) -> None:
        talk.send("".join(line.replace("{tag}", talk.tag or "*") + "\r\n" for line in lines))
        if close or lines[-1].startswith(("421", "* BYE")):
            talk.close()

    return act


def say(*lines: str) -> Action:
    """Sends these lines, and then does what it should."""

    def act(talk: Talk) -> bool:
        talk.send("".join(line + "\r\n" for line in lines))
        return True

    return act


def raw(data: bytes, close: bool = False) -> Action:
    """Sends exactly these bytes."""

    def act(talk: Talk) -> None:
        talk.send(data)
        if close:
            talk.close()

    return act


def silent() -> Action:
    """Never answers, and keeps the connection."""
    return Talk.hang


def hang_up() -> Action:
    """Closes the connection without a word."""
    return Talk.close


def reset() -> Action:
    """Resets the connection."""
    return Talk.reset


def garbage() -> Action:
    """Sends bytes that mean nothing, and then nothing more."""

    def act(talk: Talk) -> None:
        talk.send(NOISE)
        talk.hang()

    return act


def slow(seconds: float, then: Action | None = None) -> Action:
    """Waits, and then does what it should, or `then`."""

    def act(talk: Talk) -> bool | None:
        talk.wait(seconds)
        return then(talk) if then else True

    return act


def drip(text: str, seconds: float = 0.05) -> Action:
    """Sends one byte at a time; `{tag}` as in `reply`."""

    def act(talk: Talk) -> None:
        for byte in text.replace("{tag}", talk.tag or "*").encode():
            talk.send(bytes([byte]))
            talk.wait(seconds)

    return act


def endless_drip(text: str, seconds: float = 0.05) -> Action:
    """Sends one byte at a time, this text again and again, and never comes to an end."""

    def act(talk: Talk) -> None:
        for byte in itertools.cycle(text.encode()):
            talk.send(bytes([byte]))
            talk.wait(seconds)

    return act


def endless_lines(line: str, count: int | None = None) -> Action:
    """Sends the line as fast as it is read, for ever; or `count` times, and then does what it should."""
    block = (line + "\r\n").encode() * 100

    def act(talk: Talk) -> bool:
        if count is not None:
            talk.send((line + "\r\n").encode() * count)
            return True
        while True:
            talk.send(block)

    return act


def flood(start: str = "") -> Action:
    """Sends a line that never ends, as fast as it is read."""

    def act(talk: Talk) -> None:
        talk.send(start)
        while True:
            talk.send(b"x" * 65536)

    return act


def alert(record: bytes = ALERT_HANDSHAKE_FAILURE) -> Action:
    """Reads the client's first TLS record and answers with an alert."""

    def act(talk: Talk) -> None:
        talk.read()
        talk.send(record)
        talk.close()

    return act


def after(count: int, action: Action) -> Action:
    """The first `count` times does what it should, from then on the action."""
    return _counted(lambda number: number >= count, action)


def only_first(count: int, action: Action) -> Action:
    """The first `count` times does the action, from then on what it should."""
    return _counted(lambda number: number < count, action)


def _counted(applies: Callable[[int], bool], action: Action) -> Action:
    lock, numbers = threading.Lock(), itertools.count()

    def act(talk: Talk) -> bool | None:
        with lock:
            number = next(numbers)
        return action(talk) if applies(number) else True

    return act
