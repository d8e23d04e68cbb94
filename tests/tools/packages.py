# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright the mailroom.core contributors
"""Installs the Debian packages of tests/packages.txt that are missing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import places

INSTALL = places.ROOT / "tests" / "tools" / "install.sh"
LIST = places.ROOT / "tests" / "packages.txt"


def ensure(purpose: str) -> None:
    """Installs what is missing for a purpose; `test` includes everything."""
    missing = [package for package, probe in _needed(purpose) if not _works(probe)]
    if not missing:
        return
    apt = shutil.which("apt-get")
    sudo = [] if os.geteuid() == 0 else ["sudo"]
    if not apt or (sudo and not shutil.which("sudo")):
        sys.exit(f"Please install {', '.join(missing)} (or what your system calls it), then run this again.")
    print(f"Installing {', '.join(missing)} ...", flush=True)
    command = [*sudo, "sh", str(INSTALL), *missing]
    if subprocess.run(command, check=False, stdin=None if sys.stdin.isatty() else subprocess.DEVNULL).returncode:
        sys.exit(f"{' '.join(command)} failed")
    broken = [package for package, probe in _needed(purpose) if not _works(probe)]
    if broken:
        sys.exit(f"{', '.join(broken)} did not bring what is needed; see {LIST}")


def _needed(purpose: str) -> list[tuple[str, str]]:
    rows = [line.split(maxsplit=2) for line in LIST.read_text(encoding="utf-8").splitlines()]
    return [(row[1], row[2]) for row in rows if row and row[0] != "#" and purpose in ("test", row[0])]


def _works(probe: str) -> bool:
    env = {**os.environ, "PYTHON": sys.executable}
    return subprocess.run(["sh", "-c", probe], capture_output=True, check=False, env=env).returncode == 0
