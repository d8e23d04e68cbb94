# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Many connectors with few file descriptors, and with name servers that do not answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from peers.actions import Action
from peers.scripted import Talk
from peers.smtp import SmtpScript

import ansible_collections.mailroom.core as collection

TESTS = Path(__file__).resolve().parents[4]
COLLECTIONS = Path(next(iter(collection.__path__))).parents[2]
WAYS = (
    ("unshare", "--mount", "--net"),
    ("unshare", "--user", "--map-root-user", "--mount", "--net"),
    ("sudo", "-n", "unshare", "--mount", "--net"),
)


def play(scenario: str, *arguments: int, within: Sequence[str] = ()) -> dict[str, Any]:
    module = f"{__package__.removeprefix('tests.')}.with_limits"
    played = subprocess.run(
        [
            *within,
            *("env", f"PYTHONPATH={COLLECTIONS}:{TESTS}", "PYTHONDONTWRITEBYTECODE=1"),
            *(sys.executable, "-m", module, scenario, *map(str, arguments)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert played.returncode == 0, played.stdout + played.stderr
    found: dict[str, Any] = json.loads(played.stdout)
    return found


@pytest.mark.parametrize(("limit", "connectors", "hesitation"), [(24, 40, 0.2)])
def test_connectors_wait_for_a_free_descriptor(limit: int, connectors: int, hesitation: float) -> None:
    def hesitate(talk: Talk) -> bool:
        """Greet so late that others connect meanwhile."""
        talk.wait(hesitation)
        return True

    at: dict[str, Action] = {"greeting": hesitate}
    with SmtpScript(at=at).server() as server:
        found = play("few_descriptors", server.port, limit, 256, connectors)
    assert found == {"verdicts": {"ok": connectors}, "leaked": 0}


def with_name_servers_of_its_own(folder: Path) -> list[str]:
    """The command before a command that lets it be the only name server, in a network of its own."""
    files = {"resolv.conf": "nameserver 127.0.0.1\noptions timeout:30 attempts:5\n", "nsswitch.conf": "hosts: dns\n"}
    for name, text in files.items():
        (folder / name).write_text(text, encoding="ascii")
    mounts = " && ".join(f'mount --bind "$0/{name}" /etc/{name}' for name in files)
    for way in WAYS:
        command = [*way, "sh", "-c", f'{mounts} && exec "$@"', str(folder)]
        with suppress(OSError):
            tried = subprocess.run([*command, "ip", "link", "set", "lo", "up"], capture_output=True, check=False)
            if tried.returncode == 0:
                return command
    if os.environ.get("CI", "").lower() in ("1", "true", "yes"):
        pytest.fail("no way to have name servers of one's own: neither as root, nor in a user namespace")
    pytest.skip("no way to have name servers of one's own here")


@pytest.mark.matrix
def test_name_servers_that_do_not_answer_keep_nobody_waiting(tmp_path: Path) -> None:
    within = with_name_servers_of_its_own(tmp_path)
    found = play("silent_name_server", 100, 300, within=within)
    assert found["verdicts"] == {"dns_temporary": 300}
    assert 0 < found["left"] <= 64
    assert found["waited_for"] == 0, "the process ends without them"
