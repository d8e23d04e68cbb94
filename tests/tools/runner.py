# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright the mailroom.core contributors
"""Runs steps, some side by side, as soon as the steps that they need have passed."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import subprocess
import threading
import time
import traceback
import typing as t
from concurrent import futures
from pathlib import Path

import places

LOGS = places.OUTPUT / "logs"
LONGEST = 7200  # ends what hangs, on a slow and busy machine too

PASSED = "passed"
FAILED = "FAILED"
NOT_RUN = "not run"


class StepFailed(Exception):
    """Something in a step went wrong; its log says what."""


@dataclasses.dataclass
class Step:
    """A line of the table: what to do, and how it went."""

    name: str
    action: t.Callable[[Step, t.IO[str]], None]
    needs: tuple[str, ...] = ()
    about: str = ""
    result: str = ""
    seconds: float = 0.0
    tests: dict[str, int] = dataclasses.field(default_factory=dict)
    notes: list[str] = dataclasses.field(default_factory=list)

    @property
    def slug(self) -> str:
        """The name, fit for a file."""
        return self.name.replace(" ", "-").replace(",", "")

    @property
    def log(self) -> Path:
        """Where the output goes."""
        return LOGS / f"{self.slug}.log"


def run_all(steps: list[Step], side_by_side: int, report: t.Callable[[Step], None]) -> None:
    """Runs the steps that have no result yet; a failed one stops only those that need it."""
    LOGS.mkdir(parents=True, exist_ok=True)
    results = {step.name: step for step in steps}
    waiting = [step for step in steps if not step.result]
    busy: set[futures.Future[Step]] = set()
    with futures.ThreadPoolExecutor(side_by_side) as pool, _ending_everything():
        while waiting or busy:
            for step in list(waiting):
                needed = [results[name].result for name in step.needs]
                if any(result in (FAILED, NOT_RUN) for result in needed):
                    step.result = NOT_RUN
                    step.about = "what it needs is missing"
                    waiting.remove(step)
                elif len(busy) < side_by_side and all(needed):
                    busy.add(pool.submit(_run_one, step))
                    waiting.remove(step)
            done, busy = futures.wait(busy, return_when=futures.FIRST_COMPLETED)
            for future in done:
                report(future.result())


def _run_one(step: Step) -> Step:
    started = time.monotonic()
    with step.log.open("w", encoding="utf-8") as log:
        try:
            step.action(step, log)
            result = PASSED
        except (StepFailed, subprocess.CalledProcessError) as error:
            log.write(f"{error}\n")
            result = FAILED
        except Exception:  # noqa: BLE001 - whatever goes wrong belongs in the table, beside the other steps
            log.write(traceback.format_exc())
            result = FAILED
    step.seconds = time.monotonic() - started
    step.result = result
    return step


def execute(command: t.Sequence[str | Path], log: t.IO[str], env: dict[str, str], folder: Path = places.ROOT) -> None:
    """Runs one command of a step; its output goes to the log."""
    words = [str(word) for word in command]
    log.write("$ " + " ".join(words) + "\n")
    log.flush()
    env = {**env, "NO_COLOR": "1"}
    streams: dict[str, t.Any] = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": subprocess.STDOUT}
    process = subprocess.Popen(words, cwd=folder, env=env, start_new_session=True, **streams)
    with _known(process):
        try:
            status = process.wait(LONGEST)
        except subprocess.TimeoutExpired:
            _end(process)
            raise StepFailed(f"ended after {LONGEST} seconds") from None
    if status:
        raise StepFailed(f"exit status {status}")


_processes: set[subprocess.Popen[bytes]] = set()
_processes_lock = threading.Lock()


@contextlib.contextmanager
def _known(process: subprocess.Popen[bytes]) -> t.Iterator[None]:
    with _processes_lock:
        _processes.add(process)
    try:
        yield
    finally:
        with _processes_lock:
            _processes.discard(process)


@contextlib.contextmanager
def _ending_everything() -> t.Iterator[None]:
    """Sees to it that an interrupted make leaves no process behind."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except BaseException:
        with _processes_lock:
            for process in _processes:
                _end(process)
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
