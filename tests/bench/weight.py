# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each module weighs: what is sent to the host for it, and what Python does there before the task begins."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import typing as t

from scene import HERE, Scene

sys.path.insert(0, str(HERE.parent))

import payload

MODULES = {
    "connector_info": 45,
    "connector_purpose": 45,
    "connector": 60,
    "connectors": 60,
    "connector_config": None,
    "connector_api": None,
    "connector_test": None,
    "init_mail": None,
    "_connector_verify": None,
    "_connectors_verify": None,
}


def measure(scene: Scene, rounds: int) -> None:
    """Prints a line for each module: its files, their size, and the time and the lines of importing them."""
    folder = scene.folder / "payloads"
    folder.mkdir()
    archives = payload.build(sys.executable, scene.collections, folder, MODULES)
    print(f"{'':44} {'files':>5}  {'kB':>4}  {'lines':>6}  {'ms':>4}  target")
    for module, most in MODULES.items():
        files = payload.files_in(archives[module])
        imports = [_import(scene, str(archives[module]), module) for _round in range(rounds)]
        milliseconds = statistics.median(each["milliseconds"] for each in imports)
        size = sum(files.values()) / 1000
        target = f"{most} files {'met' if len(files) <= most else 'MISSED'}" if most else ""
        line = f"{module:44} {len(files):5}  {size:4.0f}  {imports[0]['lines']:6.0f}  {milliseconds:4.0f}  {target}"
        print(line.rstrip(), flush=True)


def _import(scene: Scene, archive: str, module: str) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, HERE / "import_process.py", archive, module],
        env=scene.environment,
        stdout=subprocess.PIPE,
        check=True,
    )
    found: dict[str, t.Any] = json.loads(done.stdout)
    return found
