# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What each field accepts, and the message that each malformed value gets."""

from __future__ import annotations

import json
import traceback
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.plugins.module_utils._connector.given import ACCEPTED, GOOGLE_KEY, PEM, SECRET_VALUES, bounded

from ansible_collections.mailroom.core.plugins.module_utils._connector import checks
from ansible_collections.mailroom.core.plugins.module_utils._connector.fields import BY_PATH, SECRETS
from ansible_collections.mailroom.core.plugins.module_utils._connector.presets import ALIASES, PRESETS
from ansible_collections.mailroom.core.plugins.module_utils._connector.suggest import normalize_word

TEXT = "must be text"
UNICODE = "must be valid Unicode text"
ADDRESS = "must be a mail address such as alerts@example.com, without a display name"
HOST = "must be a host name or an IP address, without scheme, port or path"
PORT = "must be a whole number from 1 to 65535"
FLAG = "must be true or false"
SECURITY = "must be one of none, starttls, starttls_optional, tls"
AUTH = "must be one of none, password, oauth2"
MECHANISM = "must be one of PLAIN, LOGIN, CRAM-MD5, SCRAM-SHA-1, SCRAM-SHA-256, OAUTHBEARER, XOAUTH2"
CLOUD = "must be one of global, us_gov, us_gov_dod, china"
PROVIDER = (
    "must be one of custom, gmail, workspace_relay, microsoft365, outlook_com, ses (other regions as ses_eu_west_1),"
    " sendgrid, mailgun, postmark, mailjet, brevo, sparkpost, zoho, yahoo, icloud, fastmail, proton"
)
URI = "must be smtp://host, smtp://host:port, smtps://host or smtps://host:port"
PROXY = "must be socks5://host:port or http://host:port"
ORIGIN = "must be https://host or https://host:port, without a path"
TOKEN_URL = "must be an https:// address with a path, without user or password"
NO_USER = "; it cannot contain a user or password"
PATH = "must be an absolute path"
TENANT_ID = "must be a tenant's id or domain name, in ASCII (xn--…)"
CLIENT_ID = "must be 1 to 200 visible ASCII characters without spaces"
IDENTITY = "must be system or a client id"
CERTIFICATE = "must be PEM text that holds a private key and its certificate"
ACCOUNT = "must be a Google service account key in JSON, with type, client_email and private_key"
EMPTY_SECRET = "must not be empty; leave it out to keep the stored value, or name it in clear to remove it"
USE_ASCII = (
    "must be written in its ASCII form (xn--…): it contains a character that versions of IDNA encode differently"
)
ENCODED_WORD = "must be a mail address without =?, which begins an encoded word"
TOO_LONG_IN_ASCII = "must have at most 254 characters once its domain is in ASCII"
HEADERS = "must be a dictionary of at most 50 headers"
HEADER_NAME = "a header's name must be 1 to 76 visible ASCII characters without a colon"

LONE_SURROGATE = "text \ud800 text"
CONTROLS = ("\x00", "\x01", "\t", "\n", "\r", "\r\n", "\x1b[31m", "\x7f", "\x85", "\x9b")
LINE_ENDS = ("\r", "\n", "\r\n", "\u2028", "\u2029", "\x85", "\x0b", "\x0c")
NO_TEXT: tuple[Any, ...] = (5, 1.5, True, b"bytes", ["list"], {"a": "dict"}, None)
HUGE = "x" * 2_000_000


def one_line(longest: int) -> str:
    return f"must be 1 to {longest} characters on one line, without control characters"


NO_BLANKS = ", and not blanks alone"


def several_lines(longest: int) -> str:
    return f"must be 1 to {longest} characters without control characters"


def at_most(longest: int) -> str:
    return f"must be at most {longest} characters without NUL"


def paths_named(*names: str) -> list[str]:
    return [path for path in BY_PATH if path.rpartition(".")[2] in names]


LINE_FIELDS = {
    "display_name": 64,
    "from_name": 200,
    "smtp.proxy_username": 320,
    "imap.mailbox": 200,
    "oauth2.scope": 1000,
}
LINES_FIELDS = {"description": 1000, "signature": 250}
FLAG_FIELDS = ["enabled", *paths_named("validate_certs", "same_credentials", "relay", "save_to_sent")]
PATH_FIELDS = paths_named("ca_file", "client_cert", "client_key", "certificate_file", "assertion_file")
CHECKS: dict[str, tuple[checks.Check, list[str]]] = {
    "address": (checks.address, ["from_address", "reply_to", "errors_to", "test_address", "graph.mailbox"]),
    "user name": (checks.user_name, paths_named("username")),
    "host": (checks.host, ["smtp.host", "imap.host", "smtp.ehlo_name"]),
    "proxy": (checks.proxy, paths_named("proxy")),
    "origin": (checks.https_origin, ["graph.url", "oauth2.authority"]),
    "flag": (checks.flag, FLAG_FIELDS),
    "path": (checks.absolute_path, PATH_FIELDS),
    "port": (BY_PATH["smtp.port"].check, paths_named("port")),
    "security": (BY_PATH["smtp.security"].check, paths_named("security")),
    "auth": (BY_PATH["smtp.auth"].check, paths_named("auth")),
    "mechanisms": (BY_PATH["smtp.mechanisms"].check, paths_named("mechanisms")),
    "proxy user": (BY_PATH["smtp.proxy_username"].check, paths_named("proxy_username")),
    "plain secret": (
        BY_PATH["smtp.password"].check,
        sorted(SECRETS - {"oauth2.certificate", "oauth2.service_account"}),
    ),
}
"""Checks that several fields share, each with all of its fields: the first one stands for it below."""

