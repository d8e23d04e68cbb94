# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What each field accepts, and the message that each malformed value gets."""

from __future__ import annotations

import json
import traceback
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.plugins.module_utils._connector.given import ACCEPTED, GOOGLE_KEY, PEM, SECRET_VALUES, bounded

from ansible_collections.mailroom.core.plugins.module_utils._connector import checks
from ansible_collections.mailroom.core.plugins.module_utils._connector.fields import BY_PATH, SECRETS
from ansible_collections.mailroom.core.plugins.module_utils._connector.presets import ALIASES, PRESETS
from ansible_collections.mailroom.core.plugins.module_utils._connector.suggest import normalize_word

Row = tuple[str, Any, str]

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


def several_lines(longest: int) -> str:
    return f"must be 1 to {longest} characters without control characters"


def at_most(longest: int) -> str:
    return f"must be at most {longest} characters without NUL"


def each(paths: Iterable[str], values: Iterable[Any], message: str) -> Iterator[Row]:
    values = list(values)
    for path in paths:
        for value in values:
            yield path, value, message


def paths_named(*names: str) -> list[str]:
    return [path for path in BY_PATH if path.rpartition(".")[2] in names]


LINE_FIELDS = {
    "display_name": 64,
    "from_name": 200,
    "smtp.username": 320,
    "imap.username": 320,
    "oauth2.username": 320,
    "smtp.proxy_username": 320,
    "imap.proxy_username": 320,
    "graph.proxy_username": 320,
    "oauth2.proxy_username": 320,
    "imap.mailbox": 200,
    "oauth2.scope": 1000,
}
LINES_FIELDS = {"description": 1000, "signature": 250}
ADDRESS_FIELDS = ["from_address", "reply_to", "errors_to", "test_address", "graph.mailbox"]
ADDRESS_LISTS = ["cc", "bcc"]
USER_FIELDS = paths_named("username")
HOST_FIELDS = ["smtp.host", "imap.host", "smtp.ehlo_name"]
URI_FIELDS = {"smtp.uri": URI, **dict.fromkeys(paths_named("proxy"), PROXY)}
ORIGIN_FIELDS = dict.fromkeys(("graph.url", "oauth2.authority"), ORIGIN)
FLAG_FIELDS = ["enabled", *paths_named("validate_certs", "same_credentials", "relay", "save_to_sent")]
PATH_FIELDS = paths_named("ca_file", "client_cert", "client_key", "certificate_file", "assertion_file")
CHOICE_FIELDS = {
    "provider": PROVIDER,
    "oauth2.cloud": CLOUD,
    **dict.fromkeys(paths_named("security"), SECURITY),
    **dict.fromkeys(paths_named("auth"), AUTH),
}
PLAIN_SECRETS = sorted(SECRETS - {"oauth2.certificate", "oauth2.service_account"})

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


def addresses() -> Iterator[Row]:
    yield from each(ADDRESS_FIELDS, BAD_ADDRESSES, ADDRESS)
    yield from each(ADDRESS_FIELDS, NO_TEXT, TEXT)
    yield from each(ADDRESS_FIELDS, [LONE_SURROGATE, "a\udfff@example.com"], UNICODE)
    yield from each(USER_FIELDS + ADDRESS_FIELDS, [f"ops@{domain}" for domain in BAD_DOMAINS[:-1]], USE_ASCII)
    yield from each(USER_FIELDS + ADDRESS_FIELDS, ENCODED_WORDS, ENCODED_WORD)
    yield from each(ADDRESS_FIELDS, ["ops@\u05d0b.example"], USE_ASCII)
    yield from each(ADDRESS_FIELDS, ["a" * 60 + "@" + "\u00fc\u00f6\u00e4." * 20 + "example"], TOO_LONG_IN_ASCII)
    for path in ADDRESS_LISTS:
        yield from each(
            [path], [["good@example.com", f"ops@{domain}"] for domain in BAD_DOMAINS], f"item 2 {USE_ASCII}"
        )
        yield from each([path], [[value] for value in ENCODED_WORDS], f"item 1 {ENCODED_WORD}")
        yield path, "one@example.com", "must be a list of at most 100 items"
        yield path, {"one@example.com": 1}, "must be a list of at most 100 items"
        yield path, [f"a{number}@example.com" for number in range(101)], "must be a list of at most 100 items"
        yield path, ["a@example.com", "b@example.com", "a@example.com"], "item 3 is a duplicate"
        yield path, ["a@example.com", 5], f"item 2 {TEXT}"
        yield path, [LONE_SURROGATE], f"item 1 {UNICODE}"
        for value in BAD_ADDRESSES:
            yield path, ["good@example.com", value], f"item 2 {ADDRESS}"


