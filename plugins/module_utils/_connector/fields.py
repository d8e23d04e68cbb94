# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The field table: every field of a connector, once.

The argument specs, the validation and the documentation of the fields are derived from it. In a
description O(smtp.port) names a field; the generator of the documentation adds where it stands.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from . import checks
from .presets import ALIASES, NAMES, preset_name
from .suggest import did_you_mean, folded, nearest

SECURITY = ("none", "starttls", "starttls_optional", "tls")
MECHANISMS = ("PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256", "OAUTHBEARER", "XOAUTH2")
MOST_COPIES = 100
LONGEST_DISPLAY_NAME = 64
CLOUDS = ("global", "us_gov", "us_gov_dod", "china")

# Words of other products, each with what is meant by it here.
_OTHER_SECURITY = {
    **dict.fromkeys(("ssl", "ssl/tls", "tls/ssl", "ssl_tls", "tls_ssl", "smtps", "imaps", "implicit", "true"), "tls"),
    **dict.fromkeys(("explicit", "start_tls"), "starttls"),
    **dict.fromkeys(("opportunistic", "auto", "may", "if_available"), "starttls_optional"),
}
_OTHER_AUTH = {
    **dict.fromkeys(("plain", "login", "basic", "normal", "cram_md5"), "password"),
    **dict.fromkeys(("oauth", "oauth_2", "xoauth2", "oauthbearer", "modern"), "oauth2"),
    **dict.fromkeys(("anonymous", "false", "off"), "none"),
}
OTHER_FIELDS = {
    **dict.fromkeys(("from", "sender", "email", "from_email"), "from_address"),
    **dict.fromkeys(("server", "hostname", "smtp_host", "smtp_server", "imap_host"), "host"),
    **dict.fromkeys(("ssl", "tls", "starttls", "use_tls", "use_ssl", "encryption", "secure"), "security"),
    **dict.fromkeys(("login", "account"), "username"),
    **dict.fromkeys(("secret", "passwd", "app_password"), "password"),
    **dict.fromkeys(("verify_certs", "ssl_verify", "verify_ssl", "tls_verify", "insecure"), "validate_certs"),
    **dict.fromkeys(("folder", "inbox"), "mailbox"),
    **dict.fromkeys(("tenant", "tenants"), "available_to"),
}
"""Names of fields elsewhere, each with the field that is meant by it here."""


@dataclass(frozen=True)
class Field:
    """One field: its type in Ansible's words, its check, and what the documentation says."""

    name: str
    type: str
    check: checks.Check
    description: tuple[str, ...]
    secret: bool = False
    elements: str | None = None
    choices: tuple[str, ...] = ()
    fields: tuple[Field, ...] = ()


def _text(name: str, check: checks.Check, *description: str) -> Field:
    return Field(name, "str", check, description)


def _choice(name: str, choices: tuple[str, ...], others: Mapping[str, str], *description: str) -> Field:
    return Field(name, "str", checks.one_of(*choices, others=others), description, choices=choices)


def _flag(name: str, *description: str) -> Field:
    return Field(name, "bool", checks.flag, description)


def _path(name: str, *description: str) -> Field:
    return Field(name, "path", checks.absolute_path, description)


def _list(name: str, each: checks.Check, at_most: int, *description: str) -> Field:
    return Field(name, "list", checks.many(each, at_most), description, elements="str")


def _secret(name: str, check: checks.Check, *description: str) -> Field:
    return Field(name, "str", check, description, secret=True)


def _provider(value: Any) -> str:
    name = preset_name(value) if isinstance(value, str) else ""
    if not name:
        shown = [each for each in NAMES if not each.startswith("ses_")]
        allowed = ", ".join(f"{each} (other regions as ses_eu_west_1)" if each == "ses" else each for each in shown)
        suggestion = did_you_mean(value, NAMES, ALIASES) if isinstance(value, str) else ""
        raise checks.NotAllowed(f"must be one of {allowed}{suggestion}")
    return name


def _no_block(_value: object) -> object:
    raise checks.NotAllowed("must be a dictionary")


