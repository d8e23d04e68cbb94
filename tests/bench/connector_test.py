# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures connector_test: many at once against one, its memory, and one sign-in against swaks.

Run it with the Python that has ansible-core. The module runs as its own process, without Ansible around it.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import typing as t
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS))

from peers.slow import SlowServer  # noqa: E402

MODULE = "ansible_collections.mailroom.core.plugins.modules.connector_test"
FILLER = "ansible_collections.mailroom.core.plugins.modules.connectors"
MANY = 200
DELAY = 2.0
MOST_RATIO = 2.0
MOST_MEBIBYTES = 100


@dataclasses.dataclass
class Measured:
    """What one process cost."""

    seconds: float
    mebibytes: float
    answer: str

    @property
    def result(self) -> dict[str, t.Any]:
        """The module's result."""
        found: dict[str, t.Any] = json.loads(self.answer.splitlines()[-1])
        return found


class Scratch:
    """Where the registry and the collection are found."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        link = folder / "ansible_collections" / "mailroom" / "core"
        link.parent.mkdir(parents=True)
        link.symlink_to(TESTS.parent, target_is_directory=True)
        self._environment = {**os.environ, "PYTHONPATH": str(folder)}

    def module(self, name: str, **options: t.Any) -> Measured:
        """Runs a module as its own process."""
        command = [sys.executable, str(TESTS / "bench" / "module_process.py"), name]
        done = self.run(command, json.dumps({"ANSIBLE_MODULE_ARGS": options}))
        if done.result.get("failed"):
            raise SystemExit(f"{name} failed: {done.result.get('msg')}")
        return done

    def run(self, command: t.Sequence[str], given: str = "") -> Measured:
        """Runs a command to its end."""
        started = time.perf_counter()
        pipe = subprocess.PIPE
        process = subprocess.Popen(command, stdin=pipe, stdout=pipe, env=self._environment, text=True)
        if process.stdin is None or process.stdout is None:
            raise SystemExit("the process has no streams")
        process.stdin.write(given)
        process.stdin.close()
        answer = process.stdout.read()
        process.stdout.close()
        _pid, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{' '.join(command)} failed: {answer[-2000:]}")
        return Measured(time.perf_counter() - started, usage.ru_maxrss / 1024, answer)

    def registry(self, name: str, protocol: str, port: int, count: int) -> str:
        """A registry with connectors to one server, each with credentials of its own."""
        path = str(self.folder / f"{name}.db")
        self.module(FILLER, registry=path, connectors=[_entry(protocol, port, number) for number in range(count)])
        return path


def _entry(protocol: str, port: int, number: int) -> dict[str, t.Any]:
    server = {
        "host": "127.0.0.1",
        "port": port,
        "security": "none",
        "username": f"team{number}@example.com",
        "password": f"password-of-{number}",
    }
    return {"name": f"team_{number:03}", "from_address": f"team{number}@example.com", protocol: server}


def main() -> None:
    """Measures everything and prints it; what misses its target is the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured (default: 3)")
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="mailroom-bench-") as folder:
        scratch = Scratch(Path(folder))
        misses = sum(many(scratch, protocol, rounds) for protocol in ("smtp", "imap"))
        misses += one(scratch, rounds)
    if misses:
        raise SystemExit(f"{misses} targets missed")


def many(scratch: Scratch, protocol: str, rounds: int) -> int:
    """Many connectors in one task against one, on a server that takes its time."""
    with SlowServer(protocol, DELAY) as server:
        single = scratch.registry(f"{protocol}-one", protocol, server.port, 1)
        full = scratch.registry(f"{protocol}-many", protocol, server.port, MANY)
        pairs = [(_tested(scratch, single, 1), _tested(scratch, full, MANY)) for _round in range(rounds)]
        most = server.stats()["most_logins"]
    ratio = statistics.median(many.seconds / one.seconds for one, many in pairs)
    peak = max(many.mebibytes for _one, many in pairs)
    print(f"{protocol}: a server that takes {DELAY:g} s per login; {most} logins at the same time\n")
    print(f"{'':44} {'seconds':>7}  {'MiB':>5}  target")
    print(f"{'1 connector':44} {_median(one for one, _many in pairs):7.2f}  {pairs[0][0].mebibytes:5.0f}")
    label = f"{MANY} connectors, concurrency {MANY}"
    print(f"{label:44} {_median(many for _one, many in pairs):7.2f}  {peak:5.0f}", end="  ")
    print(f"{ratio:.2f} times one: {MOST_RATIO:g} {_judged(ratio <= MOST_RATIO)};", end=" ")
    print(f"{MOST_MEBIBYTES} MiB {_judged(peak < MOST_MEBIBYTES)}\n", flush=True)
    return (ratio > MOST_RATIO) + (peak >= MOST_MEBIBYTES)


def _tested(scratch: Scratch, registry: str, count: int) -> Measured:
    done = scratch.module(MODULE, registry=registry, concurrency=MANY, timeout=30, fail=False)
    summary = done.result["summary"]
    if summary["fail"] or sum(summary.values()) != count:
        raise SystemExit(f"not every connector passed: {summary}")
    return done


def one(scratch: Scratch, rounds: int) -> int:
    """One sign-in against swaks, alternately, on the same server."""
    swaks = shutil.which("swaks")
    if not swaks:
        print("swaks is not here: it is in the Debian package of that name")
        return 0
    with SlowServer("smtp", 0.0) as server:
        entry = _entry("smtp", server.port, 0)
        command = [swaks, "--server", f"127.0.0.1:{server.port}", "--quit-after", "AUTH", "--auth", "PLAIN"]
        command += ["--auth-user", entry["smtp"]["username"], "--auth-password", entry["smtp"]["password"]]
        command += ["--silent", "3"]
        ours, inside, theirs = [], [], []
        for number in range(5 * rounds + 1):
            done = scratch.module(MODULE, declaration=entry, fail=False)
            other = scratch.run(command)
            if number:
                ours.append(done.seconds)
                inside.append(done.result["results"][0]["elapsed_ms"] / 1000)
                theirs.append(other.seconds)
        logins = server.stats()["logins"]
    if logins != 2 * (5 * rounds + 1):
        raise SystemExit(f"not every test signed in: {logins}")
    return _compared(ours, inside, theirs)


def _compared(ours: list[float], inside: list[float], theirs: list[float]) -> int:
    lines = {
        "swaks, whole process": (theirs, None),
        "connector_test, without its start-up": (inside, True),
        "connector_test, whole process": (ours, False),
    }
    print("smtp: one sign-in, in the terms of swaks\n")
    print(f"{'':44} {'ms':>7}  {'swaks':>6}  target")
    missed = 0
    for label, (seconds, has_target) in lines.items():
        ratio = statistics.median(mine / other for mine, other in zip(seconds, theirs))
        missed += bool(has_target) and ratio > 1
        target = f"1 {_judged(ratio <= 1)}" if has_target else ""
        print(f"{label:44} {statistics.median(seconds) * 1000:7.0f}  {ratio:6.2f}  {target}".rstrip())
    return missed


def _median(measured: t.Iterable[Measured]) -> float:
    return statistics.median(each.seconds for each in measured)


def _judged(met: bool) -> str:
    return "met" if met else "MISSED"


if __name__ == "__main__":
    main()
