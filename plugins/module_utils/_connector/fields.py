# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The field table: every field of a connector, once.

The argument specs, the validation and the documentation of the fields are derived from it. What the documentation says
of each is in docs/descriptions/fields.yml, so that documentation is not shipped to hosts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from . import checks
from .presets import ALIASES, PRESET_NAMES, find_preset
from .suggest import did_you_mean, nearest, normalize_word

Settings = dict[str, Any]
"""The fields of a connector that have a value, without the secrets. The fields of a block are a dictionary in it."""

SECURITY = ("none", "starttls", "starttls_optional", "tls")
MECHANISMS = ("PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256", "OAUTHBEARER", "XOAUTH2")
MAX_COPIES = 100
MAX_DISPLAY_NAME_LENGTH = 64
CLOUDS = ("global", "us_gov", "us_gov_dod", "china")

# Words that other products use, and the value that each stands for.
_SECURITY_SYNONYMS = {
    **dict.fromkeys(("ssl", "ssl/tls", "tls/ssl", "ssl_tls", "tls_ssl", "smtps", "imaps", "implicit", "true"), "tls"),
    **dict.fromkeys(("explicit", "start_tls"), "starttls"),
    **dict.fromkeys(("opportunistic", "auto", "may", "if_available"), "starttls_optional"),
}
_AUTH_SYNONYMS = {
    **dict.fromkeys(("plain", "login", "basic", "normal", "cram_md5"), "password"),
    **dict.fromkeys(("oauth", "oauth_2", "xoauth2", "oauthbearer", "modern"), "oauth2"),
    **dict.fromkeys(("anonymous", "false", "off"), "none"),
}
FIELD_SYNONYMS = {
    **dict.fromkeys(("from", "sender", "email", "from_email"), "from_address"),
    **dict.fromkeys(("server", "hostname", "smtp_host", "smtp_server", "imap_host"), "host"),
    **dict.fromkeys(("ssl", "tls", "starttls", "use_tls", "use_ssl", "encryption", "secure"), "security"),
    **dict.fromkeys(("login", "account"), "username"),
    **dict.fromkeys(("secret", "passwd", "app_password"), "password"),
    **dict.fromkeys(("verify_certs", "ssl_verify", "verify_ssl", "tls_verify", "insecure"), "validate_certs"),
    **dict.fromkeys(("folder", "inbox"), "mailbox"),
    **dict.fromkeys(("tenant", "tenants"), "available_to"),
}
"""Names that other products use for a field, and the name of that field."""


class Field(NamedTuple):
    """One field: its type in an argument spec, and its check."""

    name: str
    type: str
    check: checks.Check
    secret: bool = False
    elements: str | None = None
    choices: tuple[str, ...] = ()
    fields: tuple[Field, ...] = ()


def _text(name: str, check: checks.Check) -> Field:
    return Field(name, "str", check)


def _choice(name: str, choices: tuple[str, ...], synonyms: Mapping[str, str]) -> Field:
    return Field(name, "str", checks.one_of(*choices, synonyms=synonyms), choices=choices)


def _flag(name: str) -> Field:
    return Field(name, "bool", checks.flag)


def _path(name: str) -> Field:
    return Field(name, "path", checks.absolute_path)


def _list(name: str, each: checks.Check, max_items: int, choices: tuple[str, ...] = ()) -> Field:
    return Field(name, "list", checks.list_of(each, max_items), elements="str", choices=choices)


def _secret(name: str, check: checks.Check, type_: str = "str") -> Field:
    return Field(name, type_, check, secret=True)


def _provider(value: Any) -> str:
    name = find_preset(value) if isinstance(value, str) else ""
    if not name:
        names = [each for each in PRESET_NAMES if not each.startswith("ses_")]
        allowed = ", ".join(f"{each} (other regions as ses_eu_west_1)" if each == "ses" else each for each in names)
        suggestion = did_you_mean(value, PRESET_NAMES, ALIASES) if isinstance(value, str) else ""
        raise checks.InvalidValueError(f"must be one of {allowed}{suggestion}")
    return name


def _reject_value(_value: object) -> object:
    raise checks.InvalidValueError("must be a dictionary")


def _block(name: str, *fields: Field) -> Field:
    return Field(name, "dict", _reject_value, fields=fields)


_PASSWORD = checks.secret_text(1024)

_SERVER = (
    _text("host", checks.host),
    Field("port", "int", checks.number(1, 65535)),
    _choice("security", SECURITY, _SECURITY_SYNONYMS),
)