def _block(name: str, fields: tuple[Field, ...], *description: str) -> Field:
    return Field(name, "dict", _no_block, description, fields=fields)


_PASSWORD = checks.secret_text(1024)
_IN_PRACTICE = "A value in a variable that is not set must not erase it: an empty text is an error."


def _proxy_fields(block: str) -> tuple[Field, ...]:
    return (
        _text(
            "proxy",
            checks.proxy,
            "The proxy to connect through, as V(socks5://host:port) or V(http://host:port).",
            f"User and password belong in O({block}.proxy_username) and O({block}.proxy_password).",
        ),
        _text("proxy_username", checks.text(320), "Who signs in at the proxy."),
        _secret("proxy_password", _PASSWORD, f"The password of O({block}.proxy_username)."),
    )


def _server_fields(block: str, ports: str, secure_default: str) -> tuple[Field, ...]:
    return (
        _text(
            "host",
            checks.host,
            "The server's name or IP address.",
            "An international name follows the rule of O(from_address).",
            "Filled by O(provider) where that names one.",
        ),
        Field(
            "port",
            "int",
            checks.number(1, 65535),
            (f"The server's port. Default: {ports}, as O({block}.security) is.",),
        ),
        _choice(
            "security",
            SECURITY,
            _OTHER_SECURITY,
            "How the connection is encrypted: V(tls) from the first byte, V(starttls) after the server was asked, and"
            " required, V(starttls_optional) where the server offers it, V(none) never.",
            f"Default: {secure_default}. It is never V(none) unless that is written.",
        ),
    )


def _sign_in_fields() -> tuple[Field, ...]:
    return (
        _choice(
            "auth",
            ("none", "password", "oauth2"),
            _OTHER_AUTH,
            "How to sign in.",
            "Default: V(password) where a user and a password are there, V(oauth2) where O(oauth2) is there and no"
            " password, else V(none).",
            "V(none) drops a stored password.",
        ),
        Field(
            "mechanisms",
            "list",
            checks.many(checks.one_of(*MECHANISMS), len(MECHANISMS)),
            (
                "The SASL mechanisms that may be used. Default: what is safe and offered.",
                "V(CRAM-MD5) is only used where it is named here.",
            ),
            elements="str",
            choices=MECHANISMS,
        ),
        _text(
            "username",
            checks.user_name,
            "Who signs in. It may differ from O(from_address).",
            "With nothing to sign in with, neither a password nor O(oauth2), it is an error unless C(auth) is V(none).",
        ),
        _secret(
            "password",
            _PASSWORD,
            "The password or app password, taken literally and stored sealed.",
            _IN_PRACTICE,
        ),
    )


def _trust_fields() -> tuple[Field, ...]:
    return (
        _flag("validate_certs", "Whether the server's certificate and name are checked. Default: V(true)."),
        _path(
            "ca_file",
            "The certificates to trust, in PEM, on the host where the connector is used. Default: the system's.",
        ),
        _path("client_cert", "The client certificate in PEM, with its key unless that is in a file of its own."),
        _path("client_key", "The key of the client certificate in PEM."),
    )


_SMTP = _block(
    "smtp",
    (
        *_server_fields("smtp", "465, 587 or 25", "V(tls) on ports 465 and 2465, else V(starttls)"),
        _text(
            "uri",
            checks.smtp_uri,
            "Host and port in one, V(smtp://host:port) or V(smtps://host), in place of O(smtp.host) and O(smtp.port).",
            "A V(;) is accepted before the port. V(smtps) means O(smtp.security=tls).",
        ),
        *_sign_in_fields(),
        _flag(
            "same_credentials",
            "Sign in as the O(imap) block does. Default: V(false).",
            "Replaces O(smtp.auth), O(smtp.username) and O(smtp.password).",
        ),
        _flag(
            "relay",
            "Whether the server relays mail of foreign sender domains. Default: V(false).",
            "Without it, an O(from_address) in another domain than the user's is a warning in a test.",
        ),
        _text("ehlo_name", checks.host, "The name to greet the server with. Default: this host's name."),
        *_trust_fields(),
        *_proxy_fields("smtp"),
    ),
    "The server that sends. V({}) clears the block in M(mailroom.core.connector).",
)