BAD_ADDRESSES = [
    "",
    "alerts",
    "@example.com",
    "alerts@",
    "alerts@@example.com",
    "a@b@example.com",
    "Alerts <alerts@example.com>",
    "<alerts@example.com>",
    '"two words"@example.com',
    "two words@example.com",
    "alerts@example.com ",
    " alerts@example.com",
    "alerts@example.com\n",
    "alerts@example.com\r\nBcc: evil@example.com",
    "alerts\x00@example.com",
    "alerts\x80@example.com",
    "alerts@exam\x80ple.com",
    "one@example.com,two@example.com",
    "one@example.com;two@example.com",
    "mailto:alerts@example.com",
    ".alerts@example.com",
    "alerts.@example.com",
    "al..erts@example.com",
    "alerts@-example.com",
    "alerts@example-.com",
    "alerts@example..com",
    "alerts@.example.com",
    "alerts@example.com.",
    "alerts@192.0.2.1",
    "alerts@[192.0.2.1]",
    "alerts@exa mple.com",
    "alerts@" + "a" * 64 + ".com",
    "a" * 65 + "@example.com",
    "\u00e4" * 33 + "@example.com",
    "a@" + "b." * 130 + "com",
    HUGE + "@example.com",
]
BAD_HOSTS = [
    "",
    " ",
    ".",
    "..",
    "smtp://mail.example.com",
    "mail.example.com:587",
    "mail.example.com/path",
    "user@mail.example.com",
    " mail.example.com",
    "mail.example.com ",
    "mail example.com",
    "mail.example.com\n",
    "mail.example.com\r\nEHLO evil",
    "mail\x00.example.com",
    "mail..example.com",
    ".mail.example.com",
    "mail.example.com.",
    "-mail.example.com",
    "mail-.example.com",
    "a" * 64 + ".example.com",
    "a." * 127 + "com",
    "256.1.1.1",
    "1.2.3",
    "1.2.3.4.5",
    "127.1",
    "2130706433",
    "01.2.3.4",
    "0177.0.0.1",
    "1.2.3.-4",
    "\u0661.2.3.4",
    "192.0.2.1/24",
    "::1::2",
    "12345::1",
    "[::1",
    "::1]",
    "[::1]:25",
    "[192.0.2.1]",
    "[mail.example.com]",
    "fe80::1%\r\nMAIL FROM:<evil@example.com>",
    "fe80::1%eth0 evil",
    "[fe80::1%\x00]",
    "*.example.com",
    "mail.exam\u00e4ple\u3000.com",
    "\u00e4" * 80,
    HUGE,
]
BAD_URIS = [
    "",
    "mail.example.com",
    "mail.example.com:587",
    "smtp:mail.example.com",
    "smtp:/mail.example.com",
    "smtp://",
    "smtp://:587",
    "smtp://mail.example.com:",
    "smtp://mail.example.com:0",
    "smtp://mail.example.com:65536",
    "smtp://mail.example.com:99999999",
    "smtp://mail.example.com:smtp",
    "smtp://mail.example.com:-1",
    "smtp://mail.example.com:587:587",
    "smtp://mail.example.com,587",
    "smtp://mail.example.com:587/path",
    "smtp://mail.example.com//",
    "smtp://mail.example.com?tls=no",
    "smtp://mail.example.com#part",
    "smtp://mail.example.com:587\n",
    "smtp://mail.example.com\r\nEHLO evil",
    "smtp://mail .example.com",
    " smtp://mail.example.com",
    "smtp://::1",
    "smtp://[::1",
    "smtp://[mail.example.com]",
    "smtp://[fe80::1%\r\nEHLO evil]:25",
    "smtp://1.2.3:25",
    "\u017fmtp://mail.example.com",
    "imap://mail.example.com",
    "http://mail.example.com",
    "smtp+tls://mail.example.com",
    "smtp://" + HUGE,
]
BAD_DOMAINS = [
    "fa\u00df.example",
    "FA\u1e9e.example",
    "\u03b2\u03cc\u03bb\u03bf\u03c2.example",
    "\u0dc1\u0dca\u200d\u0dbb\u0dd3.example",
    "\u0646\u0627\u0645\u0647\u200c\u0627\u06cc.example",
    "\u2603.example",
    "\ua641.example",
    "\u4f8b\u5b50\u3002example",
    "\u05d0b.example",
]
ENCODED_WORDS = [
    "=?utf-8?q?boss=40bank.example?=@example.com",
    "=?UTF-8?B?Ym9zcw==?=@example.com",
    "a=?utf-8?q?b?=c@example.com",
    "=?us-ascii*en?q?a?=@b\u00fccher.example",
    "a.=?b@example.com",
]
WITH_USER = ["{}user:hunter2@host.example.com{}", "{}user@host.example.com{}", "{}@host.example.com{}", "{}a@b@c{}"]