_SIGN_IN = (
    _choice("auth", ("none", "password", "oauth2"), _AUTH_SYNONYMS),
    _list("mechanisms", checks.one_of(*MECHANISMS), len(MECHANISMS), MECHANISMS),
    _text("username", checks.user_name),
    _secret("password", _PASSWORD),
)

_TRUST = (
    _flag("validate_certs"),
    _path("ca_file"),
    _path("client_cert"),
    _path("client_key"),
)

_PROXY = (
    _text("proxy", checks.proxy),
    _text("proxy_username", checks.text(320)),
    _secret("proxy_password", _PASSWORD),
)

_SMTP = _block(
    "smtp",
    *_SERVER,
    _text("uri", checks.smtp_uri),
    *_SIGN_IN,
    _flag("same_credentials"),
    _flag("relay"),
    _text("ehlo_name", checks.host),
    *_TRUST,
    *_PROXY,
)

_IMAP = _block("imap", *_SERVER, *_SIGN_IN, _text("mailbox", checks.text(200)), *_TRUST, *_PROXY)

_GRAPH = _block(
    "graph",
    _text("mailbox", checks.address),
    _text("url", checks.https_origin),
    _flag("save_to_sent"),
    _path("ca_file"),
    *_PROXY,
)

_OAUTH2 = _block(
    "oauth2",
    _text("tenant_id", checks.tenant_id),
    _text("client_id", checks.client_id),
    _secret("client_secret", _PASSWORD),
    _text("client_secret_expires", checks.date),
    _secret("certificate", checks.certificate),
    _path("certificate_file"),
    _secret("certificate_passphrase", _PASSWORD),
    _path("assertion_file"),
    _text("managed_identity", checks.managed_identity),
    _secret("service_account", checks.service_account, "json"),
    _text("username", checks.user_name),
    _secret("password", _PASSWORD),
    _choice("cloud", CLOUDS, {}),
    _text("authority", checks.https_origin),
    _text("token_url", checks.https_url),
    _text("scope", checks.text(1000)),
    _path("ca_file"),
    *_PROXY,
)

FIELDS: tuple[Field, ...] = (
    _text("display_name", checks.text(MAX_DISPLAY_NAME_LENGTH)),
    _text("description", checks.text(1000, lines=True)),
    _flag("enabled"),
    Field("provider", "str", _provider, choices=PRESET_NAMES),
    _text("from_address", checks.address),
    _text("from_name", checks.text(200)),
    _text("signature", checks.text(250, lines=True)),
    _text("reply_to", checks.address),
    _text("errors_to", checks.address),
    _list("cc", checks.address, MAX_COPIES),
    _list("bcc", checks.address, MAX_COPIES),
    Field("headers", "dict", checks.headers),
    _text("test_address", checks.address),
    _list("available_to", checks.tenant_name, 1000),
    _SMTP,
    _IMAP,
    _GRAPH,
    _OAUTH2,
)

BY_NAME = {field.name: field for field in FIELDS}
BLOCKS = tuple(field.name for field in FIELDS if field.fields)


BY_PATH = {
    path: each
    for field in FIELDS
    for path, each in [(field.name, field), *((f"{field.name}.{inner.name}", inner) for inner in field.fields)]
}
SECRETS = frozenset(path for path, field in BY_PATH.items() if field.secret)


def split_path(path: str) -> tuple[str, str]:
    """A field's block and its name there; a field that is in no block is its own block, with no name."""
    block, _dot, name = path.partition(".")
    return block, name


def did_you_mean_field(name: str, block: str, known: Iterable[str]) -> str:
    """The suggestion that ends a message about an unknown field: the block it belongs to, or a similar name.

    `block` is "" for a name outside of the blocks; `known` are the names that are allowed there.
    """
    if not block and name in BY_PATH:
        return "; write it as {1} within {0}".format(*split_path(name))
    if "." in name:
        return ""
    siblings = {each: f"{block}.{each}" if block else each for each in known}
    synonyms = {other: field for other, field in FIELD_SYNONYMS.items() if field in siblings}
    if block and name in BY_NAME:
        return f"; it is a field of the connector, not of {block}"
    if _blocks_with(name):
        return f"; it belongs in {_blocks_with(name)}"
    found = nearest(name, siblings, synonyms)
    if found:
        return f"; did you mean {siblings[found]}?"
    field = FIELD_SYNONYMS.get(normalize_word(name), "")
    return f"; did you mean {field}, in {_blocks_with(field)}?" if _blocks_with(field) else ""


def _blocks_with(name: str) -> str:
    return " or ".join(block for block in BLOCKS if f"{block}.{name}" in BY_PATH)
