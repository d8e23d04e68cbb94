# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How often a credential is sent: not again once it was refused, whatever the rules say that word the verdicts."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from peers import actions
from peers.actions import Action
from peers.ca import CertificateZoo
from peers.imap import ImapScript
from peers.scripted import ScriptedServer
from peers.smtp import SmtpScript
from servers import verdicts_probing as probing
from servers.verdicts_probing import ALICE, BOUNDS, ENDING, connector, probe

from ansible_collections.mailroom.core.plugins.module_utils._check.job import Job
from ansible_collections.mailroom.core.plugins.module_utils._protocol.smtp import SmtpSession
from ansible_collections.mailroom.core.plugins.module_utils._verdict import diagnosis
from ansible_collections.mailroom.core.plugins.module_utils._verdict.rule import Rule

WRONG = "wrong-Secret-0"
REFUSED = "535 5.7.8 Error: authentication failed"
SWITCHED_OFF = "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant."
# The answer to a sign-in over SMTP, and how often the credential is then sent over SMTP and over IMAP by three
# connectors for SMTP and one for IMAP.
ANSWERS: dict[str, tuple[Action, int, int]] = {
    "refused": (actions.reply(REFUSED), 1, 0),
    "an app password is wanted": (actions.reply("534 5.7.9 Application-specific password required."), 1, 0),
    "switched off": (actions.reply(SWITCHED_OFF), 1, 1),
    "no mechanism after all": (actions.reply("504 5.5.4 Unrecognized authentication type"), 3, 1),
    "temporary": (actions.reply("454 4.7.0 Temporary authentication failure"), 3, 1),
    "throttled": (actions.reply("421 4.7.0 Too many login attempts, try again later"), 3, 1),
    "closed without a word": (actions.hang_up(), 1, 0),
    "reset": (actions.reset(), 1, 0),
    "silent": (actions.silent(), 1, 0),
    "no answer to a sign-in": (actions.reply("250 2.0.0 Ok"), 1, 0),
}


