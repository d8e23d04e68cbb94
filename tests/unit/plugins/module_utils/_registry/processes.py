# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Child processes that talk to the test through pipes and can be killed at any moment."""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Callable


class Link:
    """One end of the conversation between a test and its child, line by line."""

    def __init__(self, hears: int, tells: int) -> None:
        self._hears = os.fdopen(hears, "rb", buffering=0)
        self._tells = os.fdopen(tells, "wb", buffering=0)

    def tell(self, word: str = "") -> None:
        self._tells.write(word.encode() + b"\n")

    def hear(self) -> str | None:
        """The next line, or None where the other side has gone."""
        line = self._hears.readline()
        return line.decode().rstrip("\n") if line.endswith(b"\n") else None

    def hear_all(self) -> list[str]:
        """What is left to hear until the other side has gone."""
        return list(iter(self.hear, None))

    def close(self) -> None:
        self._hears.close()
        self._tells.close()


class Child(Link):
    """A forked process as the test sees it."""

    def __init__(self, pid: int, hears: int, tells: int) -> None:
        super().__init__(hears, tells)
        self.pid = pid
        self._status: int | None = None

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        self.wait()

    def wait(self) -> int:
        """How it ended: its exit code, or the negative number of the signal."""
        if self._status is None:
            self._status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self._status

    @property
    def is_gone(self) -> bool:
        return self._status is not None

    def watch_it_wait(self) -> None:
        """Return when it has tried for a lock several times in vain, with a nap after each."""
        before = self._naps()
        while self._naps() < before + 4:
            os.sched_yield()

    def _naps(self) -> int:
        """How often it has given the processor back."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="utf-8", errors="replace")
        told = dict(line.split(":", 1) for line in status.splitlines())
        assert "Z" not in told["State"].split()[0], "the child has ended"
        return int(told["voluntary_ctxt_switches"])


@contextmanager
def forked(body: Callable[[Link], object]) -> Iterator[Child]:
    """Run `body` in a child. It is ended with the block, however that ends.

    No connection to SQLite may be open here: the child would take this process's locks for its own.
    """
    to_child, from_parent = os.pipe()
    to_parent, from_child = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        # A collection would write to every page that it shares with the large process of the tests.
        gc.freeze()
        os.close(from_parent)
        os.close(to_parent)
        _live(body, Link(to_child, from_child))
    os.close(to_child)
    os.close(from_child)
    child = Child(pid, to_parent, from_parent)
    try:
        yield child
    finally:
        if not child.is_gone:
            child.kill()
        child.close()


def _live(body: Callable[[Link], object], link: Link) -> None:
    code = 1
    try:
        _die_with_the_parent()
        body(link)
        code = 0
    except BaseException:  # noqa: BLE001
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _die_with_the_parent() -> None:
    set_parent_death_signal = 1
    ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)


def without_privileges(body: Callable[[], str]) -> str:
    """What `body` says in a child for which file permissions hold, also where root runs the tests."""

    def drop_and_say(link: Link) -> None:
        _drop_capabilities()
        link.tell(body())

    with forked(drop_and_say) as child:
        said = child.hear()
        assert child.wait() == 0
    assert said is not None
    return said


def _drop_capabilities() -> None:
    version_3 = 0x20080522
    header = (ctypes.c_uint32 * 2)(version_3, 0)
    nothing = (ctypes.c_uint32 * 6)()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.capset(header, nothing) != 0:
        raise OSError(ctypes.get_errno(), "capset failed")


def die_at_call(number: int) -> None:
    """Kill this process with SIGKILL when it is about to make its `number`th call of a built-in function."""
    left = number

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal left
        if event == "c_call":
            left -= 1
            if left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(count)


def count_calls(body: Callable[[], object]) -> int:
    """How many calls of built-in functions `body` makes, when it is left to live."""
    counted = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal counted
        counted += event == "c_call"

    sys.setprofile(count)
    try:
        body()
    finally:
        sys.setprofile(None)
    return counted
