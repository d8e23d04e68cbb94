# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright the mailroom.core contributors
"""Virtual environments, made from a lock file and kept as long as it stays the same."""

from __future__ import annotations

import ast
import configparser
import fcntl
import hashlib
import os
import shutil
import subprocess
import typing as t
from pathlib import Path

import interpreters
import places

LOCKS = places.ROOT / "tests" / "requirements"


def folder_of(name: str) -> Path:
    """Where an environment lives; the one of the demo is where people look for it."""
    return places.ROOT / ".venv" if name == "demo" else places.OUTPUT / "venvs" / name


def ensure(name: str, version: interpreters.Version, log: t.IO[str]) -> None:
    """Makes the environment of a lock file, unless it is there already."""
    folder = folder_of(name)
    python = interpreters.found()[version]
    stamp = folder / "made-from"
    wanted = _fingerprint(name, python, folder)
    places.OUTPUT.mkdir(parents=True, exist_ok=True)
    with (places.OUTPUT / f"{name}.lock").open("w") as guard:
        # Two runs of make may want the same environment at the same time.
        fcntl.flock(guard, fcntl.LOCK_EX)
        if stamp.is_file() and stamp.read_text() == wanted:
            log.write(f"{folder} is there already\n")
            return
        shutil.rmtree(folder, ignore_errors=True)
        _make(folder, python, LOCKS / f"{name}.txt", log)
        stamp.write_text(wanted)


def _make(folder: Path, python: Path, lock: Path, log: t.IO[str]) -> None:
    executable = folder / "bin" / "python"
    _run([str(python), "-m", "venv", str(folder)], log)
    _keep_pip_configuration(executable)
    _run([str(executable), "-m", "pip", "install", "--requirement", str(lock)], log)


def _run(command: list[str], log: t.IO[str]) -> None:
    log.write(" ".join(command) + "\n")
    log.flush()
    env = places.environment()
    subprocess.run(command, env=env, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, check=True)


def _keep_pip_configuration(python: Path) -> None:
    """Takes what the user has told pip along to the HOME of the steps; ansible-test drops the variables."""
    listed = subprocess.run([str(python), "-m", "pip", "config", "list"], capture_output=True, text=True, check=True)
    settings = configparser.RawConfigParser()
    settings.read_dict({"global": {}})
    # Variables come first in the list, but win.
    for line in sorted(listed.stdout.splitlines(), key=lambda line: line.startswith(":env:")):
        name, value = line.split("=", 1)
        section, option = name.replace(":env:", "global").split(".", 1)
        if not settings.has_section(section):
            settings.add_section(section)
        settings.set(section, option, ast.literal_eval(value))
    settings.set("global", "quiet", "2")
    file = places.HOME / ".config" / "pip" / "pip.conf"
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f"pip.conf.{os.getpid()}.{python.parents[1].name}")
    draft.touch(mode=0o600)
    with draft.open("w") as stream:
        settings.write(stream)
    draft.replace(file)


def _fingerprint(name: str, python: Path, folder: Path) -> str:
    lock = (LOCKS / f"{name}.txt").read_bytes()
    return f"{hashlib.sha256(lock).hexdigest()} {python.resolve()} {folder}\n"