def two_rules(rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
    """Rules that call everything the same."""
    kinds = tuple({kind for rule in rules for kind in rule.kinds})
    return Rule("throttled", "certain", kinds), Rule("ok", "certain", kinds)


CHANGES = {
    "as they are": lambda rules: rules,
    "backwards": lambda rules: rules[::-1],
    "everything passes": two_rules,
    "everything is refused": lambda rules: (Rule("auth_rejected", "certain", two_rules(rules)[0].kind),),
    "none": lambda rules: (),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.sampled(7)
def test_how_often_a_credential_is_sent_does_not_depend_on_the_rules(
    zoo: CertificateZoo, monkeypatch: pytest.MonkeyPatch, name: str, change: str
) -> None:
    """House review, defect 7: the order of 192 regular expressions that word remedies decided it."""
    rules_for = diagnosis.rules_for
    monkeypatch.setattr(diagnosis, "rules_for", lambda observation: CHANGES[change](rules_for(observation)))
    action, by_smtp, by_imap = ANSWERS[name]
    with SmtpScript({"auth_end": action}, mechanisms=("PLAIN",)).server() as smtp, ImapScript().server() as imap:
        jobs = [connector(zoo, "smtp", smtp.port, name=f"smtp_{number}") for number in range(3)]
        probe(*jobs, connector(zoo, "imap", imap.port), bounds=ENDING if name == "silent" else BOUNDS)
    assert (len(smtp.logins), len(imap.logins)) == (by_smtp, by_imap)


IMAP_ANSWERS: dict[str, tuple[Action, int, int]] = {
    "refused": (actions.reply("{tag} NO [AUTHENTICATIONFAILED] Authentication failed."), 1, 0),
    "without a code": (actions.reply("{tag} NO Authentication failed."), 1, 0),
    "a code in the middle": (actions.reply("{tag} NO Wrong password for ann [UNAVAILABLE]"), 1, 0),
    "not authorized": (actions.reply("{tag} NO [AUTHORIZATIONFAILED] Not allowed"), 1, 1),
    "unavailable": (actions.reply("{tag} NO [UNAVAILABLE] Temporary authentication failure"), 3, 1),
    "good-bye": (actions.reply("* BYE Too many failed attempts"), 1, 0),
    "good-bye for now": (actions.reply("* BYE [UNAVAILABLE] Server is shutting down"), 3, 1),
    "closed without a word": (actions.hang_up(), 1, 0),
}


@pytest.mark.parametrize("mechanisms", [("PLAIN",), ()], ids=["PLAIN", "LOGIN command"])
@pytest.mark.parametrize("name", IMAP_ANSWERS)
def test_how_often_a_credential_is_sent_over_imap(zoo: CertificateZoo, name: str, mechanisms: tuple[str, ...]) -> None:
    action, by_imap, by_smtp = IMAP_ANSWERS[name]
    script = ImapScript({"auth_end": action}, mechanisms=mechanisms)
    with script.server() as imap, SmtpScript().server() as smtp:
        jobs = [connector(zoo, "imap", imap.port, name=f"imap_{number}") for number in range(3)]
        probe(*jobs, connector(zoo, "smtp", smtp.port))
    assert (len(imap.logins), len(smtp.logins)) == (by_imap, by_smtp)


def test_a_mechanism_that_fails_before_the_password_is_used_leaves_it_for_another(zoo: CertificateZoo) -> None:
    script = SmtpScript({"auth_step": actions.hang_up()}, mechanisms=("SCRAM-SHA-256", "PLAIN"))
    with script.server() as server:
        by_scram, by_plain = probe(
            connector(zoo, "smtp", server.port, name="scram"),
            connector(zoo, "smtp", server.port, name="plain", mechanisms=["PLAIN"]),
        )
    assert (by_scram["verdict"], by_plain["verdict"]) == ("connection_reset", "ok")
    assert server.mechanisms == ["SCRAM-SHA-256", "PLAIN"]


def connectors_at(zoo: CertificateZoo, server: ScriptedServer, *hosts: str, **changes: Any) -> list[Job]:
    """Connectors for one server that each spells in its own way."""
    return [
        connector(zoo, "smtp", server.port, name=f"connector_{number}", host=host, **changes)
        for number, host in enumerate(hosts)
    ]


def test_a_server_spelled_differently_is_the_same_server(zoo: CertificateZoo) -> None:
    """They run at once: nothing but the address tells that they ask the same server."""
    with SmtpScript({"auth": actions.slow(0.1)}).server() as server:
        hosts = ("127.0.0.1", "localhost", "LOCALHOST", "127.0.0.1")
        results = probe(*connectors_at(zoo, server, *hosts, password=WRONG))
    assert [result["verdict"] for result in results] == ["auth_rejected"] * 4
    assert len(server.logins) == 1
    assert sum("not tried again" in probing.said(result) for result in results) == 3


def test_a_users_case_makes_no_other_user(zoo: CertificateZoo) -> None:
    with SmtpScript().server() as server:
        jobs = [
            connector(zoo, "smtp", server.port, password=WRONG, name=name, username=username)
            for name, username in (("one", ALICE.address), ("other", ALICE.address.upper()))
        ]
        probe(*jobs)
    assert len(server.logins) == 1


def test_two_blocks_of_a_connector_share_what_was_refused_wherever_they_are(zoo: CertificateZoo) -> None:
    with SmtpScript().server() as smtp, ImapScript().server(host="127.0.0.2") as imap:
        outgoing = connector(zoo, "smtp", smtp.port, password=WRONG)
        incoming = connector(zoo, "imap", imap.port, host="127.0.0.2")
        smtp_settings = outgoing.connector.smtp
        imap_settings = dataclasses.replace(incoming.connector.imap, password=smtp_settings.password)
        both = dataclasses.replace(
            outgoing.connector,
            smtp=dataclasses.replace(smtp_settings, same_credentials=True),
            imap=imap_settings,
        )
        (result,) = probe(dataclasses.replace(outgoing, connector=both))
    assert (len(smtp.logins), len(imap.logins)) == (1, 0)
    assert result["verdict"] == "auth_rejected"


def test_the_same_user_elsewhere_is_another_user(zoo: CertificateZoo) -> None:
    with SmtpScript().server() as here, SmtpScript().server(host="127.0.0.2") as there:
        probe(
            connector(zoo, "smtp", here.port, password=WRONG, name="here"),
            connector(zoo, "smtp", there.port, password=WRONG, name="there", host="127.0.0.2"),
        )
    assert (len(here.logins), len(there.logins)) == (1, 1)


def test_the_right_password_is_tried_after_a_wrong_one(zoo: CertificateZoo) -> None:
    with SmtpScript().server() as server:
        wrong, right = probe(
            connector(zoo, "smtp", server.port, password=WRONG, name="wrong"),
            connector(zoo, "smtp", server.port, name="right"),
        )
    assert (wrong["verdict"], right["verdict"]) == ("auth_rejected", "ok")


def test_the_result_says_where_the_credential_was_refused(zoo: CertificateZoo) -> None:
    with SmtpScript().server() as smtp, ImapScript().server() as imap:
        _refused, spared = probe(
            connector(zoo, "smtp", smtp.port, password=WRONG), connector(zoo, "imap", imap.port, password=WRONG)
        )
    assert (spared["verdict"], probing.failing_phase(spared)) == ("auth_rejected", "auth")
    assert f"127.0.0.1 port {smtp.port}" in probing.said(spared)
    assert "authentication failed" in probing.said(spared)


def test_a_bug_during_a_sign_in_does_not_repeat_it(zoo: CertificateZoo, monkeypatch: pytest.MonkeyPatch) -> None:
    good = SmtpSession._authenticate

    def crash(session: SmtpSession, *arguments: Any) -> None:
        good(session, *arguments)
        raise RuntimeError

    monkeypatch.setattr(SmtpSession, "_authenticate", crash)
    with SmtpScript().server() as server:
        results = probe(*connectors_at(zoo, server, "127.0.0.1", "127.0.0.1"))
    assert [result["verdict"] for result in results] == ["internal_error"] * 2
    assert len(server.logins) == 1
