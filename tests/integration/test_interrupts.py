# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A test of a server that never answers ends when it is interrupted, and leaves no process behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from integration.playing import Stage
from peers import actions
from peers.scripted import ScriptedServer
from peers.smtp import SmtpScript

SECONDS = 300
LONGER = 2 * SECONDS


@pytest.fixture
def silent() -> Iterator[ScriptedServer]:
    """A server that accepts connections and never says a word."""
    with SmtpScript({"greeting": actions.silent()}).server(name="smtp") as server:
        yield server


def task(server: ScriptedServer, **options: Any) -> dict[str, Any]:
    """A test that would wait for the server much longer than this file does."""
    declaration = {server.name: {"host": "127.0.0.1", "port": server.port, "security": "none"}}
    patience = {"timeout": LONGER, "deadline": LONGER, **options}
    return {"mailroom.core.connector_test": {"declaration": declaration, **patience}}


@contextmanager
def playing(stage: Stage, tasks: list[dict[str, Any]], pipelining: bool) -> Iterator[subprocess.Popen[str]]:
    """ansible-playbook, in a process group of its own, as a shell starts it."""
    book = stage.write("playbook.json", [{"hosts": "testhost", "gather_facts": False, "tasks": tasks}])
    process = subprocess.Popen(
        [sys.executable, "-m", "ansible", "playbook", str(book)],
        cwd=stage.folder,
        env=stage.environment(ANSIBLE_PIPELINING=str(pipelining)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        for folder in stage.processes():
            with suppress(ProcessLookupError):
                os.kill(int(folder.name), signal.SIGKILL)
        process.communicate()


def wait(until: Callable[[], object], what: str) -> None:
    """Waits for a condition, within bounds."""
    end = time.monotonic() + SECONDS
    while not until():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def wait_for_the_end(stage: Stage) -> None:
    """Waits until none of the stage's processes is left."""
    others: set[str] = set()
    wait(lambda: not stage.processes(others), "a process is left")


@pytest.mark.parametrize("pipelining", [True, False])
def test_control_c_ends_it(stage: Stage, silent: ScriptedServer, pipelining: bool) -> None:
    with playing(stage, [task(silent)], pipelining) as process:
        wait(lambda: silent.connections, "the module has not connected")
        assert len(stage.processes()) > 1
        os.killpg(process.pid, signal.SIGINT)
        output, _nothing = process.communicate(timeout=SECONDS)
        wait_for_the_end(stage)
    assert process.returncode == 99
    assert "User interrupted execution" in output
    assert not [path for path in (stage.folder / "tmp").iterdir() if path.name.startswith("ansible_")]


def test_a_tasks_timeout_ends_it(stage: Stage, silent: ScriptedServer) -> None:
    # Ansible gives a task up without telling its process.
    tasks = [
        {**task(silent), "timeout": 10, "ignore_errors": True, "register": "tested"},
        {"ansible.builtin.assert": {"that": "tested.timedout.period == 10"}},
    ]
    with playing(stage, tasks, pipelining=False) as process:
        output, _nothing = process.communicate(timeout=SECONDS)
        wait_for_the_end(stage)
    assert process.returncode == 0, output
    assert silent.connections == 1, output
