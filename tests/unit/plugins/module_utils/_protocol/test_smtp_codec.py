# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""SMTP's syntax, without a server."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.mailroom.core.plugins.module_utils._protocol.smtp_codec import (
    CHUNK_SIZE,
    END_OF_MESSAGE,
    Reply,
    ReplyLine,
    address_literal,
    decode_challenge,
    encode_command,
    encode_response,
    frame_message,
    parse_features,
    parse_reply_line,
    parse_size_limit,
)

REPLY_LINES: dict[bytes, ReplyLine | None] = {
    b"250 Ok\r\n": ReplyLine(250, "Ok", is_last=True),
    b"250-more\r\n": ReplyLine(250, "more", is_last=False),
    b"250\r\n": ReplyLine(250, "", is_last=True),
    b"250-\r\n": ReplyLine(250, "", is_last=False),
    b"550 with LF alone\n": ReplyLine(550, "with LF alone", is_last=True),
    b"550 a\rb\r\n": ReplyLine(550, "a\rb", is_last=True),
    b"535 gr\xc3\xbcn \xff\r\n": ReplyLine(535, "gr\u00fcn \ufffd", is_last=True),
    b"250 without an end": None,
    b"250_Ok\r\n": None,
    b"199 too small\r\n": None,
    b"600 too large\r\n": None,
    b"25 too short\r\n": None,
    b"-25 Ok\r\n": None,
    b"\r\n": None,
}


@pytest.mark.parametrize(("line", "parsed"), REPLY_LINES.items())
def test_a_reply_line_is_parsed(line: bytes, parsed: ReplyLine | None) -> None:
    assert parse_reply_line(line) == parsed


@given(st.binary())
def test_any_line_is_a_reply_line_with_a_code_of_smtp_or_none(line: bytes) -> None:
    parsed = parse_reply_line(line)
    assert parsed is None or 200 <= parsed.code <= 599


ENHANCED = {
    "5.7.8 Not accepted": "5.7.8",
    "5.7.8": "5.7.8",
    "4.7.1\tLater": "4.7.1",
    "5.7.8: Not accepted": "",
    "3.7.8 Not a class": "",
    "5.7.1234 Not a number": "",
    "Not 5.7.8": "",
    "": "",
}


@pytest.mark.parametrize(("text", "enhanced"), ENHANCED.items())
def test_an_enhanced_code_stands_at_the_beginning(text: str, enhanced: str) -> None:
    assert Reply(550, (text, "5.1.1 in another line")).enhanced == enhanced


@pytest.mark.parametrize(("code", "is_ok"), [(200, True), (250, True), (299, True), (334, False), (535, False)])
def test_only_a_reply_of_the_second_class_is_a_success(code: int, *, is_ok: bool) -> None:
    assert Reply(code, ("",)).is_ok is is_ok


FEATURES: dict[str, tuple[str, dict[str, str]]] = {
    "nothing": ("mail.example.com", {}),
    "odd case": ("mail.example.com\nStartTLS\nauth Plain LOGIN", {"starttls": "", "auth": "Plain LOGIN"}),
    "AUTH= as old servers have it": ("mail\nAUTH=LOGIN PLAIN", {"auth": "LOGIN PLAIN"}),
    "both forms": ("mail\nAUTH PLAIN\nAUTH=LOGIN", {"auth": "PLAIN LOGIN"}),
    "size": ("mail\nSIZE 1000\n8BITMIME", {"size": "1000", "8bitmime": ""}),
    "size without a number": ("mail\nSIZE", {"size": ""}),
    "spaces": ("mail\n  SIZE   1000  \n", {"size": "1000"}),
    "the first line is the server's name": ("STARTTLS\nSIZE 5", {"size": "5"}),
    "a value with a sign of equality": ("mail\nLIMITS RCPTMAX=100 MAILMAX=5", {"limits": "RCPTMAX=100 MAILMAX=5"}),
}


@pytest.mark.parametrize(("text", "features"), FEATURES.values(), ids=FEATURES)
def test_features_of_an_ehlo_reply(text: str, features: dict[str, str]) -> None:
    found = parse_features(text.split("\n"))
    found.pop("", None)
    assert found == features


@given(st.lists(st.sampled_from([b".", b"..", b"\r\n", b"\n", b"\r", b"\r\n.\r\n", b"x", b"\n.\n", b"\xff"])))
def test_no_content_ends_the_data_early(pieces: list[bytes]) -> None:
    content = b"".join(pieces)
    sent = b"".join(frame_message(content)) + END_OF_MESSAGE
    assert re.search(rb"(?<!\r)\n|\r(?!\n)", sent) is None
    assert sent.endswith(b"\r\n.\r\n") or sent == b".\r\n"
    whole = sent[:-3]
    assert not (b"\r\n" + whole).endswith(b"\r\n.\r\n")
    assert b"\r\n.\r\n" not in b"\r\n" + whole
    received = re.sub(rb"(?m)^\.", b"", whole)
    lines = re.sub(rb"\r\n|\r|\n", b"\r\n", content)
    assert received in (lines, lines + b"\r\n")


def test_a_large_message_goes_in_pieces() -> None:
    content = b"".join(b"%07d\r\n" % number for number in range(50_000))
    pieces = list(frame_message(content))
    assert b"".join(pieces) == content
    assert len(pieces) > 10
    assert max(map(len, pieces)) <= CHUNK_SIZE


SIZE_LIMITS = {"1000": 1000, "0": 0, "": 0, "many": 0, "-5": 0, "1" * 19: 0, "\u0665": 0}


@pytest.mark.parametrize(("parameter", "limit"), SIZE_LIMITS.items())
def test_a_size_that_is_no_number_is_no_limit(parameter: str, limit: int) -> None:
    assert parse_size_limit(parameter) == limit


def test_a_command_ends_with_a_line_break() -> None:
    assert encode_command("MAIL FROM:<b\u00fccher@example.com>") == "MAIL FROM:<b\u00fccher@example.com>\r\n".encode()


@given(st.binary())
def test_what_is_encoded_for_auth_is_decoded_as_it_was(data: bytes) -> None:
    assert decode_challenge(Reply(334, (encode_response(data),))) == data


@pytest.mark.parametrize("text", ["!a!", "YQ", "Y Q==", "\u00e4"])
def test_a_challenge_that_is_not_base64_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  whatever base64 says of it
        decode_challenge(Reply(334, (text,)))


NAMES = {"192.0.2.1": "[192.0.2.1]", "2001:db8::1": "[IPv6:2001:db8::1]", "mail.example.com": "", "": ""}


@pytest.mark.parametrize(("name", "literal"), NAMES.items())
def test_an_ip_address_is_named_as_a_literal(name: str, literal: str) -> None:
    assert address_literal(name) == literal
