# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What applications say of a mail server becomes the verdict that our own test would come to."""

from __future__ import annotations

import pytest

from ansible_collections.mailroom.core.plugins.module_utils._connector.resolved import SmtpSettings
from ansible_collections.mailroom.core.plugins.module_utils._target import mail_replies
from ansible_collections.mailroom.core.plugins.module_utils._target.mail_replies import observation_in
from ansible_collections.mailroom.core.plugins.module_utils._verdict import diagnosis
from ansible_collections.mailroom.core.plugins.module_utils._verdict.connection_rules import CONNECTION_RULES
from ansible_collections.mailroom.core.plugins.module_utils._verdict.diagnosis import diagnose
from ansible_collections.mailroom.core.plugins.module_utils._verdict.imap_rules import IMAP_RULES
from ansible_collections.mailroom.core.plugins.module_utils._verdict.rule import OTHER_REPLIES, Rule
from ansible_collections.mailroom.core.plugins.module_utils._verdict.smtp_rules import SMTP_RULES, SMTP_WITHOUT_SIGN_IN

SERVER = SmtpSettings("smtp", "mail.example.com", 587, "starttls", auth="password", username="alice@example.com")
REPLY_RULES = [
    rule for table in (SMTP_RULES, SMTP_WITHOUT_SIGN_IN, IMAP_RULES) for each in table.values() for rule in each
]


@pytest.mark.parametrize(
    ("words", "verdict"),
    [
        # Python's smtplib, as exceptions are told.
        ("(535, b'5.7.8 Error: authentication failed: (reason unavailable)')", "auth_rejected"),
        ("{'nobody@example.com': (550, b'5.1.1 <nobody@example.com>: User unknown')}", "recipient_rejected"),
        ("{'a@b.example': (554, b'5.7.1 <a@b.example>: Relay access denied')}", "relay_denied"),
        ("(553, b'5.7.1 <x@example.com>: Sender address rejected: not owned', 'x@example.com')", "sender_rejected"),
        ("(554, b'5.7.1 Spam message rejected')", "message_rejected"),
        ("STARTTLS extension not supported by server.", "starttls_missing"),
        ("SMTP AUTH extension not supported by server.", "auth_unsupported"),
        ("[Errno 111] Connection refused", "connect_refused"),
        ("[Errno -2] Name or service not known", "dns_not_found"),
        ("[Errno -3] Temporary failure in name resolution", "dns_temporary"),
        ("[Errno 113] No route to host", "connect_unreachable"),
        ("timed out", "connect_timeout"),
        ("[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1006)", "security_mismatch"),
        ("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate", "tls_untrusted"),
        ("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate has expired", "tls_expired"),
        ("certificate verify failed: Hostname mismatch, certificate is not valid for 'x'.", "tls_name_mismatch"),
        # libcurl, and Zabbix without it.
        ("Login denied: Access denied: 535", "auth_rejected"),
        ("Failed sending data to the peer: RCPT failed: 550", "recipient_rejected"),
        ("Failed sending data to the peer: MAIL failed: 553", "sender_rejected"),
        ("Couldn't connect to server: Failed to connect to 127.0.0.1 port 1: Connection refused", "connect_refused"),
        ("Couldn't resolve host name: Could not resolve host: nowhere.invalid", "dns_not_found"),
        ("SSL peer certificate was not OK: SSL certificate problem: unable to get local issuer", "tls_untrusted"),
        ('cannot connect to SMTP server "mail.example.com": cannot resolve [mail.example.com]', "dns_not_found"),
        ('wrong answer on RCPT TO "550 5.1.1 <nobody@example.com>: User unknown"', "recipient_rejected"),
    ],
)
def test_words_of_applications(words: str, verdict: str) -> None:
    observation = observation_in(words, SERVER)
    assert observation is not None
    assert diagnose(observation).verdict == verdict


@pytest.mark.parametrize("words", ["", "500 Internal Server Error", "Something went wrong", "x" * 100_000])
def test_words_that_say_nothing_of_the_server(words: str) -> None:
    assert observation_in(words, SERVER) is None


def test_what_the_server_said_is_in_the_remedy() -> None:
    observation = observation_in("(535, b'5.7.8 Ask the postmaster')", SERVER)
    assert observation is not None
    assert (observation.code, observation.enhanced) == (535, "5.7.8")
    assert "Ask the postmaster" in diagnose(observation).remedy


def rules() -> list[Rule]:
    """All that may be the one for an application's words."""
    kinds = {words.kind for words in mail_replies._RULES}
    return [*REPLY_RULES, *OTHER_REPLIES, *(rule for rule in CONNECTION_RULES if kinds & set(rule.kinds))]


def test_no_remedy_names_what_an_application_does_not_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    observation = observation_in("(535, b'5.7.8 Ask the postmaster')", SERVER)
    assert observation is not None
    gaps = []
    for rule in rules():
        always = rule._replace(kind="reply", phases=(), reply="", text="")
        monkeypatch.setattr(diagnosis, "rules_for", lambda _observation, always=always: (always,))
        remedy = diagnose(observation).remedy
        gaps += [remedy for gap in ("not known", "{", "()", "None") if gap in remedy]
    assert gaps == []
