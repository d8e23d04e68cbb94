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
from servers.playing import run

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


def played(stage: Stage, variables: dict[str, Any], module: str, **options: Any) -> dict[str, Any]:
    """What a module says; no password is in it."""
    answer = run(module, {"registry": str(stage.folder / "registry.db"), **options})
    assert not [user for user, password in variables["passwords"].items() if password in str(answer)]
    return answer


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
@pytest.mark.sampled(2)
def test_connector_of_the_sandbox_passes_at_every_depth(
    stage: Stage, variables: dict[str, Any], outgoing: str, incoming: str
) -> None:
    declaration = connector(variables, outgoing, incoming)
    for depth in DEPTHS:
        tested = played(stage, variables, "connector_test", declaration=declaration, depth=depth)
        assert not tested["changed"]
        assert [(each["status"], each["verdict"]) for each in tested["results"]] == [("ok", "ok")], depth
    # What depth "send" has sent stays; what depth "deliver" has found is removed.
    assert len(inbox(variables, SUPPORT)) == 1


@pytest.mark.matrix
def test_certificate_for_another_name_has_its_verdict(stage: Stage, variables: dict[str, Any]) -> None:
    declaration = connector(variables, "smtps_other_name", "imaps")
    tested = played(stage, variables, "connector_test", declaration=declaration, depth="connect", fail=False)
    (result,) = tested["results"]
    assert (result["verdict"], result["certainty"]) == ("tls_name_mismatch", "certain")
    assert "mail.example.net" in result["remedy"]


@pytest.mark.matrix
def test_init_mail_is_there_once(stage: Stage, variables: dict[str, Any]) -> None:
    declared = {"name": "support", **connector(variables, "submission", "imaps")}
    played(stage, variables, "connectors", connectors=[declared])
    first, second = (played(stage, variables, "init_mail") for _time in range(2))
    assert len(first["sent"]) == 1
    assert (second["changed"], second["already_proven"]) == (False, ["support"])
    assert inbox(variables, SUPPORT) == [b"Subject: Init Mail"]
