# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A mail server in the background: `python -m peers.background FILE` returns when it answers.

FILE becomes an inventory of Ansible whose variable `mail_server` says how to reach it. The server ends when FILE is
removed.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path

from peers.mail import MailServer


def main() -> None:
    """Starts the server in a process of its own, and waits for it."""
    answering, answers = os.pipe()
    if os.fork():
        os.close(answers)
        sys.exit(not os.read(answering, 1))  # nothing comes of a process that has failed
    os.setsid()
    with tempfile.TemporaryDirectory() as folder, MailServer(Path(folder) / "mail") as server:
        inventory = _write(Path(sys.argv[1]), {"folder": folder, **_reach(server)})
        _let_go_of_streams()
        os.write(answers, b"!")
        while os.fstat(inventory).st_nlink:
            time.sleep(0.1)


def _reach(server: MailServer) -> dict[str, object]:
    return {
        "host": server.host,
        "ca_file": str(server.ca_file),
        "ports": server.ports,
        "users": {name: {"address": user.address, "password": user.password} for name, user in server.users.items()},
    }


def _write(path: Path, variables: dict[str, object]) -> int:
    """Makes the inventory, for our eyes only; returns the open file."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    os.write(file, json.dumps({"all": {"vars": {"mail_server": variables}}}).encode())
    return file


def _let_go_of_streams() -> None:
    """Whoever reads the output need not wait any longer."""
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)


if __name__ == "__main__":
    main()