LISTED_TWICE = "item 3 is a duplicate"
AT_MOST_100 = "must be a list of at most 100 items"
SCHEMES = ("", " tls", "TLS", "ssl", "required", "tls\n", HUGE, *NO_TEXT)
NO_PROXIES = [
    "",
    "proxy.example.com:1080",
    "socks5://proxy.example.com",
    "http://proxy.example.com",
    "http://proxy.example.com/",
    "https://proxy.example.com:3128",
    "socks4://proxy.example.com:1080",
    "socks5h://proxy.example.com:1080",
    "socks5://proxy.example.com;1080",
    "http://proxy.example.com:3128/path",
    "http://proxy.example.com:3128\r\nX-Evil: yes",
    "http://proxy.example.com\r\n:3128",
    "http://[fe80::1%\r\nX-Evil: yes]:3128",
    "http://:3128",
    "http://1.2.3:3128",
    "http://proxy.example.com:65536",
]
NO_ORIGINS = [
    "",
    "graph.example.com",
    "http://graph.example.com",
    "https://",
    "https://:443",
    "https://graph.example.com/v1.0",
    "https://graph.example.com/v1.0/",
    "https://graph.example.com?x=1",
    "https://graph.example.com#x",
    "https://graph.example.com;443",
    "https://graph.example.com:0",
    "https://graph.example.com:443443",
    "https://graph.example.com\n",
    "https://graph.example.com\r\nHost: evil",
    "https://[fe80::1%\r\nHost: evil]",
    "https://graph.example.com\\evil",
    "https://1.2.3",
]
NO_TOKEN_URLS = [
    "",
    "id.example.com/token",
    "http://id.example.com/token",
    "https:///token",
    "https://id.example.com",
    "https://user:hunter2@id.example.com/token",
    "https://user@id.example.com/token",
    "https://id.example.com/to ken",
    "https://id.example.com/token\n",
    "https://id.example.com/token\r\nHost: evil",
    "https://id.example.com/t\u00f6ken",
    "https://id.exa mple.com/token",
    "https://id.example.com\r\nHost: evil/token",
    "https://id\x00.example.com/token",
    "https://id.example.com\\.evil.example/token",
    "https://[nothing]/token",
    "https://1.2.3/token",
    "https://id..example.com/token",
    "https://id.example.com:0/token",
    "https://id.example.com:99999/token",
    "https://id.example.com/" + HUGE,
]
NO_DAYS = ["", "soon", "31.05.2027", "2027-02-30", "2027-5-31", "20270531", "2027-05-31T00:00:00", "2027-05-31\n"]
NO_TENANTS = ["", ".", "..", "con toso", "contoso/../other", "contoso?x", "contoso\n", "t\u00e4nant", "x" * 201]
NO_CLIENTS = ["", "two words", "id\n", "\u00efd", "id\x00", "x" * 201]
NO_ACCOUNTS: list[Any] = [
    "text",
    "{",
    "null",
    "[]",
    "5",
    "9" * 5000,
    "[" * 60_000,
    "{}",
    {},
    [],
    None,
    5,
    {"type": "authorized_user", "client_email": "a", "private_key": "b"},
    {"type": "service_account", "client_email": "a"},
    {"type": "service_account", "client_email": "a", "private_key": ""},
    {"type": "service_account", "client_email": 5, "private_key": "b"},
]
NO_HEADERS: list[Any] = [[], "X-A: b", 5, None, {f"X-{n}": "b" for n in range(51)}]
NO_HEADER_NAMES: list[Any] = [
    *("", "X A", "X:A", "X-A\n", "X-A\r\nBcc", "X-\u00c4", "X-\x00", "x" * 77, 5, None, LONE_SURROGATE)
]
NO_HEADER_VALUES: list[Any] = [f"a{end}Bcc: evil@example.com" for end in LINE_ENDS]
NO_HEADER_VALUES += ["", " ", "nul\x00", "x" * 2049, HUGE, None, True, 1.5, ["a"], {"a": "b"}, LONE_SURROGATE]
SET_BY_MESSAGE = (
    "From To Cc Bcc Reply-To Sender Subject Date Message-ID MIME-Version Content-Type Content-Transfer-Encoding"
)
SET_BY_SYSTEM = (
    "Content-ID Content-Disposition Content-Foo Received Return-Path Delivered-To DKIM-Signature"
    " Authentication-Results Resent-From Resent-To Resent-Cc Resent-Bcc Resent-Date Resent-Message-ID Resent-Sender"
    " Resent-Foo"
)


