# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules work with the sandbox: tests at every depth, the certificate for another name, and the Init Mail."""

from __future__ import annotations

import imaplib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from integration.playing import Stage
from jobs.test_examples import EXAMPLES, USERS, sandbox, trusting

SUPPORT = USERS[0]
DEPTHS = ("connect", "login", "envelope", "send", "deliver")


@pytest.fixture
def variables(stage: Stage) -> Iterator[dict[str, Any]]:
    """Where a sandbox is that runs, and who signs in there."""
    project = Path(shutil.copytree(EXAMPLES / "ci", stage.folder / "mail"))
    with sandbox(project) as found:
        yield found


def connector(variables: dict[str, Any], outgoing: str, incoming: str) -> dict[str, Any]:
    """A connector that sends through one port and reads through another."""
    signs_in = {"host": variables["host"], "username": SUPPORT, "ca_file": variables["ca_file"]}
    signs_in["password"] = variables["passwords"][SUPPORT]

    def at(port: str, plain: str) -> dict[str, Any]:
        return {**signs_in, "port": variables["ports"][port], "security": "starttls" if port == plain else "tls"}

    return {"from_address": SUPPORT, "smtp": at(outgoing, "submission"), "imap": at(incoming, "imap")}


def said(stage: Stage, variables: dict[str, Any], *tasks: dict[str, Any]) -> str:
    """What Ansible says while it plays tasks that all succeed; no password is in it."""
    shared = {"group/mailroom.core.mailroom": {"registry": str(stage.folder / "registry.db")}}
    played = stage.play([{"module_defaults": shared, "tasks": list(tasks)}], "-vvv", "--diff")
    assert played.returncode == 0, played.stdout
    assert not [user for user, password in variables["passwords"].items() if password in played.stdout]
    return played.stdout


def expecting(*conditions: str) -> dict[str, Any]:
    return {"ansible.builtin.assert": {"that": list(conditions)}}


def inbox(variables: dict[str, Any], user: str) -> list[bytes]:
    """The subjects in a user's mailbox."""
    with imaplib.IMAP4_SSL(variables["host"], variables["ports"]["imaps"], ssl_context=trusting(variables)) as imap:
        imap.login(user, variables["passwords"][user])
        imap.select("INBOX", readonly=True)
        if not imap.search(None, "ALL")[1][0]:
            return []
        parts = imap.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1]
        return [part[1].strip() for part in parts if isinstance(part, tuple)]


@pytest.mark.parametrize(("outgoing", "incoming"), [("submission", "imap"), ("smtps", "imaps")])
def test_every_depth(stage: Stage, variables: dict[str, Any], outgoing: str, incoming: str) -> None:
    declaration = connector(variables, outgoing, incoming)
    test = {"mailroom.core.connector_test": {"declaration": declaration, "depth": "{{ item }}"}}
    well = "tested.results | map(attribute='results') | flatten | map(attribute='{}') | unique == ['ok']"
    said(
        stage,
        variables,
        {**test, "loop": list(DEPTHS), "register": "tested"},
        expecting("tested is not changed", well.format("status"), well.format("verdict")),
    )
    # What depth "send" has sent stays; what depth "deliver" has found is removed.
    assert len(inbox(variables, SUPPORT)) == 1


def test_a_certificate_for_another_name_has_its_verdict(stage: Stage, variables: dict[str, Any]) -> None:
    declaration = connector(variables, "smtps_other_name", "imaps")
    test = {"declaration": declaration, "depth": "connect", "fail": False}
    output = said(
        stage,
        variables,
        {"mailroom.core.connector_test": test, "register": "tested"},
        expecting("tested.results[0].verdict == 'tls_name_mismatch'", "tested.results[0].certainty == 'certain'"),
    )
    assert "mail.example.net" in output


def test_the_init_mail_is_there_once(stage: Stage, variables: dict[str, Any]) -> None:
    declared = {"name": "support", **connector(variables, "submission", "imaps")}
    said(
        stage,
        variables,
        {"mailroom.core.connectors": {"connectors": [declared]}},
        {"mailroom.core.init_mail": {}, "register": "first"},
        {"mailroom.core.init_mail": {}, "register": "second"},
        expecting("first.sent | length == 1", "second is not changed", "second.already_proven == ['support']"),
    )
    assert inbox(variables, SUPPORT) == [b"Subject: Init Mail"]
