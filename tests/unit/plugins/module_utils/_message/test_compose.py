# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import email
import re
from datetime import datetime, timedelta, timezone
from email import policy
from email.header import decode_header, make_header
from email.message import EmailMessage
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from peers.connectors import resolved

from ansible_collections.mailroom.core.plugins.module_utils._connector import checks
from ansible_collections.mailroom.core.plugins.module_utils._connector.secret import Secret
from ansible_collections.mailroom.core.plugins.module_utils._message.compose import (
    INIT_MAIL,
    TEST_MAIL,
    Facts,
    Request,
    Wording,
    compose,
)
from ansible_collections.mailroom.core.plugins.module_utils._message.draft import author_of, sending_domain
from ansible_collections.mailroom.core.plugins.module_utils._message.header import with_ascii_domain
from ansible_collections.mailroom.core.plugins.module_utils._message.outgoing_mail import OutgoingMail
from ansible_collections.mailroom.core.plugins.module_utils._verdict.observation import ProbeError

WHEN = datetime(2024, 2, 29, 23, 59, 58, tzinfo=timezone(timedelta(hours=5, minutes=30)))
FACTS = Facts("alerts", "Alerts", "smtp", "mx.example.com", 587, "starttls", "box@example.com", "Acme")
SERVER = {
    "host": "mx.example.com",
    "port": 587,
    "security": "starttls",
    "auth": "password",
    "username": "box@example.com",
}
MESSAGE_ID = "<init.0123456789abcdef@example.com>"
FULL: dict[str, Any] = {
    "display_name": "Alerts",
    "from_address": "alerts@example.com",
    "from_name": "Acme, Inc. \u2014 B\u00fccher & \u4f8b\u5b50",
    "reply_to": "answers@b\u00fccher.example",
    "errors_to": "bounces@example.net",
    "cc": ["one@example.org", "two@b\u00fccher.example"],
    "bcc": ["hidden@example.org", "quiet@example.org"],
    "headers": {"X-Team": "Caf\u00e9 \u2615 and tea", "List-Id": "<alerts.example.com>", "X-Number": 7},
    "signature": "Acme & S\u00f6hne\n<b>not bold</b>\n\nlast line",
    "smtp": SERVER,
}

LOCALS = st.from_regex(
    r"[a-z0-9!#$%&'*+/=?^_`{|}~\u00e0-\u00f6\u4e00-\u4e20-]{1,20}(\.[A-Z0-9]{1,10})?", fullmatch=True
)
DOMAINS = st.from_regex(r"[a-z0-9\u00e0-\u00f6\u0430-\u0440]{1,30}\.[a-z]{2,10}", fullmatch=True)


def allowed(check: checks.Check) -> Any:
    return lambda value: not checks.run_check(check, value, "", "")


ADDRESSES = st.builds("{}@{}".format, LOCALS, DOMAINS).filter(allowed(checks.address))
ONE_LINE = st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp"))
NAMES = st.text(ONE_LINE | st.sampled_from('"\\<>@,;:() =?_'), min_size=1, max_size=200).filter(
    allowed(checks.text(200))
)
LINES = st.text(ONE_LINE | st.sampled_from("\n-. \t"), min_size=1, max_size=250).filter(
    allowed(checks.text(250, lines=True))
)
HEADER_NAMES = st.from_regex(r"X-[!-9;-~]{1,70}", fullmatch=True)
HEADER_TEXTS = st.text(ONE_LINE, min_size=1, max_size=2048).filter(allowed(checks.text(2048)))
HEADERS = st.dictionaries(HEADER_NAMES, HEADER_TEXTS, max_size=5).filter(allowed(checks.headers))
MANY = st.lists(ADDRESSES, unique=True, max_size=5)
SETTINGS = st.fixed_dictionaries(
    {"from_address": ADDRESSES, "smtp": st.just(SERVER)},
    optional={
        "from_name": NAMES,
        "reply_to": ADDRESSES,
        "errors_to": ADDRESSES,
        "cc": MANY,
        "bcc": MANY,
        "headers": HEADERS,
        "signature": LINES,
    },
)
FACTS_OF_ALL_KINDS = st.builds(
    Facts,
    connector=st.from_regex(r"[A-Za-z0-9_]{1,50}", fullmatch=True),
    display_name=st.text(ONE_LINE, min_size=1, max_size=64).filter(allowed(checks.text(64))),
    type=st.sampled_from(("smtp", "graph")),
    host=DOMAINS,
    port=st.integers(1, 65535),
    security=st.sampled_from(("none", "starttls", "starttls_optional", "tls")),
    user=st.text(ONE_LINE, min_size=1, max_size=320).filter(allowed(checks.text(320))),
    tenant=st.text(ONE_LINE, min_size=1, max_size=100).filter(allowed(checks.text(100))),
)