def broken_by(controls: Iterable[str]) -> list[str]:
    return [f"before{control}after" for control in controls]


def account(token_uri: Any) -> dict[str, Any]:
    return {**json.loads(GOOGLE_KEY), "token_uri": token_uri}


# Field, values, the message that each of them gets.
REFUSED: dict[str, tuple[str, Iterable[Any], str]] = {
    "address": ("from_address", BAD_ADDRESSES, ADDRESS),
    "address of another type": ("from_address", NO_TEXT, TEXT),
    "address that is no Unicode": ("from_address", [LONE_SURROGATE, "a\udfff@example.com"], UNICODE),
    "address in a domain that IDNA versions encode differently": (
        "from_address",
        [f"ops@{domain}" for domain in BAD_DOMAINS],
        USE_ASCII,
    ),
    "address with an encoded word": ("from_address", ENCODED_WORDS, ENCODED_WORD),
    "address too long in ASCII": (
        "from_address",
        ["a" * 60 + "@" + "\u00fc\u00f6\u00e4." * 20 + "example"],
        TOO_LONG_IN_ASCII,
    ),
    "user name that is an address IDNA versions encode differently": (
        "smtp.username",
        [f"ops@{domain}" for domain in BAD_DOMAINS[:-1]],
        USE_ASCII,
    ),
    "user name that is an address with an encoded word": ("smtp.username", ENCODED_WORDS, ENCODED_WORD),
    "user name of blanks": ("smtp.username", [" "], f"{one_line(320)}{NO_BLANKS}"),
    "user name": ("smtp.username", ["", "x" * 321, HUGE, *broken_by(CONTROLS)], one_line(320)),
    "user name of another type": ("smtp.username", NO_TEXT, TEXT),
    **{
        f"{what} of {path}": (path, values, message)
        for path in ("cc", "bcc")
        for what, values, message in (
            (
                "no list",
                ["one@example.com", {"one@example.com": 1}, [f"a{n}@b.example" for n in range(101)]],
                AT_MOST_100,
            ),
            ("repeated item", [["a@example.com", "b@example.com", "a@example.com"]], LISTED_TWICE),
            ("item of another type", [["a@example.com", 5]], f"item 2 {TEXT}"),
            ("item that is no address", [["good@example.com", "alerts"]], f"item 2 {ADDRESS}"),
        )
    },
    **{
        f"line in {path}": (path, ["", "x" * (longest + 1)], one_line(longest)) for path, longest in LINE_FIELDS.items()
    },
    "line of blanks": ("display_name", [" ", "\u3000"], f"{one_line(64)}{NO_BLANKS}"),
    "line with control characters": ("display_name", [HUGE, *broken_by((*CONTROLS, *LINE_ENDS))], one_line(64)),
    "line of another type": ("display_name", NO_TEXT, TEXT),
    "line that is no Unicode": ("display_name", [LONE_SURROGATE], UNICODE),
    **{
        f"lines in {path}": (path, ["", "x" * (longest + 1)], several_lines(longest))
        for path, longest in LINES_FIELDS.items()
    },
    "lines of blanks": ("description", ["   ", "\n"], f"{several_lines(1000)}{NO_BLANKS}"),
    "lines with control characters": (
        "signature",
        [HUGE, *broken_by(control for control in CONTROLS if not set(control) <= set("\r\n\t"))],
        several_lines(250),
    ),
    "lines of another type": ("signature", NO_TEXT, TEXT),
    "tenants": (
        "available_to",
        ["acme", [str(number) for number in range(1001)]],
        "must be a list of at most 1000 items",
    ),
    "repeated tenant": ("available_to", [["acme", "acme"]], "item 2 is a duplicate"),
    "tenant": ("available_to", [["acme", value] for value in ("", "a\nb", "x" * 101)], f"item 2 {one_line(100)}"),
    "tenant of another type": ("available_to", [[None]], f"item 1 {TEXT}"),
    "host": ("smtp.host", BAD_HOSTS, HOST),
    "host that IDNA versions encode differently": ("smtp.host", BAD_DOMAINS, USE_ASCII),
    "host of another type": ("smtp.host", NO_TEXT, TEXT),
    "host that is no Unicode": ("smtp.host", [LONE_SURROGATE], UNICODE),
    "port": ("smtp.port", [0, -1, 65536, 10**30, True, "25", "", 25.0, None, [25]], PORT),
    "security": ("smtp.security", SCHEMES, SECURITY),
    "auth": ("smtp.auth", SCHEMES, AUTH),
    "cloud": ("oauth2.cloud", SCHEMES, CLOUD),
    "provider": ("provider", SCHEMES, PROVIDER),
    "flag": ("enabled", [0, 1, "yes", "true", "", None, []], FLAG),
    "path": ("smtp.ca_file", ["", "ca.pem", "./ca.pem", "~/ca.pem", "/etc/\x00", "/etc/a\nb", "/" + HUGE], PATH),
    "path of another type": ("smtp.ca_file", NO_TEXT, TEXT),
    "mechanisms": ("smtp.mechanisms", ["PLAIN", ["PLAIN"] * 8], "must be a list of at most 7 items"),
    "repeated mechanism": ("smtp.mechanisms", [["PLAIN", "PLAIN"]], "item 2 is a duplicate"),
    "mechanism": (
        "smtp.mechanisms",
        [["LOGIN", value] for value in ("plain", "NTLM", "", 5, None)],
        f"item 2 {MECHANISM}",
    ),
    "uri": ("smtp.uri", BAD_URIS, URI),
    "uri with a user": ("smtp.uri", [form.format("smtp://", ":25") for form in WITH_USER], URI + NO_USER),
    "uri of another type": ("smtp.uri", NO_TEXT, TEXT),
    "uri that is no Unicode": ("smtp.uri", ["smtp://" + LONE_SURROGATE], UNICODE),
    "uri of a host that IDNA versions encode differently": (
        "smtp.uri",
        [f"smtp://{domain}:25" for domain in BAD_DOMAINS],
        USE_ASCII,
    ),
    "proxy": ("smtp.proxy", NO_PROXIES, PROXY),
    "proxy with a user": ("smtp.proxy", [form.format("socks5://", ":1080") for form in WITH_USER], PROXY + NO_USER),
    "proxy of another type": ("smtp.proxy", NO_TEXT, TEXT),
    "proxy whose host IDNA versions encode differently": (
        "smtp.proxy",
        [f"http://{domain}:3128" for domain in BAD_DOMAINS],
        USE_ASCII,
    ),
    "origin": ("graph.url", NO_ORIGINS, ORIGIN),
    "origin with a user": ("graph.url", [form.format("https://", "") for form in WITH_USER], ORIGIN + NO_USER),
    "origin of another type": ("graph.url", NO_TEXT, TEXT),
    "origin whose host IDNA versions encode differently": (
        "graph.url",
        [f"https://{domain}" for domain in BAD_DOMAINS],
        USE_ASCII,
    ),
    "token_url": ("oauth2.token_url", NO_TOKEN_URLS, TOKEN_URL),
    "token_url of another type": ("oauth2.token_url", NO_TEXT, TEXT),
    "token_url whose host IDNA versions encode differently": (
        "oauth2.token_url",
        [f"https://{domain}/token" for domain in BAD_DOMAINS],
        USE_ASCII,
    ),
    "date": (
        "oauth2.client_secret_expires",
        [*NO_DAYS, "\u0662027-05-31"],
        "must be a date such as 2027-05-31",
    ),
    "date of another type": ("oauth2.client_secret_expires", NO_TEXT, TEXT),
    "tenant_id": ("oauth2.tenant_id", NO_TENANTS, TENANT_ID),
    "tenant_id of another type": ("oauth2.tenant_id", NO_TEXT, TEXT),
    "client_id": ("oauth2.client_id", NO_CLIENTS, CLIENT_ID),
    "client_id of another type": ("oauth2.client_id", NO_TEXT, TEXT),
    "managed_identity": ("oauth2.managed_identity", [*NO_CLIENTS, *NO_TEXT], IDENTITY),
    "empty secret": ("smtp.password", [""], EMPTY_SECRET),
    "secret": ("smtp.password", ["hunter2\x00", "\x00", "x" * 1025, HUGE], at_most(1024)),
    "secret of another type": ("smtp.password", NO_TEXT, TEXT),
    "secret that is no Unicode": ("smtp.password", [LONE_SURROGATE], UNICODE),
    "empty certificate": ("oauth2.certificate", [""], EMPTY_SECRET),
    "long certificate": ("oauth2.certificate", [HUGE, "\x00"], at_most(65536)),
    "certificate of another type": ("oauth2.certificate", NO_TEXT, TEXT),
    "certificate": (
        "oauth2.certificate",
        ["text", PEM.replace("PRIVATE KEY", "PUBLIC KEY"), PEM.replace("BEGIN CERTIFICATE", "BEGIN REQUEST")],
        CERTIFICATE,
    ),
    "empty service_account": ("oauth2.service_account", [""], EMPTY_SECRET),
    "long service_account": ("oauth2.service_account", [HUGE, "\x00"], at_most(65536)),
    "service_account": ("oauth2.service_account", NO_ACCOUNTS, ACCOUNT),
    "service_account that is no Unicode": ("oauth2.service_account", [LONE_SURROGATE], UNICODE),
    "token_uri": ("oauth2.service_account", [account("http://a.example/t")], f"its token_uri {TOKEN_URL}"),
    "token_uri of another type": ("oauth2.service_account", [account(5)], f"its token_uri {TEXT}"),
    "headers": ("headers", NO_HEADERS, HEADERS),
    "header's name": ("headers", [{name: "value"} for name in NO_HEADER_NAMES], HEADER_NAME),
    "header's value": (
        "headers",
        [{"X-Team": value} for value in NO_HEADER_VALUES],
        f"X-Team {one_line(2048)}{NO_BLANKS}",
    ),
    "header that is there twice": ("headers", [{"X-Team": "a", "x-team": "b"}], "x-team is given twice"),
}


