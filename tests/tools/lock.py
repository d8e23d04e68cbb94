# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright the mailroom.core contributors
"""Renews the lock files of tests/requirements, and that of the example pipelines."""

from __future__ import annotations

import subprocess
import sys
import venv

import places
import steps
import venvs


def renew() -> int:
    """Pins the newest versions that fit; uv is needed for this only, so it is not pinned itself."""
    folder = places.OUTPUT / "venvs" / "lock"
    env = places.environment(folder / "bin")
    venv.create(folder, clear=True, with_pip=True)
    subprocess.run([folder / "bin" / "pip", "--quiet", "install", "uv"], env=env, check=True)
    for name, fitting in steps.PYTHONS.items():
        # The first releases of a Python lack what some packages insist on.
        python = "{}.{}.2".format(*fitting.oldest)
        options = ["--universal", "--upgrade", "--quiet", "--python-version", python]
        command = ["uv", "pip", "compile", *options, "--custom-compile-command", "make lock"]
        subprocess.run([*command, f"{name}.in", "--output-file", f"{name}.txt"], cwd=venvs.LOCKS, env=env, check=True)
        print(f"{name}.txt renewed", file=sys.stderr)
    options = ["--universal", "--upgrade", "--quiet", "--python-version", "3.12.2", "--generate-hashes"]
    command = ["uv", "pip", "compile", *options, "--custom-compile-command", "make lock"]
    example = places.ROOT / "examples" / "ci"
    subprocess.run([*command, "requirements.in", "--output-file", "requirements.txt"], cwd=example, env=env, check=True)
    return 0
