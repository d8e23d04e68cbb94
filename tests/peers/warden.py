# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts daemons as root and ends all of their processes as soon as its standard input is closed.

Runs as a process of its own, so that nothing is left behind even when the tests are killed.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
GRACE = 0.4  # what they leave unfinished is thrown away anyway


class Stopped(Exception):
    """Somebody asked this process to end."""


def main() -> None:
    """Does what the plan says that is the first line of the standard input."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _stop)
    _prctl(PR_SET_CHILD_SUBREAPER, 1)  # what daemons leave behind becomes our child
    plan = json.loads(sys.stdin.buffer.readline())
    started: dict[str, subprocess.Popen[bytes]] = {}
    try:
        _prepare(plan)
        for name, command in plan["commands"].items():
            started[name] = _start(command, Path(plan["output"]))
        _wait(started)
    except Stopped:
        pass
    finally:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        _end(started)
        shutil.rmtree(plan["runtime"], ignore_errors=True)


def _stop(number: int, frame: object) -> None:
    raise Stopped


def _prepare(plan: dict[str, Any]) -> None:
    for path, user, mode in plan["folders"]:
        Path(path).mkdir(parents=True, exist_ok=True)
        Path(path).chmod(mode)
        if user:
            shutil.chown(path, user, user)
    for path, user, content in plan["files"]:
        Path(path).write_text(content, encoding="utf-8")
        shutil.chown(path, user, user)


def _start(command: list[str], output: Path) -> subprocess.Popen[bytes]:
    with output.open("ab") as stream:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
            preexec_fn=lambda: _prctl(PR_SET_PDEATHSIG, signal.SIGTERM),  # noqa: PLW1509 - there are no threads here
        )


def _prctl(option: int, value: int) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def _wait(started: dict[str, subprocess.Popen[bytes]]) -> None:
    """Until the standard input ends; a daemon that ends before is an error."""
    while not select.select([sys.stdin.buffer], [], [], 0.1)[0]:
        for name, process in started.items():
            if process.poll() is not None:
                sys.exit(f"{name} ended by itself with {process.returncode}")


def _end(started: dict[str, subprocess.Popen[bytes]]) -> None:
    for process in started.values():
        if process.poll() is None:
            process.terminate()
    if not _all_gone(GRACE):
        for pid in _descendants():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        _all_gone(10 * GRACE)


def _all_gone(seconds: float) -> bool:
    """Reaps children, adopted ones too, until there are none."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            pid, _status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return True
        if not pid:
            time.sleep(0.01)
    return False


def _descendants() -> set[int]:
    """All processes that come from this one."""
    parents = dict(_parents())
    found = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {os.getpid()}


def _parents() -> Iterator[tuple[int, int]]:
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            fields = (folder / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            yield int(folder.name), int(fields[1])


if __name__ == "__main__":
    main()