def refusal(path: str, value: Any) -> str:
    """The message that a value gets, without a suggestion; nothing where it is accepted."""
    try:
        BY_PATH[path].check(value)
    except checks.InvalidValueError as refused:
        return str(refused).partition("; did you mean ")[0]
    return ""


@pytest.mark.parametrize(("path", "values", "message"), REFUSED.values(), ids=REFUSED)
def test_malformed_value_is_refused_with_what_is_allowed(path: str, values: Iterable[Any], message: str) -> None:
    answers = [(ascii(value)[:80], refusal(path, value)) for value in values]
    assert [(value, answer) for value, answer in answers if answer != message] == []


@pytest.mark.parametrize(("names", "by"), [(SET_BY_MESSAGE, "message itself"), (SET_BY_SYSTEM, "mail system")])
def test_header_that_others_set_is_refused_in_any_letter_case(names: str, by: str) -> None:
    spellings = [each for name in names.split() for each in (name, name.lower(), name.upper(), name.swapcase())]
    refused = {name: refusal("headers", {"X-Good": "yes", name: "evil"}) for name in spellings}
    assert refused == {name: f"{name} is set by the {by}" for name in spellings}


def test_each_field_has_the_check_of_its_kind() -> None:
    shared = {path: check for check, paths in CHECKS.values() for path in paths}
    assert [path for path, check in shared.items() if BY_PATH[path].check is not check] == []


