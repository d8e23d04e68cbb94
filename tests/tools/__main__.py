# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright the mailroom.core contributors
"""What the Makefile runs: `python3 tests/tools <target>`."""

from __future__ import annotations

import os
import sys
import time
import typing as t
from pathlib import Path

import lock
import packages
import places
import steps
import venvs
from runner import FAILED, NOT_RUN, Step, run_all

SHOWN = 120
# What does not talk to servers, so that nobody needs to install them for it.
WITHOUT_SERVERS = ("demo", "fuzz", "lint", "live", "sanity")


def main() -> int:
    """Runs the target named on the command line."""
    target = sys.argv[1]
    if target == "lock":
        return lock.renew()
    places.link_collection()
    packages.ensure("demo" if target in WITHOUT_SERVERS else "test")
    if target == "demo":
        play("demo", places.ROOT / "examples" / "demo" / "run")
    if target == "bench":
        play_python("core-2.21" if steps.python_for("core-2.21") else "core-2.19", "bench")
    if target == "fuzz":
        play_python("fuzz", "fuzz")
    return check(target)


def play_python(venv: str, folder: str) -> t.NoReturn:
    """Becomes the program `run` of a folder of the tests."""
    play(venv, venvs.folder_of(venv) / "bin" / "python", places.ROOT / "tests" / folder / "run")


def play(venv: str, *command: Path) -> t.NoReturn:
    """Becomes a command that runs in an environment, before people's eyes."""
    version = steps.python_for(venv)
    if version is None:
        sys.exit(f"Python {steps.pythons_for(venv)} is needed, with its venv module.")
    venvs.ensure(venv, version, sys.stderr)
    os.chdir(places.ROOT)
    os.execve(command[0], [str(word) for word in command], places.environment(venvs.folder_of(venv) / "bin"))


def check(target: str) -> int:
    """Runs the steps of a target and closes with a table."""
    started = time.monotonic()
    planned = steps.plan(target)
    run_all(planned, int(os.environ.get("JOBS", "2")), tell)
    print_table(planned)
    passed, failed = (sum(step.tests.get(kind, 0) for step in planned) for kind in ("passed", "failed"))
    print(f"\n{time.monotonic() - started:.0f} seconds in all; the output of each step is in {places.OUTPUT}/logs")
    if any(step.tests for step in planned):
        print(f"{passed} passed, {failed} failed")
    return int(any(step.result == FAILED for step in planned))


def tell(step: Step) -> None:
    """Says how a step went; of a failed one it shows the end of the output."""
    if step.result == FAILED:
        output = step.log.read_text(encoding="utf-8", errors="replace").splitlines()
        print("\n" + "\n".join(output[-SHOWN:]))
    print(f"{step.name}: {step.result}, {step.seconds:.0f} s", flush=True)


def print_table(planned: list[Step]) -> None:
    """Prints one line per step, then what was not covered."""
    width = max(len(step.name) for step in planned)
    print(f"\n{'step':{width}}  {'result':7}  seconds  passed  failed  skipped")
    for step in planned:
        counts = "  ".join(f"{step.tests.get(kind, ''):>{len(kind)}}" for kind in ("passed", "failed", "skipped"))
        seconds = "" if step.result == NOT_RUN else f"{step.seconds:.1f}"
        print(f"{step.name:{width}}  {step.result:7}  {seconds:>7}  {counts}  {step.about}".rstrip())
    for step in planned:
        for note in step.notes:
            print(f"{step.name}: {note}")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("interrupted")
