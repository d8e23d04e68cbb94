# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What servers out there say, and what it means."""

from __future__ import annotations

import re

import pytest

from ansible_collections.mailroom.core.plugins.module_utils._verdict.diagnosis import diagnose
from ansible_collections.mailroom.core.plugins.module_utils._verdict.observation import Observation

EXCHANGE = "Authentication unsuccessful, {} [AM0PR00CA0000.EURPRD00.PROD.EXAMPLE.COM]"

# Phase, reply, verdict.
SMTP: tuple[tuple[str, str, str], ...] = (
    ("greeting", "421 4.7.0 mail.example.com Error: too many connections from 192.0.2.1", "throttled"),
    (
        "greeting",
        "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using bl.example.org",
        "client_blocked",
    ),
    ("greeting", "554 No SMTP service here", "greeting_rejected"),
    ("ehlo", "421 4.3.2 Service shutting down", "throttled"),
    ("ehlo", "502 5.5.2 Error: command not recognized", "protocol_error"),
    ("starttls", "454 4.7.0 TLS not available due to local problem", "starttls_refused"),
    ("starttls", "502 5.5.1 Error: command not implemented", "starttls_refused"),
    ("auth", "421 4.7.0 Too many login attempts, try again later", "throttled"),
    ("auth", "432 4.7.12 A password transition is needed", "auth_unsupported"),
    ("auth", "432 4.3.2 Concurrent connections limit exceeded", "throttled"),
    ("auth", "432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded", "throttled"),
    ("auth", "454 4.7.0 Temporary authentication failure", "auth_temporary"),
    ("auth", "454 4.7.0 Temporary authentication failure: Connection lost to authentication server", "auth_temporary"),
    ("auth", "500 5.5.6 Authentication exchange line is too long", "auth_unsupported"),
    ("auth", "503 5.5.1 Error: authentication not enabled", "auth_unsupported"),
    ("auth", "504 5.5.4 Unrecognized authentication type", "auth_unsupported"),
    ("auth", "534 5.7.9 Authentication mechanism is too weak", "auth_unsupported"),
    ("auth", "534 5.7.9 Application-specific password required.", "auth_rejected"),
    ("auth", "535 5.7.8 Error: authentication failed", "auth_rejected"),
    (
        "auth",
        "535 5.7.8 Username and Password not accepted. Learn more at https://support.example.com",
        "auth_rejected",
    ),
    ("auth", "535 Incorrect authentication data", "auth_rejected"),
    ("auth", "538 5.7.11 Encryption required for requested authentication mechanism", "auth_unsupported"),
    ("auth", f"535 5.7.139 {EXCHANGE.format('SmtpClientAuthentication is disabled for the Tenant.')}", "auth_disabled"),
    (
        "auth",
        f"535 5.7.139 {EXCHANGE.format('SmtpClientAuthentication is disabled for the Mailbox.')}",
        "auth_disabled",
    ),
    (
        "auth",
        "535 5.7.139 "
        + EXCHANGE.format(
            "user is locked by your organization's security defaults policy. Contact your administrator."
        ),
        "auth_disabled",
    ),
    (
        "auth",
        f"535 5.7.139 {EXCHANGE.format('the request did not meet the criteria to be authenticated successfully.')}",
        "auth_disabled",
    ),
    ("auth", "535 5.7.3 Authentication unsuccessful [AM0PR00CA0000.EURPRD00.PROD.EXAMPLE.COM]", "auth_rejected"),
    ("auth", "550 5.7.30 Basic authentication is not supported for Client Submission.", "auth_disabled"),
    ("sender", "550 5.7.30 Basic authentication is not supported for Client Submission.", "auth_disabled"),
    ("sender", "530 5.7.0 Authentication required", "auth_required"),
    ("sender", "530 5.7.57 Client not authenticated to send mail.", "auth_required"),
    (
        "sender",
        "550 5.7.57 SMTP; Client was not authenticated to send anonymous mail during MAIL FROM",
        "auth_required",
    ),
    ("sender", "550 5.7.60 SMTP; Client does not have permissions to send as this sender", "sender_rejected"),
    ("sender", "554 5.2.252 SendAsDenied; ann@example.com not allowed to send as bob@example.com", "sender_rejected"),
    (
        "sender",
        "553 5.7.1 <bob@example.com>: Sender address rejected: not owned by user ann@example.com",
        "sender_rejected",
    ),
    ("sender", "553 5.7.1 <bob@example.com>: Sender address rejected: not logged in", "auth_required"),
    ("sender", "552 5.3.4 Message size exceeds fixed limit", "message_too_large"),
    ("sender", "452 4.3.1 Insufficient system storage", "throttled"),
    ("recipient", "554 5.7.1 <somebody@example.net>: Relay access denied", "relay_denied"),
    ("recipient", "454 4.7.1 <somebody@example.net>: Relay access denied", "relay_denied"),
    ("recipient", "550 5.7.1 Unable to relay", "relay_denied"),
    ("recipient", "550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain", "relay_denied"),
    ("recipient", "550 5.1.1 <nobody@example.com>: Recipient address rejected: User unknown", "recipient_rejected"),
    ("recipient", "550 5.1.1 no such user", "recipient_rejected"),
    ("recipient", "530 5.7.1 Authentication required", "auth_required"),
    ("recipient", "552 5.2.2 <full@example.com>: Mailbox is full", "mailbox_full"),
    ("recipient", "452 4.2.2 <full@example.com>: Mailbox is full", "mailbox_full"),
    ("recipient", "450 4.2.0 <bob@example.com>: Recipient address rejected: Greylisted", "throttled"),
    ("recipient", "452 4.5.3 Too many recipients", "throttled"),
    ("message", "552 5.3.4 Error: message file too big", "message_too_large"),
    ("message", "552 5.2.3 Message is too long", "message_too_large"),
    ("message", "550 5.7.1 Message rejected as spam by content filtering", "message_rejected"),
    ("message", "552 5.2.2 Mailbox full", "mailbox_full"),
    ("message", "554 5.2.252 SendAsDenied; ann@example.com not allowed to send as bob@example.com", "sender_rejected"),
    ("message", "432 4.3.2 Concurrent connections limit exceeded", "throttled"),
    ("message", "451 4.7.500 Server busy. Please try again later", "throttled"),
)