def test_tables_of_this_file_leave_out_no_field() -> None:
    fields = {path for path, field in BY_PATH.items() if not field.fields}
    assert {path for path, _values, _message in REFUSED.values()} | {
        path for _check, paths in CHECKS.values() for path in paths
    } == fields
    assert {*ACCEPTED, *SECRET_VALUES} == fields


GOOD_HOSTS = [
    "mail.example.com",
    "localhost",
    "mail_1.internal",
    "xn--bcher-kva.example",
    "b\u00fccher.example",
    "192.0.2.1",
    "0.0.0.0",
    "255.255.255.255",
    "2001:db8::1",
    "::ffff:192.0.2.1",
    "1und1.example",
    "a" * 63 + ".example",
]
KEPT: dict[str, list[tuple[str, Any]]] = {
    "every field": [
        *ACCEPTED.items(),
        *((path, value) for path, value in SECRET_VALUES.items() if path != "oauth2.service_account"),
    ],
    "longest text": [(path, "x" * longest) for path, longest in {**LINE_FIELDS, **LINES_FIELDS}.items()],
    "text of any script": [(path, "Gr\u00fc\u00dfe, \U0001f4ee") for path in (*LINE_FIELDS, *LINES_FIELDS)],
    "several lines": [(path, "one\r\n\ttwo\n") for path in LINES_FIELDS],
    "host": [("smtp.host", value) for value in GOOD_HOSTS],
    "port": [("smtp.port", port) for port in (1, 25, 65535)],
    "address": [
        ("from_address", value)
        for value in (
            "a@b",
            "a.b+c@example.com",
            "o'neil@example.com",
            "SRS0=HHH=TT=example.org=user?x@example.com",
            "j\u00f6rg@b\u00fccher.example",
            "gr\u00fc\u00dfe@xn--fa-hia.example",
            "a" * 64 + "@" + "b" * 63 + ".example.com",
        )
    ],
    "uri": [
        *(("smtp.uri", f"smtp://mail.example.com{port}") for port in ("", ":25", ";25", "/", ":65535/")),
        ("smtp.uri", "smtps://mail.example.com"),
        ("smtp.uri", "SMTPS://mail.example.com:465"),
        ("smtp.uri", "smtp://[2001:db8::1]:25"),
    ],
    "user name": [("smtp.username", name) for name in ("gr\u00fc\u00dfe", "\u2603@", "a@\u00df b", "=?", "x" * 320)],
    "proxy": [("smtp.proxy", "http://[2001:db8::1]:3128")],
    "origin": [("graph.url", "https://host.example.com:8443"), ("graph.url", "https://[2001:db8::1]")],
    "token_url": [
        ("oauth2.token_url", "https://id.example.com:8443/realms/a/token?b=c"),
        ("oauth2.token_url", "https://[2001:db8::1]/token"),
    ],
    "managed_identity": [("oauth2.managed_identity", "11111111-2222-3333-4444-555555555555")],
    "secret": [
        ("smtp.password", value)
        for value in (" ", " a ", "\r\n", "x" * 1024, "{{ x }}", "p\u00e4ss \U0001f511", "********")
    ],
    "headers": [
        ("headers", {}),
        ("headers", {"X-A": "b", "List-Unsubscribe": "<mailto:off@example.com>", "x": "y" * 2048}),
        ("headers", {f"X-{number}": "b" for number in range(50)}),
        ("headers", {"Auto-Submitted": "no", "X-Received": "a", "Contents": "b", "X-Phish": "=?utf-8?q?a?="}),
    ],
    "longest list": [(path, [f"a{number}@example.com" for number in range(100)]) for path in ("cc", "bcc")],
}


