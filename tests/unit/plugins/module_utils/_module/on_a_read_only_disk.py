# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tasks on a read-only file system, where not even root can write: one scenario per function.

Played by test_check_mode.py in a process with mounts of its own, which end with it.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from .._registry.on_a_mount import mount, play_all
from .running import run_module

SMTP = {"host": "smtp.example.com"}
SIGNED_IN = {**SMTP, "username": "ann@example.com", "password": "Rumpelstilzchen-7f3a9c51e2"}


def run(module: str, registry: Path, *, check: bool = False, **options: Any) -> dict[str, Any]:
    result = run_module(module, {"registry": str(registry), **options}, check=check)
    assert result is not None
    return result


def assert_same_refusal(module: str, registry: Path, reason: str, **options: Any) -> None:
    """In check mode, and without it."""
    real, planned = (run(module, registry, check=check, **options) for check in (False, True))
    assert real["failed"], real
    assert reason in real["msg"], real
    assert planned.get("failed"), planned
    assert planned["msg"] == real["msg"], (planned, real)


def a_registry(folder: Path) -> None:
    disk = mount(folder / "disk", "size=400k,mode=0700")
    registry = disk / "registry.db"
    run("connector", registry, name="a", smtp=SIGNED_IN, from_address="ann@example.com")
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    reason = "cannot be changed: Read-only file system"
    assert_same_refusal("connector", registry, reason, name="b", smtp=SMTP)
    assert_same_refusal("connectors", registry, reason, connectors=[{"name": "b", "smtp": SIGNED_IN}])
    assert_same_refusal("connector_purpose", registry, reason, purpose="alerts", connector="a")
    assert_same_refusal("init_mail", registry, reason)
    for new in (disk / "new.db", disk / "new" / "below" / "new.db"):
        assert_same_refusal("connector", new, reason, name="a", smtp=SMTP)


def a_key_file(folder: Path) -> None:
    disk = mount(folder / "keys", "size=400k,mode=0700")
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    reason = f"registry_key_file {disk}/key cannot be made: Read-only file system."
    options = {"name": "a", "smtp": SIGNED_IN, "registry_key_file": f"{disk}/key"}
    assert_same_refusal("connector", folder / "registry.db", reason, **options)


def a_settings_file(folder: Path) -> None:
    """One that is written anew, one that is replaced, and one that goes."""
    disk = mount(folder / "disk", "size=400k,mode=0700")
    registry = folder / "registry.db"
    run("connector", registry, name="a", smtp=SIGNED_IN)
    written = {"app": "msmtp", "connector": "a", "path": f"{disk}/msmtprc"}
    assert run("connector_config", registry, **written)["changed"]
    run("connector", registry, name="a", description="x", smtp={**SIGNED_IN, "host": "new.example.com"})
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    reason = "cannot be written: Read-only file system"
    assert_same_refusal("connector_config", registry, reason, **written)
    assert_same_refusal("connector_config", registry, reason, **{**written, "path": f"{disk}/other"})
    assert_same_refusal("connector_config", registry, reason, **{**written, "state": "absent"})


SCENARIOS = {each.__name__: each for each in (a_registry, a_key_file, a_settings_file)}

if __name__ == "__main__":
    play_all(SCENARIOS, Path(sys.argv[1]))
