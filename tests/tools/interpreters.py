# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright the mailroom.core contributors
"""Finds the Pythons of this machine."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path

Version = tuple[int, int]

_PROBE = "import ensurepip, sys, venv; print(*sys.version_info[:2], getattr(sys, '_base_executable', sys.executable))"


@functools.cache
def found() -> dict[Version, Path]:
    """Every Python that runs and can make a virtual environment; the one in use wins for its version."""
    pythons: dict[Version, Path] = {}
    for candidate in _candidates():
        probed = _probe(candidate)
        if probed:
            pythons.setdefault(*probed)
    return pythons


def choose(oldest: Version, newest: Version, prefer_newest: bool) -> Version | None:
    """The newest or the oldest Python there is in a range."""
    fitting = sorted(version for version in found() if oldest <= version <= newest)
    if not fitting:
        return None
    return fitting[-1 if prefer_newest else 0]


def _candidates() -> list[str]:
    names = [f"python3.{minor}" for minor in range(9, 20)]
    folders = [Path("/usr/bin"), Path("/usr/local/bin")]
    on_path = [path for path in map(shutil.which, names) if path]
    # A pyenv shim on PATH may exist and still not run, so its interpreters are looked up as well.
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path(os.environ.get("HOME", "/")) / ".pyenv")
    in_pyenv = sorted(pyenv.glob("versions/3.*/bin/python3.[0-9]*"), key=_numbers, reverse=True)
    in_folders = [folder / name for folder in folders for name in names]
    return [sys.executable, *on_path, *map(str, in_pyenv), *map(str, in_folders)]


def _numbers(path: Path) -> list[int]:
    return [int(part) for part in path.parents[1].name.split(".") if part.isdigit()]


def _probe(candidate: str) -> tuple[Version, Path] | None:
    try:
        answer = subprocess.run(
            [candidate, "-c", _PROBE], capture_output=True, text=True, check=True, timeout=120, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.SubprocessError):
        return None
    major, minor, executable = answer.stdout.strip().split(" ", 2)
    return (int(major), int(minor)), Path(executable)
