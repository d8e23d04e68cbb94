# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright the mailroom.core contributors
"""Runs the sessions of `make test`, or those that are named, two side by side.

nox can do that too (`--parallel`), but keeps no logs, counts neither tests nor processor time, and shows the output of
a session that passed. Here the output goes to tests/output/logs, and each session gets one line.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import typing as t
from pathlib import Path
from xml.etree import ElementTree as ET

import places

# What takes longest comes first, so that nothing waits for it at the end. The oldest and the newest of everything:
# ansible-core 2.18 runs modules on Python 3.9, ansible-core 2.22 has the collection from its tarball. `make matrix` and
# the workflow run all tests on all of them, those too that are marked `matrix`.
SAMPLE = ["--sample"]
SESSIONS: dict[str, list[str]] = {
    "integration-2.18": ["-m", "oldest"],
    "sanity": [],
    "integration-2.22": SAMPLE,
    "servers": SAMPLE,
    "unit-2.18": SAMPLE,
    "jobs": SAMPLE,
    "lint": [],
}
COUNTED = ("passed", "failed", "skipped")
LOGS = places.OUTPUT / "logs"
SHOWN = 120
NOX = [str(Path(sys.executable).parent / "nox"), "--no-color"]


class Session:
    """A session of nox in a process group of its own."""

    def __init__(self, name: str, words: list[str]) -> None:
        self.name = name
        self.log = LOGS / f"{name}.log"
        self.junit = places.OUTPUT / "junit" / f"{name}.xml"
        self.junit.unlink(missing_ok=True)
        self._started = time.monotonic()
        with self.log.open("w", encoding="utf-8") as log:
            command = [*NOX, "--session", name, "--", *words]
            streams: dict[str, t.Any] = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": subprocess.STDOUT}
            self.process = subprocess.Popen(command, cwd=places.ROOT, start_new_session=True, **streams)

    def finish(self, status: int, processor: float) -> None:
        """Take down how it went and print it; of a failed session also the end of its output."""
        self.process.returncode = os.waitstatus_to_exitcode(status)
        self.seconds, self.processor = time.monotonic() - self._started, processor
        output = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        skipped = any(f"Session {self.name} skipped" in line for line in output)
        self.result = "FAILED" if self.process.returncode else "not run" if skipped else "passed"
        self.tests = _count(self.junit)
        if self.process.returncode:
            print("\n" + "\n".join(output[-SHOWN:]))
        print(_line(self.name, self.result, self.seconds, processor, self.tests), flush=True)


def _count(junit: Path) -> dict[str, int]:
    if not junit.is_file():
        return {}
    suite = next(ET.parse(junit).iter("testsuite")).attrib
    failed, skipped = int(suite["failures"]) + int(suite["errors"]), int(suite["skipped"])
    return {"passed": int(suite["tests"]) - failed - skipped, "failed": failed, "skipped": skipped}


def _line(name: object, result: object, seconds: float, processor: float, tests: dict[str, int]) -> str:
    counts = ", ".join(f"{tests[kind]} {kind}" for kind in COUNTED) if tests else ""
    return f"{name:18} {result:7} {seconds:6.0f} s {processor:6.0f} s of processor time  {counts}".rstrip()


def run(waiting: list[tuple[str, list[str]]], side_by_side: int) -> list[Session]:
    """Run all sessions; whatever is running ends when this is interrupted."""
    running: dict[int, Session] = {}
    done: list[Session] = []
    try:
        while waiting or running:
            while waiting and len(running) < side_by_side:
                session = Session(*waiting.pop(0))
                running[session.process.pid] = session
            pid, status, usage = os.wait4(-1, 0)
            if pid in running:
                running[pid].finish(status, usage.ru_utime + usage.ru_stime)
                done.append(running.pop(pid))
    finally:
        for pid in running:
            os.killpg(pid, signal.SIGKILL)
    return done


def main() -> int:
    """Run the sessions named on the command line, or all; close with the totals."""
    LOGS.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    wanted = {name: SESSIONS.get(name, []) for name in sys.argv[1:]} or SESSIONS
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    done = run(list(wanted.items()), int(os.environ.get("JOBS", "2")))
    failed = [session.name for session in done if session.result == "FAILED"]
    processor = sum(session.processor for session in done)
    total = {kind: sum(session.tests.get(kind, 0) for session in done) for kind in COUNTED}
    print("\n" + _line("total", "FAILED" if failed else "passed", time.monotonic() - started, processor, total))
    print(f"The output of each session is in {LOGS.relative_to(places.ROOT)}.")
    print(", ".join(f"{total[kind]} {kind}" for kind in COUNTED))
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("interrupted")
