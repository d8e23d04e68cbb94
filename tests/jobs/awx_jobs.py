# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the job templates of examples/awx as AWX does: ansible-runner, with a private data folder for each job."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from integration.playing import LONGEST, Stage
from jobs import awx_project
from peers.awx_schema import rendered

Variables = dict[str, Any]


class Job:
    """A job that has run."""

    def __init__(self, folder: Path, code: int, injected: Mapping[str, str]) -> None:
        self.folder = folder
        self.code = code
        self._injected = injected

    @cached_property
    def events(self) -> list[Variables]:
        """What AWX gets to know of the job, in order."""
        files = (self.folder / "artifacts" / "1" / "job_events").glob("*.json")
        return sorted((json.loads(file.read_bytes()) for file in files), key=lambda event: int(event["counter"]))

    @property
    def said(self) -> str:
        """What AWX shows as the job's output."""
        return "\r\n".join(event["stdout"] for event in self.events)

    @property
    def changed(self) -> int:
        """How many tasks have changed something."""
        (statistics,) = (event["event_data"] for event in self.events if event["event"] == "playbook_on_stats")
        return sum(statistics["changed"].values())

    def kept(self) -> Iterator[tuple[str, bytes]]:
        """All that is kept of the job, but not what it was given."""
        for path in (self.folder / "artifacts").rglob("*"):
            if path.name == "command":
                yield "command", self._command(path)
            elif path.is_file():
                yield str(path.relative_to(self.folder)), path.read_bytes()

    def _command(self, path: Path) -> bytes:
        """ansible-runner notes what it is given in the environment; AWX puts asterisks there."""
        command = json.loads(path.read_bytes())
        for name, value in self._injected.items():
            assert command["env"].pop(name) == value
        return json.dumps(command).encode()


class Controller:
    """Launches jobs with the credentials that it holds."""

    def __init__(self, stage: Stage, inventory: Variables, credentials: Mapping[str, Mapping[str, str]]) -> None:
        self.inventory = inventory
        self._stage = stage
        self._credentials = credentials
        self._numbers = itertools.count(1)
        self._templates = awx_project.declared("job_template")
        self._types = awx_project.declared("credential_type")

    def launch(self, template: str, *arguments: str, user: str = "operator", **answers: str) -> Job:
        """Runs a job template; `arguments` are what AWX makes of verbosity and job type."""
        number = next(self._numbers)
        folder = self._stage.folder / f"job_{number}"
        shutil.copytree(awx_project.PROJECT, folder / "project")
        injected = self._injected(template)
        _write(folder / "inventory" / "hosts.json", json.dumps(self.inventory))
        _write(folder / "env" / "envvars", json.dumps(injected.get("env", {})))
        _write(folder / "env" / "extravars", self._extra_vars(template, number, user, answers))
        _write(folder / "env" / "credentials.yml", _unsafe(injected.get("extra_vars", {})))
        _write(folder / "env" / "cmdline", f"-e @{folder}/env/credentials.yml {' '.join(arguments)}")
        playbook = self._templates[template]["playbook"]
        command = [sys.executable, "-m", "ansible_runner", "run", str(folder), "--playbook", playbook, "--ident", "1"]
        done = subprocess.run(
            command,
            env=self._stage.environment(PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            timeout=LONGEST,
            check=False,
        )
        return Job(folder, done.returncode, injected.get("env", {}))

    def _injected(self, template: str) -> dict[str, Any]:
        """What the template's credentials inject. A blank input counts as undefined, as in AWX."""
        injected: dict[str, Any] = {}
        for name in awx_project.credential_names(self._templates[template]):
            if name in self._types:
                given = {field: value for field, value in self._credentials[name].items() if value}
                injected |= rendered(self._types[name]["injectors"], given)
        return injected

    def _extra_vars(self, template: str, number: int, user: str, answers: Mapping[str, str]) -> str:
        """The template's own variables, which may be templates, and all others, which may not."""
        declared = self._templates[template]
        questions = declared["survey_spec"]["spec"]
        defaults = {question["variable"]: question["default"] for question in questions if "default" in question}
        unknown = answers.keys() - {question["variable"] for question in questions}
        assert not unknown, f"the survey does not ask for {unknown}"
        about = {"job_id": number, "job_launch_type": "manual", "user_name": user}
        known = {f"{prefix}_{name}": value for prefix in ("awx", "tower") for name, value in about.items()}
        own = declared.get("extra_vars")
        return (yaml.safe_dump(own) if own else "") + _unsafe({**defaults, **answers, **known})


class _UnsafeDumper(yaml.SafeDumper):
    """Tags all text, so that Ansible does not take it for a template."""

    def represent_data(self, data: Any) -> yaml.Node:
        if isinstance(data, str):
            return self.represent_scalar("!unsafe", data)
        return super().represent_data(data)


def _unsafe(variables: Variables) -> str:
    return yaml.dump(variables, Dumper=_UnsafeDumper, default_flow_style=False)


def _write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.write_text(content, encoding="utf-8")
    path.chmod(0o600)
