# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""connector_test and mail, played by Ansible against Postfix and Dovecot."""

from __future__ import annotations

from typing import Any

import pytest
from integration.playing import Stage
from peers.mail import MailServer
from peers.users import USERS

ALICE = USERS["alice"]


def block(server: MailServer, place: str, security: str, password: str = ALICE.password) -> dict[str, Any]:
    """How alice signs in at a port."""
    signing_in = {"username": ALICE.address, "password": password, "ca_file": str(server.ca_file)}
    return {"host": "127.0.0.1", "port": server.ports[place], "security": security, **signing_in}


PLAYED = {"connector_purpose", "connector_test", "connectors", "mail", "registry"}


# With the newest ansible-core, test_secrets.py uses the same modules.
@pytest.mark.oldest
@pytest.mark.matrix
def test_stored_connectors_are_tested_and_send(stage: Stage, mail_server: MailServer) -> None:
    shared = {"group/mailroom.core.mailroom": {"registry": str(stage.folder / "registry.db")}}
    addresses = {"from_address": ALICE.address, "test_address": USERS["bob"].address}
    good = {"smtp": block(mail_server, "submission", "starttls"), "imap": block(mail_server, "imaps", "tls")}
    bad = {"imap": block(mail_server, "imap", "starttls", "a-wrong-password")}
    declared = [{"name": "good", **good, **addresses}, {"name": "bad", **bad}]
    message = {"to": USERS["bob"].address, "subject": "Played", "body": "Good morning"}
    tasks: list[dict[str, Any]] = [
        {"mailroom.core.connectors": {"connectors": declared}},
        {"mailroom.core.connector_test": {"depth": "envelope", "fail": False}, "register": "tested"},
        {
            "ansible.builtin.assert": {
                "that": [
                    "tested is not changed",
                    "tested.summary == {'ok': 1, 'warn': 0, 'fail': 1}",
                    "tested.results | items2dict(key_name='connector', value_name='verdict') == verdicts",
                    "tested.results | map(attribute='endpoints') | map('length') | sort == [1, 2]",
                ]
            },
            "vars": {"verdicts": {"good": "ok", "bad": "auth_rejected"}},
        },
        {"mailroom.core.connector_test": {"connectors": ["good"]}, "check_mode": True},
        {"mailroom.core.registry": {}, "register": "itself"},
        {"mailroom.core.connector_purpose": {"purpose": "notices", "connector": "good"}},
        {"mailroom.core.mail": {"purpose": "notices", **message}, "register": "mailed"},
        {"ansible.builtin.assert": {"that": ["itself.registry.connectors == 2", "mailed.sent | length == 1"]}},
        {"mailroom.core.connector_test": {}},
    ]
    played = stage.play([{"module_defaults": shared, "tasks": tasks}])
    assert played.returncode == 2, played.stdout
    assert "ok=8 " in played.stdout, played.stdout
    assert "changed=3 " in played.stdout
    used = {name.rpartition(".")[2] for task in tasks for name in task if name.startswith("mailroom.core.")}
    assert used == PLAYED
    mail_server.wait_for("bob", "Subject", "Played")
    assert "bad: auth_rejected" in played.stdout
    assert "2 tested: 1 ok, 0 warn, 1 fail" in played.stdout
    assert "a-wrong-password" not in played.stdout