@pytest.mark.parametrize("values", KEPT.values(), ids=KEPT)
def test_allowed_value_is_kept_as_it_was_written(values: list[tuple[str, Any]]) -> None:
    kept = [(path, BY_PATH[path].check(value)) for path, value in values]
    assert kept == values
    assert [type(value) for _path, value in kept] == [type(value) for _path, value in values]


def test_brackets_around_an_ipv6_host_are_taken_off() -> None:
    assert BY_PATH["smtp.host"].check("[2001:db8::1]") == "2001:db8::1"


def test_a_number_as_a_header_is_kept_as_text() -> None:
    assert BY_PATH["headers"].check({"X-Priority": 1}) == {"X-Priority": "1"}


def test_a_service_account_compares_the_same_however_it_was_spelled() -> None:
    check = BY_PATH["oauth2.service_account"].check
    key = json.loads(GOOGLE_KEY)
    spellings = [key, dict(reversed(key.items())), json.dumps(key), json.dumps(key, indent=4)]
    assert len({check(spelling) for spelling in spellings}) == 1
    assert json.loads(check(key)) == key


SUGGESTED = {
    "smtp.security": {
        **dict.fromkeys(("ssl", "SSL", "ssl/tls", "smtps", "TLS"), "tls"),
        **dict.fromkeys(("STARTTLS", "start-tls", "starttsl"), "starttls"),
        "opportunistic": "starttls_optional",
    },
    "imap.auth": {
        **dict.fromkeys(("plain", "login", "basic", "Password"), "password"),
        **dict.fromkeys(("oauth", "XOAUTH2", "modern"), "oauth2"),
        "anonymous": "none",
    },
    "oauth2.cloud": {"us-gov": "us_gov"},
    "provider": {
        **dict.fromkeys(("gmial", "gmailcom", "googel"), "gmail"),
        **dict.fromkeys(("microsoft", "offce365", "mircosoft365"), "microsoft365"),
        "ses_eu_wset_1": "ses_eu_west_1",
    },
}


def suggestion(path: str, value: Any) -> str:
    with pytest.raises(checks.InvalidValueError) as refused:
        BY_PATH[path].check(value)
    return str(refused.value).partition("; did you mean ")[2].rstrip("?")


@pytest.mark.parametrize("path", SUGGESTED)
def test_word_that_is_nearly_a_choice_suggests_it(path: str) -> None:
    assert {word: suggestion(path, word) for word in SUGGESTED[path]} == SUGGESTED[path]


def test_mechanism_in_another_spelling_suggests_the_right_one() -> None:
    assert suggestion("smtp.mechanisms", ["plain"]) == "PLAIN"
    assert suggestion("smtp.mechanisms", ["SCRAM_SHA_256"]) == "SCRAM-SHA-256"


def test_provider_is_kept_under_its_preset_whatever_it_is_called() -> None:
    gmail = ("gmail", "Gmail", "Gsuite", "gsuite", "google_workspace", "Google Workspace", "G-Suite")
    microsoft = ("Microsoft365", "o365", "O365", "office365", "Office 365", "m365")
    presets = {
        **dict.fromkeys(gmail, "gmail"),
        **dict.fromkeys(microsoft, "microsoft365"),
        "ses_eu_west_1": "ses_eu_west_1",
        "SES-EU-WEST-1": "ses_eu_west_1",
        "Custom": "custom",
        "sendinblue": "brevo",
    }
    assert {word: BY_PATH["provider"].check(word) for word in presets} == presets


def test_other_names_of_providers_name_presets_and_are_compared_as_they_are_written() -> None:
    assert set(ALIASES.values()) <= PRESETS.keys()
    assert [word for word in ALIASES if normalize_word(word) != word or word in PRESETS] == []


NAMES = {
    checks.connector_name: ("must be 1 to 50 letters, digits or underscores", "_.-@ \n\u00e4", 50, "_"),
    checks.purpose_name: ("must be 1 to 100 letters, digits or any of _ . -", "@/ \n\u00e4", 100, "_.-"),
}