WORDINGS = st.sampled_from((INIT_MAIL, TEST_MAIL))


def request(*to: str, **changed: Any) -> Request:
    values = {
        "wording": INIT_MAIL,
        "facts": FACTS,
        "message_id": MESSAGE_ID,
        "date": WHEN,
        "include_copies": True,
        **changed,
    }
    return Request(to=to or ("ops@example.com",), **values)


def read(sample_mail: OutgoingMail) -> EmailMessage:
    message = email.message_from_string(sample_mail.message.decode(), policy=policy.default)
    assert isinstance(message, EmailMessage)
    assert message.defects == []
    return message


def addresses(message: EmailMessage, name: str) -> list[str]:
    return [str(each.addr_spec) for each in message[name].addresses] if name in message else []


def part(message: EmailMessage, kind: str) -> str:
    body = message.get_body((kind,))
    assert body is not None
    return str(body.get_content()).replace("\r\n", "\n")


def name_in_from(sample_mail: OutgoingMail) -> str:
    """The name as RFC 2047 has it decoded; some releases of Python leave a space between two encoded words."""
    raw = str(email.message_from_string(sample_mail.message.decode(), policy=policy.compat32)["From"])
    phrase = raw.replace("\n", "").replace("\r", "").rpartition("<")[0].strip(" ")
    if phrase.startswith('"'):
        return re.sub(r"\\(.)", r"\1", phrase[1:-1])
    return str(make_header(decode_header(phrase)))


