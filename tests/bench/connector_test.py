# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""connector_test: many at once against one, its memory, and one sign-in against swaks.

The module runs as its own process, without Ansible around it.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
import typing as t

from scene import HERE, Scene

sys.path.insert(0, str(HERE.parent))

from peers.slow import SlowServer

PLUGINS = "ansible_collections.mailroom.core.plugins.modules"
MODULE = f"{PLUGINS}.connector_test"
# What a module costs that does nothing: start-up, which Ansible pays for every task.
NOTHING = "ansible.modules.ping"
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


def module(scene: Scene, name: str, **options: t.Any) -> Measured:
    """Runs a module as its own process."""
    command = [sys.executable, str(HERE / "module_process.py"), name]
    done = run(scene, command, json.dumps({"ANSIBLE_MODULE_ARGS": options}))
    if done.result.get("failed"):
        raise SystemExit(f"{name} failed: {done.result.get('msg')}")
    return done


def run(scene: Scene, command: t.Sequence[str], given: str = "") -> Measured:
    """Runs a command to its end."""
    environment = {**scene.environment, "PYTHONPATH": str(scene.collections)}
    # With its bytecode kept; otherwise compiling would be measured.
    del environment["PYTHONDONTWRITEBYTECODE"]
    environment["PYTHONPYCACHEPREFIX"] = str(scene.folder / "bytecode")
    started = time.perf_counter()
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, env=environment, text=True)
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


def _registry(scene: Scene, name: str, protocol: str, port: int, count: int) -> str:
    """A registry with connectors to one server, each with credentials of its own."""
    path = str(scene.registry(name))
    entries = [_entry(protocol, port, number) for number in range(count)]
    module(scene, f"{PLUGINS}.connectors", registry=path, connectors=entries)
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


def measure(scene: Scene, rounds: int) -> int:
    """Measures everything and prints it; returns how many targets were missed."""
    return sum(many(scene, protocol, rounds) for protocol in ("smtp", "imap")) + one(scene, 5 * rounds)


def many(scene: Scene, protocol: str, rounds: int) -> int:
    """Many connectors in one task against one, on a server that takes its time."""
    with SlowServer(protocol, DELAY) as server:
        single = _registry(scene, f"{protocol}-one", protocol, server.port, 1)
        full = _registry(scene, f"{protocol}-many", protocol, server.port, MANY)
        pairs = [(_tested(scene, single, 1), _tested(scene, full, MANY)) for _round in range(rounds)]
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


def _tested(scene: Scene, registry: str, count: int) -> Measured:
    done = module(scene, MODULE, registry=registry, concurrency=MANY, timeout=30, fail=False)
    summary = done.result["summary"]
    if summary["fail"] or sum(summary.values()) != count:
        raise SystemExit(f"not every connector passed: {summary}")
    return done


def one(scene: Scene, rounds: int) -> int:
    """One sign-in against swaks, alternately, on the same server."""
    swaks = shutil.which("swaks")
    if not swaks:
        raise SystemExit("swaks is not here: it is in the Debian package of that name")
    with SlowServer("smtp", 0.0) as server:
        entry = _entry("smtp", server.port, 0)
        command = [swaks, "--server", f"127.0.0.1:{server.port}", "--quit-after", "AUTH", "--auth", "PLAIN"]
        command += ["--auth-user", entry["smtp"]["username"], "--auth-password", entry["smtp"]["password"]]
        command += ["--silent", "3"]
        ours, inside, idle, theirs = [], [], [], []
        for _round in range(rounds + 1):
            done = module(scene, MODULE, declaration=entry, fail=False)
            ours.append(done.seconds)
            inside.append(done.result["results"][0]["elapsed_ms"] / 1000)
            idle.append(module(scene, NOTHING).seconds)
            theirs.append(run(scene, command).seconds)
        logins = server.stats()["logins"]
    if logins != 2 * (rounds + 1):
        raise SystemExit(f"not every test signed in: {logins}")
    return _compared(ours[1:], inside[1:], idle[1:], theirs[1:])


def _compared(ours: list[float], inside: list[float], idle: list[float], theirs: list[float]) -> int:
    beyond = [mine - nothing for mine, nothing in zip(ours, idle)]
    lines = {
        "swaks, whole process": (theirs, False),
        "a module that does nothing, whole process": (idle, False),
        "connector_test, without its start-up": (inside, True),
        "connector_test, beyond a module that does nothing": (beyond, True),
        "connector_test, whole process": (ours, False),
    }
    print("smtp: one sign-in, in the terms of swaks\n")
    print(f"{'':50} {'ms':>7}  {'swaks':>6}  target")
    missed = 0
    for label, (seconds, has_target) in lines.items():
        ratio = statistics.median(mine / other for mine, other in zip(seconds, theirs))
        missed += has_target and ratio > 1
        target = f"1 {_judged(ratio <= 1)}" if has_target else ""
        print(f"{label:50} {statistics.median(seconds) * 1000:7.0f}  {ratio:6.2f}  {target}".rstrip())
    return missed


def _median(measured: t.Iterable[Measured]) -> float:
    return statistics.median(each.seconds for each in measured)


def _judged(met: bool) -> str:
    return "met" if met else "MISSED"
