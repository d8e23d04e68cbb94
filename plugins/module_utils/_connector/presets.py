# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Presets: the servers of mail providers and their ways to sign in. Data only.

Encryption is always required. The first of `ports` is the preset's; the provider offers the others as well.
"""

from __future__ import annotations

from typing import Any

from .suggest import normalize_word

_APP_PASSWORD = "Sign in with OAuth 2.0, or with an app password (two-step sign-in must be on)."

_SES_REGIONS = (
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
    "af-south-1",
    "ap-south-1",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ca-central-1",
    "eu-central-1",
    "eu-north-1",
    "eu-south-1",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "il-central-1",
    "me-south-1",
    "sa-east-1",
    "us-gov-east-1",
    "us-gov-west-1",
)

_TLS = {"port": 465, "security": "tls"}
_STARTTLS = {"port": 587, "security": "starttls"}
_IMAP_TLS = {"port": 993, "security": "tls"}


def _ses(region: str) -> dict[str, Any]:
    return {
        "smtp": {"host": f"email-smtp.{region}.amazonaws.com", **_TLS},
        "ports": (465, 2465, 587, 2587, 25, 2525),
        "sign_in": f"SMTP credentials of region {region}, which are neither an IAM key nor valid in another region.",
    }


PRESETS: dict[str, dict[str, Any]] = {
    "gmail": {
        "smtp": {"host": "smtp.gmail.com", **_TLS},
        "imap": {"host": "imap.gmail.com", **_IMAP_TLS},
        "ports": (465, 587),
        "sign_in": _APP_PASSWORD,
    },
    "workspace_relay": {
        "smtp": {"host": "smtp-relay.gmail.com", **_TLS},
        "ports": (465, 587, 25),
        "sign_in": "By IP address, by password, or both. The server knows its customer by smtp.ehlo_name: set that.",
    },
    "microsoft365": {
        "smtp": {"host": "smtp.office365.com", **_STARTTLS},
        "imap": {"host": "outlook.office365.com", **_IMAP_TLS},
        "ports": (587,),
        "sign_in": "OAuth 2.0. Passwords are turned off by default at the end of 2026.",
    },
    "outlook_com": {
        "smtp": {"host": "smtp-mail.outlook.com", **_STARTTLS},
        "imap": {"host": "outlook.office365.com", **_IMAP_TLS},
        "ports": (587,),
        "sign_in": "OAuth 2.0 only.",
    },
    "ses": _ses("us-east-1"),
    **{"ses_" + region.replace("-", "_"): _ses(region) for region in _SES_REGIONS},
    "sendgrid": {
        "smtp": {"host": "smtp.sendgrid.net", **_TLS},
        "ports": (465, 587, 2525),
        "sign_in": "The user is literally apikey, the password is an API key.",
    },
    "mailgun": {
        "smtp": {"host": "smtp.mailgun.org", **_TLS},
        "ports": (465, 587, 2525),
        "sign_in": "The SMTP login of the sending domain. Domains in the EU use smtp.eu.mailgun.org.",
    },
    "postmark": {
        "smtp": {"host": "smtp.postmarkapp.com", **_STARTTLS},
        "ports": (587, 2525, 25),
        "sign_in": "The user is an SMTP token's access key, the password its secret key.",
    },
    "mailjet": {
        "smtp": {"host": "in-v3.mailjet.com", **_TLS},
        "ports": (465, 587, 2525),
        "sign_in": "The user is the API key, the password is the secret key.",
    },
    "brevo": {
        "smtp": {"host": "smtp-relay.brevo.com", **_TLS},
        "ports": (465, 587, 2525),
        "sign_in": "The SMTP login and an SMTP key.",
    },
    "sparkpost": {
        "smtp": {"host": "smtp.sparkpostmail.com", **_STARTTLS},
        "ports": (587, 2525),
        "sign_in": "The user is SMTP_Injection, the password is an API key that may send by SMTP.",
    },
    "zoho": {
        "smtp": {"host": "smtp.zoho.com", **_TLS},
        "imap": {"host": "imap.zoho.com", **_IMAP_TLS},
        "ports": (465, 587),
        "sign_in": "An app password. Other data centres have hosts of their own, such as smtp.zoho.eu.",
    },
    "yahoo": {
        "smtp": {"host": "smtp.mail.yahoo.com", **_TLS},
        "imap": {"host": "imap.mail.yahoo.com", **_IMAP_TLS},
        "ports": (465,),
        "sign_in": _APP_PASSWORD,
    },
    "icloud": {
        "smtp": {"host": "smtp.mail.me.com", **_STARTTLS},
        "imap": {"host": "imap.mail.me.com", **_IMAP_TLS},
        "ports": (587,),
        "sign_in": "An app password.",
    },
    "fastmail": {
        "smtp": {"host": "smtp.fastmail.com", **_TLS},
        "imap": {"host": "imap.fastmail.com", **_IMAP_TLS},
        "ports": (465,),
        "sign_in": "OAuth 2.0 or an app password.",
    },
    "proton": {
        "smtp": {"host": "smtp.protonmail.ch", **_STARTTLS},
        "ports": (587,),
        "sign_in": "An SMTP token, for addresses in a domain of one's own. Reading needs Proton's bridge.",
    },
}

_CUSTOM = "custom"
PRESET_NAMES = (_CUSTOM, *PRESETS)

ALIASES = {
    "g_suite": "gmail",
    "google": "gmail",
    "google_mail": "gmail",
    "google_workspace": "gmail",
    "googlemail": "gmail",
    "gsuite": "gmail",
    "gsuite_relay": "workspace_relay",
    "google_workspace_relay": "workspace_relay",
    "exchange_online": "microsoft365",
    "m365": "microsoft365",
    "microsoft_365": "microsoft365",
    "ms365": "microsoft365",
    "o365": "microsoft365",
    "office365": "microsoft365",
    "office_365": "microsoft365",
    "hotmail": "outlook_com",
    "outlook.com": "outlook_com",
    "amazon_ses": "ses",
    "amazonses": "ses",
    "aws_ses": "ses",
    "twilio_sendgrid": "sendgrid",
    "sendinblue": "brevo",
    "zoho_mail": "zoho",
    "yahoo_mail": "yahoo",
    "icloud_mail": "icloud",
    "proton_mail": "proton",
    "protonmail": "proton",
}
"""Other names of presets, normalized."""

_BY_WORD = {**ALIASES, **{normalize_word(name): name for name in PRESET_NAMES}}


def find_preset(word: str) -> str:
    """The name of the preset for a name or alias, whatever its case; empty where there is none."""
    return _BY_WORD.get(normalize_word(word), "")
