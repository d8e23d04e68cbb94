# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rulebook, run by ansible-rulebook on a registry in PostgreSQL."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet
from integration.playing import TARGET_PYTHON, Stage
from integration.test_mail_servers import block
from peers.mail import MailServer
from peers.net import PeerFailed
from peers.postgresql import DATABASE, SUPERUSER, Postgres, new_schema, shared_server

LONGEST = 600
TESTED = "1 tested: 1 ok, 0 warn, 0 fail"


class Listener:
    """ansible-rulebook, and what it says."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process = process
        self._log = log

    def said(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    def wait_until(self, happens: Callable[[], bool]) -> None:
        deadline = time.monotonic() + LONGEST
        while not happens():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise PeerFailed(self.said())
            time.sleep(0.1)


@contextmanager
def listening(stage: Stage, database: Postgres, **environment: str) -> Iterator[Listener]:
    """Run the rulebook; it listens already."""
    dsn = f"host=127.0.0.1 port={database.port} dbname={DATABASE} user={SUPERUSER} application_name=rulebook"
    variables = stage.write("vars.json", {"registry_dsn": dsn})
    command = [sys.executable, "-m", "ansible_rulebook", "--rulebook", "mailroom.core.verify_changed"]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    log = stage.folder / "rulebook.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--inventory", str(stage.folder / "inventory.json"), "--vars", str(variables)],
            cwd=stage.folder,
            env=stage.environment(PATH=path, PGPASSWORD=database.password, **environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
        try:
            listener = Listener(process, log)
            sessions = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'rulebook' AND query LIKE 'LISTEN%'"
            listener.wait_until(lambda: bool(database.admin(sessions)))
            yield listener
        finally:
            process.terminate()
            process.wait()


def test_what_changes_is_verified_and_nothing_else(stage: Stage, mail_server: MailServer) -> None:
    database = shared_server()
    location = database.location(new_schema())
    environment = {
        "MAILROOM_REGISTRY_KEY": Fernet.generate_key().decode(),
        "MAILROOM_REGISTRY_PASSWORD": database.password,
    }
    host = {"ansible_connection": "local", "ansible_python_interpreter": TARGET_PYTHON, "mailroom_registry": location}
    stage.write("inventory.json", {"all": {"hosts": {"testhost": host}}})

    def play(**task: Any) -> None:
        options = {"group/mailroom.core.mailroom": {"registry": location}}
        played = stage.play([{"module_defaults": options, "tasks": [task]}], **environment)
        assert played.returncode == 0, played.stdout

    def notify(**payload: Any) -> None:
        database.admin("SELECT pg_notify('mailroom', %s)", [json.dumps(payload)])

    play(**{"mailroom.core.registry": {}})
    reading = block(mail_server, "imaps", "tls")
    with listening(stage, database, **environment) as listener:
        notify(connector="support", verdict="ok", status="ok")
        notify(connector="{{ lookup('ansible.builtin.pipe', 'touch injected') }}", change="updated", revision=1)
        notify(connector="support", change="deleted", revision=2)
        play(**{"mailroom.core.connector": {"name": "support", "imap": reading}})
        listener.wait_until(lambda: TESTED in listener.said())
        play(**{"mailroom.core.connector": {"name": "support", "description": "Reads requests"}})
        listener.wait_until(lambda: listener.said().count(TESTED) == len(["created", "updated"]))
    assert listener.said().count("PLAY RECAP") <= len(["created", "updated"]), listener.said()
    assert "mailroom_only names connectors" not in listener.said()
    assert not [*stage.folder.rglob("injected")]