class Shown(HTMLParser):
    """What a reader of the HTML sees, and the tags that are in it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.pieces: list[str] = []
        self.tags: set[str] = set()
        self.cells: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag in ("th", "td"):
            self.cells.append("")

    def handle_data(self, data: str) -> None:
        self.pieces.append(data)
        if self.cells and self.lasttag in ("th", "td") and data != "\n":
            self.cells[-1] += data

    @property
    def text(self) -> str:
        return "".join(self.pieces)


@settings(max_examples=settings().max_examples * 40 // 100, suppress_health_check=[HealthCheck.too_slow])
@given(SETTINGS, st.lists(ADDRESSES, min_size=1, max_size=5), FACTS_OF_ALL_KINDS, WORDINGS)
def test_every_field_is_read_back_as_it_was_given(
    effective: dict[str, Any], to: list[str], facts: Facts, wording: Any
) -> None:
    sample_mail = compose(resolved(effective), request(*to, facts=facts, wording=wording))
    message = read(sample_mail)
    assert name_in_from(sample_mail) == effective.get("from_name", "").strip(" ")
    assert "".join(message["From"].addresses[0].display_name.split()) == "".join(effective.get("from_name", "").split())
    assert addresses(message, "From") == [with_ascii_domain(effective["from_address"])]
    assert addresses(message, "To") == list(dict.fromkeys(with_ascii_domain(each) for each in to))
    for name, given_to in (("Cc", effective.get("cc", [])), ("Reply-To", [effective.get("reply_to", "")])):
        assert addresses(message, name) == [with_ascii_domain(each) for each in given_to if each]
    assert message["Subject"] == wording.subject.format(name=facts.display_name).strip(" ")
    assert (message["Date"].datetime, message["Message-ID"]) == (WHEN, MESSAGE_ID)
    assert message["Auto-Submitted"] == "auto-generated"
    assert "Bcc" not in message
    assert message.get_content_type() == "multipart/alternative"
    custom = [(name, text) for name, text in message.items() if name.startswith("X-")]
    expected = [(name, text.strip(" ")) for name, text in effective.get("headers", {}).items()]
    assert [name for name, _text in custom] == [name for name, _text in expected]
    for (_name, found), (_same, text) in zip(custom, expected):
        assert "=?" in text or found == text


@settings(max_examples=settings().max_examples * 40 // 100, suppress_health_check=[HealthCheck.too_slow])
@given(SETTINGS, st.lists(ADDRESSES, min_size=1, max_size=5), FACTS_OF_ALL_KINDS)
def test_both_parts_say_every_fact_and_end_with_the_signature(
    effective: dict[str, Any], to: list[str], facts: Facts
) -> None:
    message = read(compose(resolved(effective), request(*to, facts=facts)))
    text, page = part(message, "plain"), Shown(part(message, "html"))
    for label, value in facts.rows():
        assert f"\n{label + ':':<15}{value}\n" in text
    assert [cell for pair in facts.rows() for cell in pair] == page.cells
    assert page.tags <= set("html head meta title body div h1 p table tr th td br".split())
    _said, dashes, signature = text.partition("\n-- \n")
    expected = effective.get("signature", "").strip("\r\n")
    assert (dashes != "", signature) == ((True, f"{expected}\n") if expected else (False, ""))
    assert not expected or page.text.rstrip("\n").endswith(f"-- \n{expected}".rstrip("\n"))


@settings(max_examples=settings().max_examples * 40 // 100, suppress_health_check=[HealthCheck.too_slow])
@given(SETTINGS, st.lists(ADDRESSES, min_size=1, max_size=5), FACTS_OF_ALL_KINDS)
def test_bytes_suit_any_server_and_the_envelope_reaches_everybody_once(
    effective: dict[str, Any], to: list[str], facts: Facts
) -> None:
    sample_mail = compose(resolved(effective), request(*to, facts=facts))
    assert sample_mail.message.endswith(b"\r\n")
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n|\0", sample_mail.message)
    head, _empty, body = sample_mail.message.partition(b"\r\n\r\n")
    assert max(map(len, head.split(b"\r\n"))) <= 998
    assert max(map(len, body.split(b"\r\n"))) <= 76
    assert body.isascii()
    written = [each for name in ("from_address", "reply_to") for each in [effective.get(name, "")]]
    written += [*to, *effective.get("cc", [])]
    assert sample_mail.needs_8bit == any(not each.rpartition("@")[0].isascii() for each in written)
    hidden = [effective.get("errors_to", ""), *effective.get("bcc", [])]
    anywhere = any(not each.rpartition("@")[0].isascii() for each in [*written, *hidden])
    assert sample_mail.needs_smtputf8 == anywhere
    assert sample_mail.size == len(sample_mail.message)
    everybody = [*to, *effective.get("cc", []), *effective.get("bcc", [])]
    assert sample_mail.recipients == tuple(dict.fromkeys(with_ascii_domain(each) for each in everybody))
    assert sample_mail.sender == with_ascii_domain(effective.get("errors_to", effective["from_address"]))
    assert sample_mail.message_id == MESSAGE_ID


def test_a_message_with_every_field_set_is_read_back() -> None:
    sample_mail = compose(resolved(FULL), request("ops@example.com", "Ops@example.com", "ops@EXAMPLE.com"))
    message = read(sample_mail)
    assert [name for name in message if name not in ("MIME-Version", "Content-Type")] == (
        "Date From Reply-To To Cc Subject Message-ID Auto-Submitted X-Team List-Id X-Number".split()
    )
    assert str(message["From"].addresses[0].display_name) == FULL["from_name"]
    assert message["Reply-To"] == "answers@xn--bcher-kva.example"
    assert message["To"] == "ops@example.com, Ops@example.com"
    assert message["Cc"] == "one@example.org, two@xn--bcher-kva.example"
    assert message["Subject"] == "Init Mail"
    assert message["Date"] == "Thu, 29 Feb 2024 23:59:58 +0530"
    assert (message["X-Team"], message["List-Id"], message["X-Number"]) == (
        "Caf\u00e9 \u2615 and tea",
        "<alerts.example.com>",
        "7",
    )
    assert sample_mail.sender == "bounces@example.net"
    assert sample_mail.recipients == (
        "ops@example.com",
        "Ops@example.com",
        "one@example.org",
        "two@xn--bcher-kva.example",
        "hidden@example.org",
        "quiet@example.org",
    )
    assert not sample_mail.needs_smtputf8
    assert b"hidden@" not in sample_mail.message


def test_the_text_reads_well() -> None:
    assert part(read(compose(resolved(FULL), request())), "plain") == (
        "This is the Init Mail of the mail connector Alerts. Its arrival proves that the connector can send.\n"
        "\n"
        "Tenant:        Acme\n"
        "Connector:     alerts\n"
        "Display name:  Alerts\n"
        "Host:          mx.example.com\n"
        "Port:          587\n"
        "Type:          smtp\n"
        "Security:      starttls\n"
        "User:          box@example.com\n"
        "\n"
        "This message was sent automatically. No answer is needed.\n"
        "\n"
        "-- \n"
        "Acme & S\u00f6hne\n"
        "<b>not bold</b>\n"
        "\n"
        "last line\n"
    )


def test_a_signature_keeps_its_indentation_and_loses_empty_lines_around_it() -> None:
    text = part(read(compose(resolved({**FULL, "signature": "\r\n  Acme\r\n\tAlerts\n\n"}), request())), "plain")
    assert text.endswith("\n-- \n  Acme\n\tAlerts\n")


def test_the_space_of_the_signature_line_survives_servers_that_trim_lines() -> None:
    assert b"\r\n--=20\r\n" in compose(resolved(FULL), request()).message


def test_a_test_mail_names_the_connector_in_its_subject() -> None:
    message = read(compose(resolved(FULL), request(wording=TEST_MAIL)))
    assert message["Subject"] == "Test mail from Alerts"
    assert part(message, "plain").startswith("This is a test mail of the mail connector Alerts.")
    assert Shown(part(message, "html")).text.count("Test mail from Alerts") == 2


@pytest.mark.parametrize("name", ["B\u00fccher \u4f8b\u5b50", "=?utf-8?q?x?=", "x" * 64])
def test_a_subject_shows_the_name_to_the_letter_and_travels_in_ascii(name: str) -> None:
    sample_mail = compose(resolved(FULL), request(facts=Facts("alerts", name), wording=TEST_MAIL))
    assert read(sample_mail)["Subject"] == f"Test mail from {name}"
    assert sample_mail.message.isascii()


@pytest.mark.parametrize(("field", "in_a_header"), [("reply_to", True), ("errors_to", False)])
def test_one_address_beyond_ascii_needs_a_server_that_takes_it(field: str, in_a_header: bool) -> None:
    sample_mail = compose(resolved({**FULL, field: "p\u00e4r@example.com"}), request())
    assert (sample_mail.needs_smtputf8, sample_mail.needs_8bit) == (True, in_a_header)


def test_markup_in_what_users_wrote_is_shown_and_not_obeyed() -> None:
    facts = Facts("alerts", "<script>alert(1)</script>", "smtp", user='"><img src=x>', tenant="a & b {0} {name}")
    effective = {**FULL, "signature": "</p><iframe>&amp;"}
    page = Shown(part(read(compose(resolved(effective), request(facts=facts, wording=TEST_MAIL))), "html"))
    assert not page.tags & {"script", "img", "iframe"}
    for shown in ("<script>alert(1)</script>", '"><img src=x>', "a & b {0} {name}", "</p><iframe>&amp;"):
        assert shown in page.text


def test_the_same_request_gives_the_same_bytes() -> None:
    assert compose(resolved(FULL), request()) == compose(resolved(FULL), request())


def test_a_hundred_copies_are_folded_between_addresses() -> None:
    cc = [f"someone.with.a.long.name.{number}@department.example.com" for number in range(100)]
    sample_mail = compose(resolved({**FULL, "cc": cc}), request())
    assert addresses(read(sample_mail), "Cc") == cc
    assert max(map(len, sample_mail.message.split(b"\r\n"))) <= 78


def test_a_service_that_reads_the_headers_is_told_the_hidden_ones() -> None:
    sample_mail = compose(resolved(FULL), request())
    message = email.message_from_bytes(sample_mail.naming_bcc(), policy=policy.default)
    assert message["Bcc"] == "hidden@example.org, quiet@example.org"
    assert message["Message-ID"] == MESSAGE_ID
    without = compose(resolved({**FULL, "bcc": []}), request())
    assert without.naming_bcc() == without.message


def test_a_custom_header_may_say_otherwise_how_the_message_came_about() -> None:
    message = read(compose(resolved({**FULL, "headers": {"AUTO-Submitted": "no"}}), request()))
    assert message.get_all("Auto-Submitted") == ["no"]


@pytest.mark.parametrize(
    ("effective", "author"),
    [
        ({"from_address": "a@example.com", "smtp": {"username": "b@example.com"}}, "a@example.com"),
        ({"smtp": {"username": "b@example.com"}}, "b@example.com"),
        ({"graph": {"mailbox": "c@example.com"}}, "c@example.com"),
        ({"errors_to": "e@example.com", "smtp": {"username": "b@example.com"}}, "b@example.com"),
    ],
)
def test_the_author_is_declared_or_the_user_who_signs_in(effective: dict[str, Any], author: str) -> None:
    assert author_of(resolved(effective)) == author
    sample_mail = compose(resolved(effective), request())
    assert addresses(read(sample_mail), "From") == [author]
    assert sample_mail.sender == effective.get("errors_to", author)


def test_the_domain_of_the_message_is_the_authors() -> None:
    assert sending_domain(resolved({**FULL, "from_address": "a@b\u00fccher.example"})) == "xn--bcher-kva.example"


@pytest.mark.parametrize("effective", [{"smtp": {"username": "apikey"}}, {"errors_to": "e@example.com", "smtp": {}}])
def test_without_an_author_nothing_is_composed(effective: dict[str, Any]) -> None:
    with pytest.raises(ProbeError, match="set from_address") as stopped:
        compose(resolved(effective), request())
    assert stopped.value.observation.kind == "config"


@pytest.mark.parametrize("wording", [INIT_MAIL, TEST_MAIL])
def test_mail_goes_to_its_addressee_alone_unless_copies_are_asked_for(wording: Wording) -> None:
    sample_mail = compose(resolved(FULL), Request(wording, ("ops@example.com",), FACTS, MESSAGE_ID, WHEN))
    assert sample_mail.recipients == ("ops@example.com",)
    assert sample_mail.bcc == ()
    assert "Cc" not in read(sample_mail)
    assert b"one@example.org" not in sample_mail.message


BAD_ADDRESSES = ("", "ops", "a@b\r\nBcc: x@y.example", "a@b.example\0", "<a@b.example>", "a@b.example, c@d.example")
BREAKS = ("\r\nBcc: x@y.example", "\n x", "\rx", "\0", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029", "\ud800")
INJECTED = [
    *[({"from_name": f"Acme{each}"}, "from_name") for each in BREAKS],
    *[({"headers": {"X-Team": f"a{each}"}}, "headers") for each in BREAKS],
    *[({name: each}, name) for name in ("from_address", "reply_to", "errors_to") for each in BAD_ADDRESSES if each],
    *[({name: [each]}, name) for name in ("cc", "bcc") for each in BAD_ADDRESSES],
    ({"headers": {"X-Te am": "a"}}, "headers"),
    ({"headers": {"X-Team\r\nBcc": "a"}}, "headers"),
    ({"headers": {"X-Team:": "a"}}, "headers"),
    *[({"headers": {name: "a"}}, "headers") for name in ("from", "TO", "Subject", "date", "Message-Id", "Bcc")],
    *[({"headers": {name: "a"}}, "headers") for name in ("Reply-To", "MIME-Version", "Content-Type")],
    ({"from_name": "a" * 201}, "from_name"),
    ({"signature": "a\0b"}, "signature"),
    ({"cc": [f"a{number}@example.com" for number in range(101)]}, "cc"),
]


def refusal(effective: dict[str, Any], to: Request) -> tuple[str, str]:
    """The kind of the refusal of a message, and what it is about; nothing where it is composed."""
    try:
        compose(resolved(effective), to)
    except ProbeError as stopped:
        return stopped.observation.kind, str(stopped).partition(": ")[0]
    return "", ""


@pytest.mark.parametrize("field", dict.fromkeys(field for _changed, field in INJECTED))
def test_value_that_would_break_a_header_is_refused_by_the_name_of_its_field(field: str) -> None:
    changes = [changed for changed, about in INJECTED if about == field]
    refusals = [(changed, refusal({**FULL, **changed}, request())) for changed in changes]
    assert refusals == [(changed, ("config", field)) for changed in changes]


def test_bad_recipient_is_refused() -> None:
    for to in BAD_ADDRESSES:
        with pytest.raises(ProbeError, match=r"\Ato: item 2 must be a mail address"):
            compose(resolved(FULL), request("ops@example.com", to))


def test_a_mail_to_nobody_is_refused() -> None:
    with pytest.raises(ProbeError, match="there is no recipient"):
        compose(resolved(FULL), Request(INIT_MAIL, (), FACTS, MESSAGE_ID, WHEN))


@pytest.mark.parametrize("field", ["connector", "display_name", "type", "host", "security", "user", "tenant"])
def test_fact_that_is_not_one_line_is_refused(field: str) -> None:
    broken = [Facts(**{"connector": "alerts", field: f"a{each}"}) for each in BREAKS]
    assert [facts for facts in broken if refusal(FULL, request(facts=facts))[1] != field] == []


def test_bad_message_id_is_refused() -> None:
    bad = ("", "a@b", "<a>", "<a b@c.example>", "<a@c.example>\r\nBcc: x", "<a@c.example>\n", "<a@\u00fc.example>")
    for message_id in bad:
        with pytest.raises(ProbeError, match="message_id"):
            compose(resolved(FULL), request(message_id=message_id))


@settings(max_examples=10)
@given(st.from_regex(r"[A-Za-z0-9]{24,40}", fullmatch=True))
def test_no_secret_gets_into_a_mail(secret: str) -> None:
    hidden = {"password": secret, "proxy_password": Secret(secret), "proxy_username": secret}
    oauth2 = {"client_secret": secret, "certificate": secret, "service_account": secret, "password": secret}
    effective = {**FULL, "smtp": {**SERVER, **hidden}, "imap": hidden, "oauth2": oauth2, "description": secret}
    sample_mail = compose(resolved(effective), request(wording=TEST_MAIL))
    message = read(sample_mail)
    assert secret not in repr(sample_mail) + part(message, "plain") + part(message, "html")
    assert secret.encode() not in re.sub(rb"=?\r\n ?", b"", sample_mail.naming_bcc())
