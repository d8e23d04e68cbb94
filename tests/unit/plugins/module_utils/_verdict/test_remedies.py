# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Remedies that would mislead if they were the general ones."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.mailroom.core.plugins.module_utils._verdict.diagnosis import diagnose
from ansible_collections.mailroom.core.plugins.module_utils._verdict.observation import Observation

OFF = "Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant."
BASIC = "Authentication unsuccessful, basic authentication is disabled."


def _remedy(
    code: int | None, enhanced: str, text: str, phase: str = "auth", protocol: str = "smtp", **facts: Any
) -> str:
    return diagnose(Observation("reply", phase, protocol, code, enhanced, text, facts)).remedy


PERSONAL = (
    ("ann@outlook.com", "smtp.office365.com"),
    ("Ann@Hotmail.co.uk", "outlook.office365.com"),
    ("ann@live.nl", "smtp.office365.com"),
    ("ann@msn.com", "smtp-mail.outlook.com"),
    ("ann@example.com", "smtp-mail.outlook.com"),
)


@pytest.mark.parametrize(
    "reply",
    [
        (535, "5.7.139", OFF, "smtp"),
        (535, "5.7.139", BASIC, "smtp"),
        (535, "5.7.3", "Authentication unsuccessful", "smtp"),
        (550, "5.7.30", "Basic authentication is not supported for Client Submission.", "smtp"),
        (None, "NO", "Basic authentication is disabled.", "imap"),
    ],
)
def test_remedy_for_a_personal_account_does_not_send_to_a_tenants_powershell(
    reply: tuple[int | None, str, str, str],
) -> None:
    code, enhanced, text, protocol = reply
    for username, host in PERSONAL:
        remedy = _remedy(code, enhanced, text, protocol=protocol, username=username, host=host)
        assert ("Set-CASMailbox" in remedy, "graph" in remedy) == (False, False), username
        assert "oauth2, which is the only way" in remedy, username
        assert text in remedy, username


@pytest.mark.parametrize(
    ("username", "host"),
    [("ann@example.com", "smtp.office365.com"), ("ann@outlook.com", "mail.example.com"), ("", "smtp.office365.com")],
)
def test_an_account_of_an_organisation_is_sent_to_powershell(username: str, host: str) -> None:
    assert "Set-CASMailbox" in _remedy(535, "5.7.139", OFF, username=username, host=host)


def test_wrong_credentials_of_a_personal_account_are_no_switch() -> None:
    observation = Observation(
        "reply",
        "auth",
        "smtp",
        535,
        "5.7.139",
        "Authentication unsuccessful, the user credentials were incorrect.",
        {"username": "ann@outlook.com", "host": "smtp.office365.com"},
    )
    assert diagnose(observation).verdict == "auth_rejected"


TELLING = {
    "weak password": (("auth", 535, "5.7.8", "Your password is too simple"), "stronger", "app password"),
    "yahoo": (
        (
            "sender",
            421,
            "4.7.0",
            "[TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume or user complaints",
        ),
        "reputation",
        "lower the number",
    ),
    "too much for the recipient": (
        (
            "recipient",
            450,
            "4.2.1",
            "The user you are trying to contact is receiving mail at a rate that prevents additional messages",
        ),
        "the address is right",
        "Check test_address",
    ),
    "mail.ru": (
        (
            "auth",
            535,
            "5.7.0",
            "Application password is REQUIRED https://help.mail.ru/mail/security/protection/external",
        ),
        "app password",
        "Check in this order",
    ),
    "qq": (
        (
            "auth",
            535,
            "",
            "Login fail. Please using authorized code to login. More information at https://service.mail.qq.com",
        ),
        "authorization code",
        "Check in this order",
    ),
}


@pytest.mark.parametrize(("reply", "says", "not_says"), TELLING.values(), ids=TELLING)
def test_a_telling_reply_has_a_remedy_of_its_own(reply: tuple[str, int, str, str], says: str, not_says: str) -> None:
    phase, code, enhanced, text = reply
    remedy = _remedy(code, enhanced, text, phase)
    assert says in remedy
    assert not_says not in remedy
    assert text in remedy


def test_a_refused_sign_in_names_the_way_and_the_others_before_it_quotes_the_server() -> None:
    facts = {"mechanism": "SCRAM-SHA-1", "other_mechanisms": ["PLAIN", "LOGIN"]}
    remedy = _remedy(None, "NO", "Authentication failed", protocol="imap", **facts)
    assert "used SCRAM-SHA-1" in remedy
    assert "PLAIN, LOGIN" in remedy
    assert "mechanisms" in remedy
    assert remedy.endswith("The server says: Authentication failed")


def test_a_refused_sign_in_without_another_way_names_none() -> None:
    remedy = _remedy(535, "5.7.8", "no", mechanism="PLAIN", other_mechanisms=[])
    assert "used PLAIN." in remedy
    assert "mechanisms" not in remedy