_IMAP = _block(
    "imap",
    (
        *_server_fields("imap", "993 or 143", "V(starttls) on port 143, else V(tls)"),
        *_sign_in_fields(),
        _text("mailbox", checks.text(200), "The mailbox to read. Default: V(INBOX)."),
        *_trust_fields(),
        *_proxy_fields("imap"),
    ),
    "The server that is read. A connector with nothing but this block only receives.",
)

_GRAPH = _block(
    "graph",
    (
        _text("mailbox", checks.address, "The mailbox to use. Default: O(oauth2.username)."),
        _text(
            "url",
            checks.https_origin,
            "Replaces the cloud's endpoint, as V(https://host) or V(https://host:port), without the version.",
        ),
        _flag("save_to_sent", "Whether sent mail is kept in Sent Items. Default: V(true)."),
        _path("ca_file", "The certificates to trust, in PEM. Default: the system's."),
        *_proxy_fields("graph"),
    ),
    "Sends and reads over Microsoft Graph. Needs O(oauth2) and excludes O(smtp) and O(imap).",
)

_OAUTH2 = _block(
    "oauth2",
    (
        _text("tenant_id", checks.tenant_id, "The Microsoft tenant: its id or one of its domain names."),
        _text("client_id", checks.client_id, "The registered application's id."),
        _secret("client_secret", _PASSWORD, "The application's secret: its value, not its id."),
        _text(
            "client_secret_expires",
            checks.date,
            "The day on which O(oauth2.client_secret) expires, as V(2027-05-31).",
            "For warnings only: a test warns when that day is near.",
        ),
        _secret("certificate", checks.certificate, "The application's certificate and key as PEM text."),
        _path("certificate_file", "The application's certificate and key in a PEM or PFX file, read at each use."),
        _secret("certificate_passphrase", _PASSWORD, "What unlocks the certificate's key."),
        _path("assertion_file", "A file with a federated assertion, read at each use."),
        _text("managed_identity", checks.managed_identity, "V(system), or the client id of a user-assigned identity."),
        Field(
            "service_account",
            "json",
            checks.service_account,
            ("A Google service account key. Needs O(oauth2.username), the user that it acts for.",),
            secret=True,
        ),
        _text(
            "username",
            checks.user_name,
            "The user of the resource-owner flow, or whom a service account acts for, or the mailbox's address.",
        ),
        _secret(
            "password",
            _PASSWORD,
            "The user's password, for the resource-owner flow. It is always warned about, since it cannot work with"
            " multi-factor sign-in.",
        ),
        _choice("cloud", CLOUDS, {}, "The Microsoft cloud that the tenant lives in. Default: V(global)."),
        _text(
            "authority",
            checks.https_origin,
            "Replaces the cloud's sign-in address, as V(https://host) or V(https://host:port), without the tenant.",
        ),
        _text("token_url", checks.https_url, "The token endpoint of any other provider, for client credentials."),
        _text("scope", checks.text(1000), "What the token is asked for. Default: what the protocol needs."),
        _path("ca_file", "The certificates to trust, in PEM. Default: the system's."),
        *_proxy_fields("oauth2"),
    ),
    "Who signs in where O(smtp.auth) or O(imap.auth) is V(oauth2), and for O(graph).",
    "One way at a time: O(oauth2.client_secret), O(oauth2.certificate), O(oauth2.certificate_file),"
    " O(oauth2.assertion_file), O(oauth2.managed_identity) or O(oauth2.service_account).",
    "Giving one replaces another that is stored.",
)

