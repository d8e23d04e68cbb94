# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The execution environment of examples/awx: what ansible-builder makes of it, and whether its libraries install."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import venv
from pathlib import Path

import places
import pytest
import yaml
from jobs import awx_project

LIBRARIES = ("cryptography", "imapclient", "msal", "psycopg")


def run(*command: object, **more: str) -> str:
    """Runs a command that has to succeed; what it says."""
    done = subprocess.run(
        [*map(str, command)],
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", **more},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture
def requirements(tmp_path: Path) -> Path:
    """What pip installs in an environment, which is what the modules need."""
    written = tmp_path / "requirements.txt"
    said = yaml.safe_load(run("ansible-builder", "introspect", places.COLLECTIONS, f"--write-pip={written}"))
    asked = [line.partition("#")[0].strip() for line in said["python"]]
    assert sorted(re.match(r"\w+", each)[0] for each in asked) == sorted(LIBRARIES)  # type: ignore[index]
    return written


def test_the_collection_asks_for_its_libraries(requirements: Path) -> None:
    assert requirements.stat().st_size


@pytest.mark.matrix
def test_the_libraries_that_the_collection_asks_for_install(requirements: Path, tmp_path: Path) -> None:
    environment = tmp_path / "environment"
    venv.create(environment, with_pip=True)
    python = environment / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", "--requirement", requirements)
    run(python, "-c", f"import {', '.join(LIBRARIES)}")


def test_the_definition_makes_a_context(tmp_path: Path) -> None:
    definition = awx_project.EXAMPLE / "execution-environment.yml"
    run("ansible-builder", "create", f"--file={definition}", f"--context={tmp_path}", "--output-filename=Containerfile")
    version = yaml.safe_load((places.ROOT / "galaxy.yml").read_text(encoding="utf-8"))["version"]
    wanted = yaml.safe_load((awx_project.PROJECT / "collections" / "requirements.yml").read_text(encoding="utf-8"))
    assert wanted == {"collections": [{"name": "mailroom.core", "version": version}]}
    assert yaml.safe_load((tmp_path / "_build" / "requirements.yml").read_text(encoding="utf-8")) == wanted
    containerfile = (tmp_path / "Containerfile").read_text(encoding="utf-8")
    environment = yaml.safe_load(definition.read_text(encoding="utf-8"))
    base = environment["images"]["base_image"]["name"]
    core = environment["dependencies"]["ansible_core"]["package_pip"]
    for line in (f'ARG EE_BASE_IMAGE="{base}"', "ansible-galaxy collection install", core):
        assert line in containerfile
    assert "openssh-clients" in (tmp_path / "_build" / "bindep.txt").read_text(encoding="utf-8")


def test_what_the_modules_miss_is_what_an_environment_gets() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in (places.ROOT / "plugins").rglob("*.py"))
    brought_by_python_and_ansible = {"sqlite3", "PyYAML"}
    missed = {*re.findall(r'MissingLibrary\("(\w+)"', sources)} - brought_by_python_and_ansible
    assert missed == set(LIBRARIES)
