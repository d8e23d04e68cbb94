# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plays playbooks in a scratch folder, out of reach of the user's own Ansible settings."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

TARGETS = Path(__file__).parent / "targets"
BYTECODE = Path(__file__).parent / "bytecode"
# The interpreter that modules run under: where discovery looks, there may be one that does not run.
TARGET_PYTHON = os.environ.get("MAILROOM_TARGET_PYTHON") or sys.executable
LONGEST = 1800
# By default Ansible asks a thousand times per second whether a task is done.
SETTINGS = "[defaults]\ninternal_poll_interval = 0.02\n"


class Stage:
    """A scratch folder with an inventory and settings of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.remote_tmp = folder / "remote_tmp"
        for name in ("home", "tmp"):
            (folder / name).mkdir()
        (folder / "ansible.cfg").write_text(SETTINGS, encoding="utf-8")
        self.host(TARGET_PYTHON)

    def host(self, interpreter: str) -> None:
        """Names the interpreter of the one host there is."""
        variables = {"ansible_connection": "local", "ansible_python_interpreter": interpreter}
        self.write("inventory.json", {"all": {"hosts": {"testhost": variables}}})

    def write(self, name: str, content: Any) -> Path:
        """Writes a file that Ansible reads; JSON is YAML too."""
        path = self.folder / name
        path.write_text(json.dumps(content), encoding="utf-8")
        return path

    def environment(self, **more: str) -> dict[str, str]:
        """The environment of a command, without what the user has set for Ansible and the collection."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "MAILROOM_"))}
        return {
            **kept,
            "HOME": str(self.folder / "home"),
            "TMPDIR": str(self.folder / "tmp"),
            "ANSIBLE_COLLECTIONS_PATH": os.environ["ANSIBLE_COLLECTIONS_PATH"],
            "ANSIBLE_CONFIG": str(self.folder / "ansible.cfg"),
            "ANSIBLE_INVENTORY": str(self.folder / "inventory.json"),
            "ANSIBLE_LOCAL_TEMP": str(self.folder / "local_tmp"),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_REMOTE_TMP": str(self.remote_tmp),
            "ANSIBLE_ROLES_PATH": str(TARGETS),
            "PYTHONPATH": str(BYTECODE),
            **more,
        }

    def processes(self, others: set[str] | None = None) -> list[Path]:
        """The folders in /proc of what was started from here, and still runs; each has this stage's HOME.

        `others` are processes that were not, and are not looked at again.
        """
        mark = f"\0HOME={self.folder / 'home'}\0".encode()
        others = set() if others is None else others
        found = []
        for process in os.listdir("/proc"):  # noqa: PTH208 - many times
            if process[0] not in "123456789" or process in others:
                continue
            with suppress(OSError):
                folder = Path("/proc", process)
                if mark in b"\0" + (folder / "environ").read_bytes() + b"\0":
                    found.append(folder)
                else:
                    others.add(process)
        return found

    def run(self, command: str, *arguments: object, **more: str) -> subprocess.CompletedProcess[str]:
        """Runs a command of ansible-core, that of the Python which runs the tests."""
        return subprocess.run(
            [sys.executable, "-m", "ansible", command, *map(str, arguments)],
            cwd=self.folder,
            env=self.environment(**more),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LONGEST,
            check=False,
        )

    def play(self, plays: list[dict[str, Any]], *arguments: object, **more: str) -> subprocess.CompletedProcess[str]:
        """Plays on the one host there is."""
        book = [{"hosts": "testhost", "gather_facts": False, **play} for play in plays]
        return self.run("playbook", self.write("playbook.json", book), *arguments, **more)


class Book:
    """Plays for one start of ansible-playbook, each on a host of its own, so that where one fails the others go on."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self._plays: list[dict[str, Any]] = []
        self._hosts: dict[str, dict[str, Any]] = {}

    def add(self, name: str, tasks: list[dict[str, Any]], **of_play: Any) -> None:
        """Adds a play; that a task of it failed is told by the recap, which counts it as rescued."""
        tell = {"ansible.builtin.debug": {"msg": "{{ ansible_failed_result }}"}}
        rescued = [{"block": tasks, "rescue": [tell]}]
        self._plays.append({"name": name, "hosts": name, "gather_facts": False, "tasks": rescued, **of_play})
        self.host(name)

    def host(self, name: str, **variables: Any) -> None:
        """Adds a host."""
        self._hosts[name] = variables

    def play(self, *arguments: object, **environment: str) -> dict[str, str]:
        """What each play said, by its name; of one that failed, it begins with FAILED."""
        variables = {"ansible_connection": "local", "ansible_python_interpreter": TARGET_PYTHON}
        self.stage.write("inventory.json", {"all": {"vars": variables, "hosts": self._hosts}})
        book = self.stage.write("playbook.json", self._plays)
        output = self.stage.run("playbook", book, *arguments, **environment).stdout
        assert "PLAY RECAP" in output, output
        said = {part.partition("]")[0]: part for part in re.split(r"^PLAY \[", output, flags=re.MULTILINE)[1:]}
        well = set(re.findall(r"^(\S+) +: .*unreachable=0 +failed=0 .*rescued=0 ", output, re.MULTILINE))
        return {name: text if name in well else f"FAILED {text}" for name, text in said.items()}