FIELDS: tuple[Field, ...] = (
    _text(
        "display_name",
        checks.text(LONGEST_DISPLAY_NAME),
        "A name to show, 1 to 64 characters. Default: the connector's name.",
    ),
    _text("description", checks.text(1000, lines=True), "What the connector is for, at most 1000 characters."),
    _flag("enabled", "A disabled connector is kept but never used. Default: V(true)."),
    Field(
        "provider",
        "str",
        _provider,
        (
            "A preset that fills host, port and security of O(smtp) and O(imap); what is given explicitly wins.",
            "It is resolved when it is written, so that an upgrade of the collection moves no connector.",
            "V(custom), or left out: nothing is filled.",
            "Case is ignored. Other names, as V(office365) or V(gsuite), are understood and kept as the preset's own.",
            "V(ses) is Amazon's region us-east-1; other regions are named like V(ses_eu_west_1).",
        ),
        choices=NAMES,
    ),
    _text(
        "from_address",
        checks.address,
        "The address that the From header shows.",
        "As everywhere, an international domain may have the letters, marks and digits of Unicode 3.2 that every"
        " version of IDNA encodes alike. Other names, such as those with V(ß), are written in their ASCII form,"
        " V(xn--…).",
    ),
    _text("from_name", checks.text(200), "The name that the From header shows."),
    _text(
        "signature", checks.text(250, lines=True), "Added to mail that the collection sends, at most 250 characters."
    ),
    _text("reply_to", checks.address, "Where answers go."),
    _text("errors_to", checks.address, "The envelope sender: where bounces go."),
    _list("cc", checks.address, MOST_COPIES, "Who gets a copy."),
    _list("bcc", checks.address, MOST_COPIES, "Who gets a copy without being named in a header."),
    Field(
        "headers",
        "dict",
        checks.headers,
        (
            "Custom headers. None that the message itself or the mail system sets.",
            "The message sets From, To, Cc, Bcc, Reply-To, Sender, Subject, Date, Message-ID, MIME-Version, Content-*.",
            "Mail servers set Received, Return-Path, Delivered-To, DKIM-Signature, Authentication-Results, Resent-*.",
            "The dictionary is replaced as a whole.",
        ),
    ),
    _text(
        "test_address",
        checks.address,
        "Where test mail goes when the task names nobody. Default: the user who signs in, if that is an address, else"
        " O(from_address), else the mailbox of O(graph).",
    ),
    _list("available_to", checks.tenant_name, 1000, "The tenants that may use the connector. Empty: all."),
    _SMTP,
    _IMAP,
    _GRAPH,
    _OAUTH2,
)

BY_NAME = {field.name: field for field in FIELDS}
BLOCKS = tuple(field.name for field in FIELDS if field.fields)
SERVER_BLOCKS = ("smtp", "imap")


def _paths() -> Iterator[tuple[str, Field]]:
    for field in FIELDS:
        yield field.name, field
        for inner in field.fields:
            yield f"{field.name}.{inner.name}", inner


BY_PATH = dict(_paths())
SECRETS = frozenset(path for path, field in BY_PATH.items() if field.secret)


def split_path(path: str) -> tuple[str, str]:
    """A field's block and its name there; a field that is in no block is its own block, with no name."""
    block, _dot, name = path.partition(".")
    return block, name


def did_you_mean_field(name: str, block: str, known: Iterable[str]) -> str:
    """The end of a message about a name that no field has in a block, or with "" outside of one: where it belongs, or
    which of the known ones there was probably meant."""
    if not block and name in BY_PATH:
        return "; write it as {1} within {0}".format(*split_path(name))
    if "." in name:
        return ""
    siblings = {each: f"{block}.{each}" if block else each for each in known}
    meant = {other: field for other, field in OTHER_FIELDS.items() if field in siblings}
    if block and name in BY_NAME:
        return f"; it belongs beside {block}, not in it"
    if _blocks_with(name):
        return f"; it belongs in {_blocks_with(name)}"
    found = nearest(name, siblings, meant)
    if found:
        return f"; did you mean {siblings[found]}?"
    field = OTHER_FIELDS.get(folded(name), "")
    return f"; did you mean {field}, in {_blocks_with(field)}?" if _blocks_with(field) else ""


def _blocks_with(name: str) -> str:
    return " or ".join(block for block in BLOCKS if f"{block}.{name}" in BY_PATH)
