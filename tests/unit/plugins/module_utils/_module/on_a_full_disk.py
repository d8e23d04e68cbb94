# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""connector_config on file systems that are full or read-only: one scenario per function.

Played by test_full_disks.py in a process with mounts of its own, which end with it.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from .._registry.on_a_mount import PAGE, mount, occupy, play_all
from .running import run_module

# Long enough to take more than one page.
MAIN = "relayhost = old.example.com\n" + "# A comment.\n" * 2_000


class Disk:
    def __init__(self, folder: Path, options: str) -> None:
        self.folder = mount(folder / "disk", options)
        self.registry = folder / "registry.db"
        (self.folder / "main.cf").write_text(MAIN)
        self.declare("swordfish")

    def declare(self, password: str) -> None:
        smtp = {"host": f"{password}.example.com", "username": "mailer", "password": password}
        result = run_module("connector", {"registry": str(self.registry), "name": "main", "smtp": smtp})
        assert result is not None
        assert "msg" not in result

    def configure(self, *, check: bool = False, **options: Any) -> dict[str, Any]:
        task = {"app": "postfix", "path": f"{self.folder}/main.cf", "connector": "main", "registry": str(self.registry)}
        result = run_module("connector_config", {**task, **options}, check=check)
        assert result is not None
        return result

    def content(self) -> dict[str, bytes]:
        return {each.name: each.read_bytes() for each in self.folder.iterdir()}

    def assert_all_or_nothing(self, reason: str, **options: Any) -> None:
        """With more and more room until it is enough: the task fails at another place each time."""
        before, refused = self.content(), 0
        for pages in range(100):
            filler = occupy(self.folder, free=pages * PAGE)
            result = self.configure(**options)
            filler.unlink()
            if "msg" not in result:
                break
            refused += 1
            assert result["msg"].startswith(f"{self.folder}/"), result
            assert result["msg"].endswith(f" cannot be written: {reason}"), result
            assert self.content() == before
        assert refused > 3, refused
        assert self.content() != before


def a_full_disk(folder: Path) -> None:
    disk, full = Disk(folder, "size=400k"), "No space left on device"
    disk.assert_all_or_nothing(full)
    disk.declare("sailfish")
    disk.assert_all_or_nothing(full, backup=True)
    disk.assert_all_or_nothing(full, state="absent")
    assert (disk.folder / "main.cf").read_text() == MAIN


def a_disk_without_inodes(folder: Path) -> None:
    disk = Disk(folder, "size=400k,nr_inodes=3")
    (disk.folder / "last").touch()
    before = disk.content()
    for check in (False, True):
        told = disk.configure(check=check)["msg"]
        assert told.endswith("cannot be written: No space left on device"), told
    assert disk.content() == before


def a_read_only_disk(folder: Path) -> None:
    disk = Disk(folder, "size=400k")
    disk.configure()
    disk.declare("sailfish")
    before = disk.content()
    subprocess.run(["mount", "-o", "remount,ro", str(disk.folder)], check=True)
    for check in (False, True):
        told = disk.configure(check=check)["msg"]
        assert told.endswith("cannot be written: Read-only file system"), told
        told = disk.configure(check=check, state="absent")["msg"]
        assert told.endswith("cannot be written: Read-only file system"), told
    assert disk.content() == before


SCENARIOS = {each.__name__: each for each in (a_full_disk, a_disk_without_inodes, a_read_only_disk)}

if __name__ == "__main__":
    play_all(SCENARIOS, Path(sys.argv[1]))
