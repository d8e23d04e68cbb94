# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Full and read-only disks, as real file systems that vanish with the process that mounted them."""

from __future__ import annotations

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


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenario(with_mounts: tuple[str, ...], tmp_path: Path, scenario: str) -> None:
    play(with_mounts, f"{__package__}.on_a_mount", scenario, tmp_path)


def play(with_mounts: tuple[str, ...], module: str, scenario: str, folder: Path) -> None:
    """Play a scenario in a process that may mount."""
    played = subprocess.run(
        [
            *with_mounts,
            *("env", f"PYTHONPATH={COLLECTIONS}:{TESTS}", "PYTHONDONTWRITEBYTECODE=1"),
            *(sys.executable, "-m", module.removeprefix("tests."), scenario, str(folder)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert played.returncode == 0, played.stdout + played.stderr