@pytest.mark.parametrize("check", NAMES)
def test_names_are_limited_in_length_and_letters(check: checks.Check) -> None:
    message, forbidden, longest, extra = NAMES[check]
    assert check("a" * longest) == "a" * longest
    assert check("Az09" + extra) == "Az09" + extra
    bad = ["", "a" * (longest + 1), "name\n", "na\x00me", *(f"na{each}me" for each in forbidden if each not in extra)]
    for value in bad:
        with pytest.raises(checks.InvalidValueError) as refused:
            check(value)
        assert str(refused.value) == message
    for value in NO_TEXT:
        with pytest.raises(checks.InvalidValueError) as refused:
            check(value)
        assert str(refused.value) == TEXT


@bounded
@given(st.text())
def test_a_name_is_accepted_exactly_if_it_is_an_identifier_of_at_most_50_ascii_characters(value: str) -> None:
    allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"
    expected = 1 <= len(value) <= 50 and all(letter in allowed for letter in value)
    try:
        accepted = checks.connector_name(value) == value
    except checks.InvalidValueError:
        accepted = False
    assert accepted == expected


MARKER = "Zq7hunter2"
AROUND = st.one_of(
    st.sampled_from(["", "\r\n", "\x00", "@", "://", "https://", "smtp://user:", "/", " ", "@example.com", "\ud800"]),
    st.text(max_size=20),
)
OFFENDING = st.one_of(
    st.builds(lambda before, after: before + MARKER + after, AROUND, AROUND),
    st.builds(lambda after: [MARKER, MARKER + after], AROUND),
    st.builds(lambda after: {"X-Name": MARKER + "\n" + after}, AROUND),
    st.builds(lambda after: {MARKER + "\n" + after: "value"}, AROUND),
    st.just(MARKER.encode()),
    st.just((MARKER,)),
)


def traceback_of(path: str, value: Any) -> str:
    try:
        BY_PATH[path].check(value)
    except checks.InvalidValueError as refused:
        return "".join(traceback.format_exception_only(type(refused), refused)) + repr(refused.__cause__)
    return ""


@bounded
@given(path=st.sampled_from(sorted(path for path, field in BY_PATH.items() if not field.fields)), value=OFFENDING)
def test_no_message_shows_the_value_that_it_refuses(path: str, value: Any) -> None:
    assert MARKER not in traceback_of(path, value)


FRAMES = (
    "{}",
    "a{}b",
    "fe80::1%{}",
    "[fe80::1%{}]",
    "x://a{}b",
    "x://a{}b:25",
    "x://[fe80::1%{}]:25",
    "x://a{}b/c",
    "x://a/{}",
)


@bounded
@given(
    path=st.sampled_from(["smtp.host", "smtp.uri", "smtp.proxy", "graph.url", "oauth2.token_url"]),
    frame=st.sampled_from(FRAMES),
    inside=st.text(min_size=1, max_size=5) | st.text(" \r\n\x00\x85a", min_size=1, max_size=3),
)
def test_nothing_that_names_a_host_ever_holds_space_or_control_characters(path: str, frame: str, inside: str) -> None:
    scheme = {"smtp.uri": "smtp", "smtp.proxy": "socks5"}.get(path, "https")
    value = frame.replace("x:", f"{scheme}:").format(inside)
    try:
        kept = BY_PATH[path].check(value)
    except checks.InvalidValueError:
        return
    assert not any(letter.isspace() or ord(letter) < 32 or 127 <= ord(letter) < 160 for letter in kept)


@bounded
@given(
    st.sampled_from(["smtp", "smtps", "SMTP"]),
    st.sampled_from(GOOD_HOSTS),
    st.none() | st.integers(1, 65535),
    st.sampled_from([":", ";"]),
    st.sampled_from(["", "/"]),
)
def test_a_uri_is_taken_apart_into_what_it_was_put_together_from(
    scheme: str, host: str, port: int | None, colon: str, end: str
) -> None:
    written = f"[{host}]" if ":" in host else host
    uri = f"{scheme}://{written}{'' if port is None else f'{colon}{port}'}{end}"
    assert checks.parse_smtp_uri(uri) == (scheme.lower(), host, port)


@bounded
@given(
    st.text()
    | st.builds(lambda text: f"smtp://{text}", st.text())
    | st.from_regex(r"smtps?://[^/]{0,9}[:;]?[0-9]{0,6}")
)
def test_an_accepted_uri_names_an_allowed_host_and_port(uri: str) -> None:
    try:
        taken_apart = checks.parse_smtp_uri(checks.smtp_uri(uri))
    except checks.InvalidValueError:
        return
    assert taken_apart.scheme in ("smtp", "smtps")
    assert checks.host(taken_apart.host) == taken_apart.host
    assert taken_apart.port is None or 1 <= taken_apart.port <= 65535
