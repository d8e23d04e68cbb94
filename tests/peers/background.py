# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A mail server in the background: `python -m peers.background FILE` returns when it answers.

FILE becomes an inventory of Ansible whose variable `mail_server` says how to reach it, and `senders` what does not send
yet: a Postfix and an Alertmanager for connectors to be written into. All of them end when FILE is removed.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from peers.alertmanager import Alertmanager
from peers.mail import MailServer
from peers.relay import Relay

ALERTMANAGER = """\
global:
  smtp_smarthost: 127.0.0.1:1
  smtp_from: nobody@example.com
route:
  receiver: nobody
  routes:
    - matchers: ['alertname="MailroomProof"']
      receiver: proof
      group_wait: 0s
receivers:
  - name: nobody
  - name: proof
    email_configs:
      - to: '{{ .CommonLabels.mail_to }}'
        headers: {Subject: Test mail of alertmanager}
"""


def main() -> None:
    """Starts the server in a process of its own, and waits for it."""
    answering, answers = os.pipe()
    if os.fork():
        os.close(answers)
        sys.exit(not os.read(answering, 1))  # nothing comes of a process that has failed
    os.setsid()
    with ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory()))
        server = running.enter_context(MailServer(folder / "mail"))
        relay = running.enter_context(Relay(folder / "relay"))
        (folder / "alertmanager.yml").write_text(ALERTMANAGER, encoding="utf-8")
        alertmanager = running.enter_context(Alertmanager(folder / "alertmanager.yml", server.ca_file))
        senders = {
            "postfix": {"folder": str(relay.folder)},
            "alertmanager": {"path": str(alertmanager.path), "url": alertmanager.url, "pid": alertmanager.pid},
        }
        reach = {"folder": str(folder), **_reach(server)}
        inventory = _write(Path(sys.argv[1]), {"mail_server": reach, "senders": senders})
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
    os.write(file, json.dumps({"all": {"vars": variables}}).encode())
    return file


def _let_go_of_streams() -> None:
    """Whoever reads the output need not wait any longer."""
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)


if __name__ == "__main__":
    main()