def texts() -> Iterator[Row]:
    for path, longest in LINE_FIELDS.items():
        broken = [f"before{control}after" for control in (*CONTROLS, *LINE_ENDS)]
        yield from each([path], ["", " ", "\u3000", "x" * (longest + 1), HUGE, *broken], one_line(longest))
        yield from each([path], NO_TEXT, TEXT)
        yield path, LONE_SURROGATE, UNICODE
    for path, longest in LINES_FIELDS.items():
        broken = [f"before{control}after" for control in CONTROLS if not set(control) <= set("\r\n\t")]
        yield from each([path], ["", "\n", "x" * (longest + 1), HUGE, *broken], several_lines(longest))
        yield from each([path], NO_TEXT, TEXT)
        yield path, LONE_SURROGATE, UNICODE


def tenants() -> Iterator[Row]:
    yield "available_to", "acme", "must be a list of at most 1000 items"
    yield "available_to", [str(number) for number in range(1001)], "must be a list of at most 1000 items"
    yield "available_to", ["acme", "acme"], "item 2 is a duplicate"
    for value in ("", " ", "a\nb", "x" * 101):
        yield "available_to", ["acme", value], f"item 2 {one_line(100)}"
    yield "available_to", [None], f"item 1 {TEXT}"


def servers() -> Iterator[Row]:
    yield from each(HOST_FIELDS, BAD_HOSTS, HOST)
    yield from each(HOST_FIELDS, BAD_DOMAINS, USE_ASCII)
    yield from each(HOST_FIELDS, NO_TEXT, TEXT)
    yield from each(HOST_FIELDS, [LONE_SURROGATE], UNICODE)
    yield from each(["smtp.port", "imap.port"], [0, -1, 65536, 10**30, True, "25", "", 25.0, None, [25]], PORT)
    for path, message in CHOICE_FIELDS.items():
        yield from each([path], ["", "TLS", " tls", "ssl", "required", "tls\n", HUGE, *NO_TEXT], message)
    yield from each(FLAG_FIELDS, [0, 1, "yes", "true", "", None, []], FLAG)
    yield from each(PATH_FIELDS, ["", "ca.pem", "./ca.pem", "~/ca.pem", "/etc/\x00", "/etc/a\nb", "/" + HUGE], PATH)
    yield from each(PATH_FIELDS, NO_TEXT, TEXT)
    for path in paths_named("mechanisms"):
        yield path, "PLAIN", "must be a list of at most 7 items"
        yield path, ["PLAIN"] * 8, "must be a list of at most 7 items"
        yield path, ["PLAIN", "PLAIN"], "item 2 is a duplicate"
        for value in ("plain", "NTLM", "", 5, None):
            yield path, ["LOGIN", value], f"item 2 {MECHANISM}"


