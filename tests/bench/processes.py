# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory and time of the module's process, without Ansible around it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import declared
from scene import HERE, Scene

PLUGINS = "ansible_collections.mailroom.core.plugins.modules"

Arguments = dict[str, t.Any]


def memory(scene: Scene, large: Path, count: int) -> dict[str, float]:
    """The most that each process holds, in MiB."""
    fresh = scene.registry("memory")
    many = {"registry": str(fresh), "connectors": declared.entries(count)}
    one = {"registry": str(large), "name": "mail_team000007", "description": "measured"}
    peaks = {"ansible.builtin.ping": _peak(scene, "ansible.modules.ping", {})}
    for what in ("created", "unchanged"):
        peaks[f"connectors, {count} {what}"] = _peak(scene, f"{PLUGINS}.connectors", many)
    peaks[f"connector, one changed in {large.stem}"] = _peak(scene, f"{PLUGINS}.connector", one)
    return peaks


def profile(scene: Scene, count: int) -> dict[str, dict[str, float]]:
    """Where the time goes in the module, by part, when all are created and when nothing changes."""
    arguments = {"registry": str(scene.registry("profile")), "connectors": declared.entries(count)}
    return {what: _profiled(scene, arguments) for what in (f"{count} created", f"{count} unchanged")}


def _profiled(scene: Scene, arguments: Arguments) -> dict[str, float]:
    done = subprocess.run(
        [*_command(f"{PLUGINS}.connectors"), "--profile"],
        input=_as_json(arguments),
        env=_environment(scene),
        capture_output=True,
        check=True,
    )
    parts: dict[str, float] = json.loads(done.stderr)
    return parts


def _peak(scene: Scene, module: str, arguments: Arguments) -> float:
    process = subprocess.Popen(
        _command(module), stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=_environment(scene), text=False
    )
    if process.stdin is None or process.stdout is None:
        raise SystemExit("the module's process has no streams")
    process.stdin.write(_as_json(arguments))
    process.stdin.close()
    answer = process.stdout.read()
    process.stdout.close()
    _pid, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{module} failed: {answer.decode(errors='replace')[:2000]}")
    return usage.ru_maxrss / 1024


def _command(module: str) -> list[str | Path]:
    return [sys.executable, HERE / "module_process.py", module]


def _environment(scene: Scene) -> dict[str, str]:
    return {**scene.environment, "PYTHONPATH": str(scene.collections)}


def _as_json(arguments: Arguments) -> bytes:
    return json.dumps({"ANSIBLE_MODULE_ARGS": arguments}).encode()
