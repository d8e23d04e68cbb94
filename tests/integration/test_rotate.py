# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook rotate against Postfix and Dovecot: a secret is replaced only if the new one works."""

from __future__ import annotations

from typing import Any

from integration.playing import Stage
from integration.test_mail_servers import block
from peers.mail import MailServer
from peers.users import USERS

ALICE = USERS["alice"]
WRONG = "not-the-new-password-1"


def declare(stage: Stage, server: MailServer, password: str) -> dict[str, Any]:
    """Stores connectors with a password; what the variables of a playbook say then."""
    registry = str(stage.folder / "registry.db")
    declared = [
        {"name": "sending", "smtp": block(server, "submission", "starttls", password)},
        {"name": "reading", "imap": block(server, "imaps", "tls", password)},
        {"name": "other", "smtp": {"host": "127.0.0.1", "port": 1}},
    ]
    played = stage.play([{"tasks": [{"mailroom.core.connectors": {"registry": registry, "connectors": declared}}]}])
    assert played.returncode == 0, played.stdout
    return {"mailroom_registry": registry}


def rotate(stage: Stage, variables: dict[str, Any], passwords: dict[str, str]) -> tuple[int, str]:
    blocks = {"sending": "smtp", "reading": "imap"}
    new = {name: {blocks[name]: {"password": password}} for name, password in passwords.items()}
    given = stage.write("secrets.json", {**variables, "mailroom_connectors_secrets": new})
    played = stage.run("playbook", "mailroom.core.rotate", "--extra-vars", f"@{given}")
    assert not any(password in played.stdout for password in passwords.values())
    return played.returncode, played.stdout


def signs_in(stage: Stage, variables: dict[str, Any]) -> bool:
    """Whether both connectors sign in with what is stored."""
    test = {"registry": variables["mailroom_registry"], "connectors": ["sending", "reading"]}
    return stage.play([{"tasks": [{"mailroom.core.connector_test": test}]}]).returncode == 0


def test_new_secrets_that_work_are_stored(stage: Stage, mail_server: MailServer) -> None:
    variables = declare(stage, mail_server, WRONG)
    assert not signs_in(stage, variables)
    code, said = rotate(stage, variables, {"sending": ALICE.password, "reading": ALICE.password})
    assert code == 0, said
    assert "changed=1" in said
    assert signs_in(stage, variables)
    code, said = rotate(stage, variables, {"sending": ALICE.password, "reading": ALICE.password})
    assert (code, "changed=0" in said) == (0, True)


def test_where_one_fails_the_old_ones_stay(stage: Stage, mail_server: MailServer) -> None:
    variables = declare(stage, mail_server, ALICE.password)
    code, said = rotate(stage, variables, {"sending": ALICE.password, "reading": WRONG})
    assert code == 2, said
    assert "reading: auth_rejected" in said
    assert "1 of 1 connectors failed the test, so nothing was changed" in said
    assert signs_in(stage, variables)