# Phase, response code, text, verdict.
IMAP: tuple[tuple[str, str, str, str], ...] = (
    ("greeting", "BYE", "Not now", "greeting_rejected"),
    ("greeting", "BYE [UNAVAILABLE]", "Too many connections", "throttled"),
    ("starttls", "NO", "TLS is not available", "starttls_refused"),
    ("starttls", "BAD", "Unknown command", "starttls_refused"),
    ("auth", "NO [AUTHENTICATIONFAILED]", "Authentication failed.", "auth_rejected"),
    ("auth", "NO", "AUTHENTICATE failed.", "auth_rejected"),
    ("auth", "NO [AUTHORIZATIONFAILED]", "Not authorized", "auth_disabled"),
    ("auth", "NO [EXPIRED]", "The password has expired", "auth_rejected"),
    ("auth", "NO [PRIVACYREQUIRED]", "Encryption is needed", "auth_disabled"),
    ("auth", "NO [CONTACTADMIN]", "Contact the administrator", "auth_disabled"),
    ("auth", "NO [UNAVAILABLE]", "Temporary authentication failure", "auth_temporary"),
    ("auth", "NO [LIMIT]", "Too many simultaneous connections", "throttled"),
    ("auth", "NO [INUSE]", "Mailbox is in use", "auth_temporary"),
    ("auth", "NO [ALERT]", "Application-specific password required: https://support.example.com", "auth_rejected"),
    ("auth", "BYE [UNAVAILABLE]", "Server is shutting down", "auth_temporary"),
    ("select", "NO [NONEXISTENT]", "Unknown mailbox", "mailbox_missing"),
    ("select", "NO", "Mailbox does not exist", "mailbox_missing"),
    ("select", "NO [NOPERM]", "Permission denied", "mailbox_denied"),
    ("select", "NO", "Permission denied", "mailbox_denied"),
    ("select", "NO [OVERQUOTA]", "Mailbox is full", "mailbox_full"),
    # A server in trouble says nothing of the mailbox's name.
    ("select", "NO [UNAVAILABLE]", "The mailbox is being moved", "throttled"),
    ("select", "NO [SERVERBUG]", "Internal error occurred", "mailbox_denied"),
)


def _smtp(phase: str, reply: str) -> Observation:
    code, text = reply.split(" ", 1)
    enhanced = re.match(r"[245]\.\d+\.\d+", text)
    return Observation("reply", phase, "smtp", int(code), enhanced[0] if enhanced else "", text)


