# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Full and read-only disks, as real file systems that vanish with the process that mounted them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import ansible_collections.mailroom.core as collection

from .on_a_mount import SCENARIOS

TESTS = Path(__file__).resolve().parents[4]
COLLECTIONS = Path(next(iter(collection.__path__))).parents[2]
WAYS = (
    ("unshare", "--mount"),
    ("unshare", "--user", "--map-root-user", "--mount"),
    ("sudo", "-n", "unshare", "--mount"),
)


@pytest.fixture(scope="module")
def with_mounts(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """The command before a command that lets it mount, or none where this machine does not allow it at all."""
    folder = str(tmp_path_factory.mktemp("mount"))
    for way in WAYS:
        try:
            tried = subprocess.run([*way, "mount", "-t", "tmpfs", "tmpfs", folder], capture_output=True, check=False)
        except OSError:
            continue
        if tried.returncode == 0:
            return way
    if os.environ.get("CI", "").lower() in ("1", "true", "yes"):
        pytest.fail("no way to mount a file system: neither as root, nor in a user namespace, nor with sudo -n")
    pytest.skip("no way to mount a file system here")


@pytest.fixture(scope="module")
def failures(with_mounts: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return play(with_mounts, f"{__package__}.on_a_mount", tmp_path_factory.mktemp("disks"))


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenario(failures: dict[str, str], scenario: str) -> None:
    assert scenario not in failures, failures[scenario]


def play(with_mounts: tuple[str, ...], module: str, folder: Path) -> dict[str, str]:
    """Play all scenarios of a module in one process that may mount, and say what went wrong in which."""
    played = subprocess.run(
        [
            *with_mounts,
            *("env", f"PYTHONPATH={COLLECTIONS}:{TESTS}", "PYTHONDONTWRITEBYTECODE=1"),
            *(sys.executable, "-m", module.removeprefix("tests."), str(folder)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert played.returncode == 0, played.stdout + played.stderr
    failures: dict[str, str] = json.loads(played.stdout)
    return failures