def endpoints() -> Iterator[Row]:
    yield from each(["smtp.uri"], BAD_URIS, URI)
    places = {"smtp.uri": "smtp://{}:25", **dict.fromkeys(paths_named("proxy"), "http://{}:3128")}
    places |= {**dict.fromkeys(ORIGIN_FIELDS, "https://{}"), "oauth2.token_url": "https://{}/token"}
    for path, form in places.items():
        yield from each([path], map(form.format, BAD_DOMAINS), USE_ASCII)
    for path, message in URI_FIELDS.items():
        scheme = "smtp://" if message is URI else "socks5://"
        yield from each([path], [form.format(scheme, ":1080") for form in WITH_USER], message + NO_USER)
        yield from each([path], NO_TEXT, TEXT)
        yield path, scheme + LONE_SURROGATE, UNICODE
    no_proxies = [
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
    yield from each(paths_named("proxy"), no_proxies, PROXY)
    no_origins = [
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
    for path, message in ORIGIN_FIELDS.items():
        yield from each([path], no_origins, message)
        yield from each([path], [form.format("https://", "") for form in WITH_USER], message + NO_USER)
        yield from each([path], NO_TEXT, TEXT)


def sign_in() -> Iterator[Row]:
    no_token_urls = [
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
    yield from each(["oauth2.token_url"], no_token_urls, TOKEN_URL)
    yield from each(["oauth2.token_url"], NO_TEXT, TEXT)
    no_days = ["", "soon", "31.05.2027", "2027-02-30", "2027-5-31", "20270531", "2027-05-31T00:00:00", "2027-05-31\n"]
    yield from each(
        ["oauth2.client_secret_expires"], [*no_days, "\u0662027-05-31"], "must be a date such as 2027-05-31"
    )
    yield from each(["oauth2.client_secret_expires"], NO_TEXT, TEXT)
    no_tenants = ["", ".", "..", "con toso", "contoso/../other", "contoso?x", "contoso\n", "t\u00e4nant", "x" * 201]
    yield from each(["oauth2.tenant_id"], no_tenants, TENANT_ID)
    no_clients = ["", "two words", "id\n", "\u00efd", "id\x00", "x" * 201]
    yield from each(["oauth2.client_id"], no_clients, CLIENT_ID)
    yield from each(["oauth2.managed_identity"], [*no_clients, *NO_TEXT], IDENTITY)
    yield from each(["oauth2.tenant_id", "oauth2.client_id"], NO_TEXT, TEXT)
    yield from each(["oauth2.tenant_id", "oauth2.client_id"], [LONE_SURROGATE], UNICODE)


def secrets() -> Iterator[Row]:
    for path in PLAIN_SECRETS:
        yield path, "", EMPTY_SECRET
        yield from each([path], ["hunter2\x00", "\x00", "x" * 1025, HUGE], at_most(1024))
    yield from each(sorted(SECRETS - {"oauth2.service_account"}), NO_TEXT, TEXT)
    yield from each(sorted(SECRETS), [LONE_SURROGATE], UNICODE)
    yield from each(["oauth2.certificate", "oauth2.service_account"], [""], EMPTY_SECRET)
    yield from each(["oauth2.certificate", "oauth2.service_account"], [HUGE, "\x00"], at_most(65536))
    without_key = PEM.replace("PRIVATE KEY", "PUBLIC KEY")
    without_certificate = PEM.replace("BEGIN CERTIFICATE", "BEGIN REQUEST")
    yield from each(["oauth2.certificate"], ["text", without_key, without_certificate], CERTIFICATE)
    no_accounts: list[Any] = [
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
    yield from each(["oauth2.service_account"], no_accounts, ACCOUNT)
    for url, message in (("http://a.example/t", TOKEN_URL), (5, TEXT), ("https://fa\u00df.example/t", USE_ASCII)):
        account = {**json.loads(GOOGLE_KEY), "token_uri": url}
        yield "oauth2.service_account", account, f"its token_uri {message}"


SET_BY_MESSAGE = (
    "From To Cc Bcc Reply-To Sender Subject Date Message-ID MIME-Version Content-Type Content-Transfer-Encoding"
)
SET_BY_SYSTEM = (
    "Content-ID Content-Disposition Content-Foo Received Return-Path Delivered-To DKIM-Signature"
    " Authentication-Results Resent-From Resent-To Resent-Cc Resent-Bcc Resent-Date Resent-Message-ID Resent-Sender"
    " Resent-Foo"
)


def headers() -> Iterator[Row]:
    yield from each(["headers"], [[], "X-A: b", 5, None, {f"X-{n}": "b" for n in range(51)}], HEADERS)
    names = ["", "X A", "X:A", "X-A\n", "X-A\r\nBcc", "X-\u00c4", "X-\x00", "x" * 77, 5, None, LONE_SURROGATE]
    yield from each(["headers"], [{name: "value"} for name in names], HEADER_NAME)
    for names, by in ((SET_BY_MESSAGE, "message itself"), (SET_BY_SYSTEM, "mail system")):
        for name in names.split():
            for spelling in (name, name.lower(), name.upper(), name.swapcase()):
                yield "headers", {"X-Good": "yes", spelling: "evil"}, f"{spelling} is set by the {by}"
    yield "headers", {"X-Team": "a", "x-team": "b"}, "x-team is given twice"
    contents: list[Any] = [f"a{end}Bcc: evil@example.com" for end in LINE_ENDS]
    contents += ["", " ", "nul\x00", "x" * 2049, HUGE, None, True, 1.5, ["a"], {"a": "b"}, LONE_SURROGATE]
    yield from each(["headers"], [{"X-Team": content} for content in contents], f"X-Team {one_line(2048)}")


REFUSED: list[Row] = [
    *addresses(),
    *texts(),
    *tenants(),
    *servers(),
    *endpoints(),
    *sign_in(),
    *secrets(),
    *headers(),
]


def labelled(row: Row) -> str:
    return f"{row[0]}-{ascii(row[1])[:40]}"


@pytest.mark.parametrize(("path", "value", "message"), REFUSED, ids=map(labelled, REFUSED))
def test_a_malformed_value_is_refused_with_a_message_that_says_what_is_allowed(
    path: str, value: Any, message: str
) -> None:
    with pytest.raises(checks.InvalidValueError) as refused:
        BY_PATH[path].check(value)
    allowed, _between, suggestion = str(refused.value).partition("; did you mean ")
    assert allowed == message
    assert not suggestion or message.startswith("must be one of") or path.endswith("mechanisms")


def test_the_table_of_malformed_values_leaves_out_no_field() -> None:
    fields = {path for path, field in BY_PATH.items() if not field.fields}
    assert {path for path, value, told in REFUSED} == fields
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
KEPT: list[tuple[str, Any]] = [
    *ACCEPTED.items(),
    *((path, value) for path, value in SECRET_VALUES.items() if path != "oauth2.service_account"),
    *((path, "x" * longest) for path, longest in {**LINE_FIELDS, **LINES_FIELDS}.items()),
    *((path, "Gr\u00fc\u00dfe, \U0001f4ee") for path in (*LINE_FIELDS, *LINES_FIELDS)),
    *((path, "one\r\n\ttwo\n") for path in LINES_FIELDS),
    *((path, value) for path in HOST_FIELDS for value in GOOD_HOSTS),
    *((path, port) for path in ("smtp.port", "imap.port") for port in (1, 25, 65535)),
    *(
        ("from_address", value)
        for value in (
            "a@b",
            "a.b+c@example.com",
            "o'neil@example.com",
            "SRS0=HHH=TT=example.org=user?x@example.com",
            "j\u00f6rg@b\u00fccher.example",
            "gr\u00fc\u00dfe@xn--fa-hia.example",
        )
    ),
    ("from_address", "a" * 64 + "@" + "b" * 63 + ".example.com"),
    *(("smtp.uri", f"smtp://mail.example.com{port}") for port in ("", ":25", ";25", "/", ":65535/")),
    *(
        ("smtp.uri", uri)
        for uri in ("smtps://mail.example.com", "SMTPS://mail.example.com:465", "smtp://[2001:db8::1]:25")
    ),
    *(
        (f"{block}.username", name)
        for block in ("smtp", "imap")
        for name in ("gr\u00fc\u00dfe", "\u2603@", "a@\u00df b", "=?")
    ),
    *((path, "http://[2001:db8::1]:3128") for path in paths_named("proxy")),
    *((path, "https://host.example.com:8443") for path in ORIGIN_FIELDS),
    *((path, "https://[2001:db8::1]") for path in ORIGIN_FIELDS),
    ("oauth2.token_url", "https://id.example.com:8443/realms/a/token?b=c"),
    ("oauth2.token_url", "https://[2001:db8::1]/token"),
    ("oauth2.managed_identity", "11111111-2222-3333-4444-555555555555"),
    *(
        (path, value)
        for path in PLAIN_SECRETS
        for value in (" ", " a ", "\r\n", "x" * 1024, "{{ x }}", "p\u00e4ss \U0001f511", "********")
    ),
    ("headers", {}),
    ("headers", {"X-A": "b", "List-Unsubscribe": "<mailto:off@example.com>", "x": "y" * 2048}),
    ("headers", {f"X-{number}": "b" for number in range(50)}),
    ("headers", {"Auto-Submitted": "no", "X-Received": "a", "Contents": "b", "X-Phish": "=?utf-8?q?a?="}),
    ("cc", [f"a{number}@example.com" for number in range(100)]),
]


@pytest.mark.parametrize(("path", "value"), KEPT, ids=[labelled((path, value, "")) for path, value in KEPT])
def test_an_allowed_value_is_kept_as_it_was_written(path: str, value: Any) -> None:
    kept = BY_PATH[path].check(value)
    assert kept == value
    assert type(kept) is type(value)


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


SUGGESTED = [
    *(("smtp.security", word, "tls") for word in ("ssl", "SSL", "ssl/tls", "smtps", "TLS")),
    *(("imap.security", word, "starttls") for word in ("STARTTLS", "start-tls", "starttsl")),
    ("imap.security", "opportunistic", "starttls_optional"),
    *(("smtp.auth", word, "password") for word in ("plain", "login", "basic", "Password")),
    *(("imap.auth", word, "oauth2") for word in ("oauth", "XOAUTH2", "modern")),
    ("smtp.auth", "anonymous", "none"),
    ("oauth2.cloud", "us-gov", "us_gov"),
    *(("provider", word, "gmail") for word in ("gmial", "gmailcom", "googel")),
    *(("provider", word, "microsoft365") for word in ("microsoft", "offce365", "mircosoft365")),
    ("provider", "ses_eu_wset_1", "ses_eu_west_1"),
    ("smtp.mechanisms", ["plain"], "PLAIN"),
    ("imap.mechanisms", ["SCRAM_SHA_256"], "SCRAM-SHA-256"),
]


@pytest.mark.parametrize(("path", "value", "meant"), SUGGESTED, ids=[labelled(row) for row in SUGGESTED])
def test_word_that_is_nearly_a_choice_suggests_it(path: str, value: Any, meant: str) -> None:
    with pytest.raises(checks.InvalidValueError) as refused:
        BY_PATH[path].check(value)
    assert str(refused.value).endswith(f"; did you mean {meant}?")


PROVIDERS = [
    *(
        (word, "gmail")
        for word in ("gmail", "Gmail", "Gsuite", "gsuite", "google_workspace", "Google Workspace", "G-Suite")
    ),
    *((word, "microsoft365") for word in ("Microsoft365", "o365", "O365", "office365", "Office 365", "m365")),
    *((word, "ses_eu_west_1") for word in ("ses_eu_west_1", "SES-EU-WEST-1")),
    ("Custom", "custom"),
    ("sendinblue", "brevo"),
]


@pytest.mark.parametrize(("word", "preset"), PROVIDERS)
def test_provider_is_kept_under_its_preset_whatever_it_is_called(word: str, preset: str) -> None:
    assert BY_PATH["provider"].check(word) == preset


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


def refusal(path: str, value: Any) -> str:
    try:
        BY_PATH[path].check(value)
    except checks.InvalidValueError as refused:
        return "".join(traceback.format_exception_only(type(refused), refused)) + repr(refused.__cause__)
    return ""


@bounded
@given(path=st.sampled_from(sorted(path for path, field in BY_PATH.items() if not field.fields)), value=OFFENDING)
def test_no_message_shows_the_value_that_it_refuses(path: str, value: Any) -> None:
    assert MARKER not in refusal(path, value)


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
    path=st.sampled_from([*HOST_FIELDS, *URI_FIELDS, *ORIGIN_FIELDS, "oauth2.token_url"]),
    frame=st.sampled_from(FRAMES),
    inside=st.text(min_size=1, max_size=5) | st.text(" \r\n\x00\x85a", min_size=1, max_size=3),
)
def test_nothing_that_names_a_host_ever_holds_space_or_control_characters(path: str, frame: str, inside: str) -> None:
    scheme = {"smtp.uri": "smtp", "smtp.proxy": "http", "imap.proxy": "socks5"}.get(path, "https")
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