@pytest.mark.parametrize(("phase", "reply", "verdict"), SMTP)
def test_smtp_reply_has_its_verdict_and_is_quoted(phase: str, reply: str, verdict: str) -> None:
    finding = diagnose(_smtp(phase, reply))
    assert finding.verdict == verdict
    assert reply.split(" ", 1)[1] in finding.remedy


@pytest.mark.parametrize(("phase", "response", "text", "verdict"), IMAP)
def test_imap_response_has_its_verdict(phase: str, response: str, text: str, verdict: str) -> None:
    assert diagnose(Observation("reply", phase, "imap", None, response, text)).verdict == verdict


# Phase, reply, what the remedy has to name.
REMEDIES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("auth", "535 5.7.139 SmtpClientAuthentication is disabled for the Tenant.", ("Set-TransportConfig", "oauth2")),
    ("auth", "535 5.7.139 disabled for the Mailbox.", ("Set-CASMailbox", "15 minutes")),
    ("auth", "535 5.7.139 locked by your organization's security defaults policy.", ("security defaults", "oauth2")),
    ("auth", "550 5.7.30 Basic authentication is not supported for Client Submission", ("oauth2", "graph")),
    ("auth", "534 5.7.9 Application-specific password required", ("app password",)),
    ("auth", "535 5.7.8 Error", ("ann@example.com", "app password", "lock", "is the password right")),
    ("auth", "538 5.7.11 Encryption required for requested authentication mechanism", ("security", "starttls")),
    ("auth", "530 5.7.0 Must issue a STARTTLS command first", ("security", "starttls")),
    ("sender", "530 5.7.0 Must issue a STARTTLS command first", ("security", "starttls")),
    ("sender", "530 5.7.0 Authentication required", ("username",)),
    ("recipient", "554 5.7.1 Relay access denied", ("username", "mail.example.com")),
    ("sender", "550 5.7.60 SMTP; Client does not have permissions to send as this sender", ("from_address", "right")),
    ("ehlo", "421 4.7.0 Daily sending limit exceeded", ("limit of the provider", "send less")),
    ("sender", "504 5.5.2 <pc>: Helo command rejected: need fully-qualified hostname", ("ehlo_name",)),
    ("ehlo", "550 5.7.0 Daily sending limit exceeded", ("limit of the provider", "send less")),
)


@pytest.mark.parametrize(("phase", "reply", "named"), REMEDIES)
def test_remedy_names_the_likely_cause(phase: str, reply: str, named: tuple[str, ...]) -> None:
    facts = {
        "username": "ann@example.com",
        "host": "mail.example.com",
        "port": 587,
        "protocol": "SMTP",
        "encrypted_security": "starttls",
    }
    remedy = diagnose(_smtp(phase, reply).with_context(facts=facts)).remedy
    assert [word for word in named if word not in remedy] == []


def test_remedy_of_a_535_names_more_than_the_password() -> None:
    refused = [reply for phase, reply, _verdict in SMTP if phase == "auth" and reply.startswith("535")]
    assert [reply for reply in refused if len(diagnose(_smtp("auth", reply)).remedy) <= 120] == []


# What leaves one meaning is certain, what the words only suggest is likely, and the rest of a phase is possible.
CERTAINTIES: tuple[tuple[str, str, str], ...] = (
    ("greeting", "554 No SMTP service here", "certain"),
    ("ehlo", "450 4.0.0 Not now", "possible"),
    ("auth", "535 5.7.8 Error: authentication failed", "certain"),
    ("auth", "535 5.7.0 No", "likely"),
    ("auth", "550 5.7.0 No", "possible"),
    ("sender", "530 5.7.57 Client not authenticated to send mail.", "certain"),
    ("recipient", "554 5.7.1 <somebody@example.net>: Relay access denied", "certain"),
    ("message", "552 5.3.4 Error: message file too big", "certain"),
)


def test_certainty_is_that_of_the_code_and_the_words() -> None:
    found = tuple((phase, reply, diagnose(_smtp(phase, reply)).certainty) for phase, reply, _expected in CERTAINTIES)
    assert found == CERTAINTIES


def test_token_that_expires_during_a_session_is_told_from_a_refused_one() -> None:
    finding = diagnose(Observation("reply", "select", "imap", None, "BYE", "AccessTokenExpired"))
    assert (finding.verdict, finding.certainty) == ("auth_rejected", "likely")
    assert "run the test again" in finding.remedy
