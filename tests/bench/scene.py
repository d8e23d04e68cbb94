# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The scratch folder in which the benchmarks run: collection, inventory, playbooks and registries."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import declared

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


class Scene:
    """Everything that a benchmark needs, in a folder that goes afterwards."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.collections = folder / "collections"
        link = self.collections / "ansible_collections" / "mailroom" / "core"
        link.parent.mkdir(parents=True)
        link.symlink_to(ROOT, target_is_directory=True)
        self.inventory = folder / "hosts.json"
        host = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        self.inventory.write_text(json.dumps({"all": {"hosts": {"here": host}}}))
        self.configuration = folder / "ansible.cfg"
        self.configuration.touch()
        self.environment = self._environment()

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "MAILROOM_"))}
        return {
            **kept,
            "ANSIBLE_COLLECTIONS_PATH": str(self.collections),
            "ANSIBLE_CONFIG": str(self.configuration),
            "ANSIBLE_DEVEL_WARNING": "false",
            "ANSIBLE_HOME": str(self.folder / "home"),
            "ANSIBLE_LIBRARY": str(HERE / "library"),
            "ANSIBLE_LOCAL_TEMP": str(self.folder / "local"),
            "ANSIBLE_REMOTE_TEMP": str(self.folder / "remote"),
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def declare(self, name: str, entries: list[declared.Entry]) -> str:
        """Writes connectors into a file; returns the expression that reads it in a task."""
        file = self.folder / f"{name}.json"
        file.write_text(json.dumps(entries))
        return f"{{{{ lookup('ansible.builtin.file', '{file}') | from_json }}}}"

    def playbook(self, name: str, module: str, options: dict[str, t.Any], times: int = 1, **more: t.Any) -> Path:
        """Writes a playbook with a task, `times` over; `more` goes into the task, but `vars_files` into the play."""
        file = self.folder / f"{name}.yml"
        play: dict[str, t.Any] = {"name": name, "hosts": "all", "gather_facts": False}
        if "vars_files" in more:
            play["vars_files"] = more.pop("vars_files")
        play["tasks"] = [{"name": name, module: options, **more}] * times
        file.write_text(json.dumps([play]))
        return file

    def role(self, name: str, role: str, variables: dict[str, t.Any]) -> Path:
        """Writes a playbook with a role."""
        file = self.folder / f"{name}.yml"
        play = {"name": name, "hosts": "all", "gather_facts": False, "vars": variables, "roles": [role]}
        file.write_text(json.dumps([play]))
        return file

    def play(self, playbook: Path, **variables: t.Any) -> None:
        """Runs a playbook; that it fails is an error of the benchmark."""
        command: list[str | Path] = [Path(sys.executable).with_name("ansible-playbook"), "-i", self.inventory, playbook]
        if variables:
            command += ["-e", json.dumps(variables)]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{playbook.name} failed:\n{done.stdout}\n{done.stderr}")

    def registry(self, name: str) -> Path:
        """Where a registry of this name lives."""
        return self.folder / "registries" / f"{name}.db"

    def forget(self, registry: Path) -> None:
        """Removes a registry and its key."""
        registry.unlink(missing_ok=True)
        registry.with_name(f"{registry.name}.key").unlink(missing_ok=True)

    def fill(self, registry: Path | str, count: int, key_file: str = "") -> None:
        """Fills a registry through the collection's own code, without a playbook for each chunk."""
        subprocess.run(
            [sys.executable, HERE / "fill.py", registry, str(count), key_file],
            env={**self.environment, "PYTHONPATH": str(self.collections)},
            check=True,
        )
