# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.mailroom.core.plugins.module_utils._message.received_headers import (
    authentication_results,
    parse_header_text,
    parse_headers,
)

METHODS = ("spf", "dkim", "dmarc")
RESULTS = ("pass", "fail", "softfail", "neutral", "none", "temperror", "permerror", "policy", "bestguesspass")

# What servers write, and what is in it.
WRITTEN = {
    "Gmail": (
        (
            "mx.google.com;\r\n       dkim=pass header.i=@example.com header.s=s1 header.b=AbC;\r\n"
            "       spf=pass (google.com: domain of a@example.com designates 192.0.2.1 as permitted sender)"
            " smtp.mailfrom=a@example.com;\r\n       dmarc=pass (p=REJECT sp=REJECT dis=NONE) header.from=example.com"
        ),
        {"dkim": "pass", "spf": "pass", "dmarc": "pass"},
    ),
    "Exchange Online, which names no server": (
        (
            "spf=softfail (sender IP is 192.0.2.1) smtp.mailfrom=example.com; dkim=none (message not signed)"
            " header.d=none;dmarc=fail action=none header.from=example.com;compauth=fail reason=001"
        ),
        {"spf": "softfail", "dkim": "none", "dmarc": "fail"},
    ),
    "OpenDKIM": ('mx.example.com; dkim=fail reason="signature; dkim=pass" (2048-bit key)', {"dkim": "fail"}),
    "versions": ("mx.example.com 1; spf/1 = Pass smtp.mailfrom=example.net", {"spf": "pass"}),
    "nothing checked": ("mx.example.com 1; none", {}),
    "other methods": ("mx.example.com; iprev=pass; auth=pass smtp.auth=x; xspf=fail; arc=none", {}),
    "several signatures": ("mx; dkim=fail header.d=a; dkim=pass header.d=b; dkim=neutral", {"dkim": "pass"}),
    "several senders": ("mx; spf=fail smtp.mailfrom=a; spf=pass smtp.helo=b", {"spf": "fail"}),
    "in a comment": ("mx; (spf=fail; dkim=fail (inner; \\) still)) spf=pass", {"spf": "pass"}),
    "a comment in between": ("mx; dkim(why)=(not)fail(late)", {"dkim": "fail"}),
    "in a quoted text": ('mx; x="a\\";spf=pass;b"; dmarc=none', {"dmarc": "none"}),
    "a comment without end": ("mx; spf=pass (oh; dkim=pass", {"spf": "pass"}),
    "a quoted text without end": ('mx; spf=pass reason="oh; dkim=pass', {"spf": "pass"}),
    "no result": ("mx; spf=; dkim; dmarc==pass; spf=pass1; dkim=pass=fail", {}),
    "empty": ("", {}),
}


@pytest.mark.parametrize(("content", "expected"), WRITTEN.values(), ids=WRITTEN)
def test_the_results_are_read_as_servers_write_them(content: str, expected: dict[str, str]) -> None:
    assert authentication_results(content) == expected


def test_only_the_topmost_results_count_and_every_hop_does() -> None:
    header = (
        "Return-Path: <a@example.com>\r\n"
        "RECEIVED: from b by c;\r\n\tTue, 1 Jan 2030 00:00:00 +0000\r\n"
        "Authentication-Results: mx.example.com;\r\n\tspf=fail smtp.mailfrom=example.com\r\n"
        "Received: from a by b\r\n"
        "Authentication-Results: forged.example; spf=pass; dkim=pass; dmarc=pass\r\n"
        "X-Received: no\r\n"
        "Subject: Received: no\r\n Received: no\r\n"
    )
    found = parse_header_text(header)
    assert (found.authentication, found.hops) == ({"spf": "fail"}, 2)
    assert parse_header_text(header.replace("\r\n", "\n")) == found


def test_a_message_that_no_server_has_touched_has_no_trace() -> None:
    assert parse_header_text("Subject: x\r\n\r\n").hops == 0
    assert parse_header_text("Subject: x\r\n\r\n").authentication == {}


COMMENTS = st.recursive(
    st.text('ab;="spf dkim=', max_size=8),
    lambda inner: st.lists(inner, max_size=3).map(lambda several: "".join(f"({each})" for each in several)),
).map(lambda text: f"({text})")
SPACES = st.sampled_from(["", " ", "\r\n\t", "\n "])
QUOTED = st.text("ab;()= spf", max_size=8).map(lambda text: f' reason="{text}"')


@given(st.dictionaries(st.sampled_from(METHODS), st.sampled_from(RESULTS)), st.data())
def test_what_was_written_is_read_back_whatever_stands_in_between(results: dict[str, str], data: st.DataObject) -> None:
    pieces = ["mx.example.com"]
    for method, result in results.items():
        gaps = [data.draw(SPACES) + data.draw(COMMENTS | st.just("")) for _gap in range(3)]
        reason = data.draw(QUOTED | st.just(""))
        pieces.append(f"{gaps[0]}{method}{gaps[1]}={gaps[2]}{result}{reason}{data.draw(COMMENTS)} x.y=spf")
    header = "Received: x\r\nAuthentication-Results: " + ";".join(pieces) + "\r\n"
    assert parse_header_text(header).authentication == results


@given(st.text(st.sampled_from('spfdkimarc=; \t\r\n()"\\/1:\x00\u00e9AuthenticationRsul-'), max_size=200))
def test_nothing_that_is_written_there_does_harm(text: str) -> None:
    for found in (parse_header_text(text), parse_header_text(f"Authentication-Results: {text}")):
        assert set(found.authentication) <= set(METHODS)
        assert all(result.isascii() and len(result) <= 20 for result in found.authentication.values())


@pytest.mark.parametrize("piece", ["(", ")", '"', "\\", ";", "spf=", "a", " ", "dkim=pass;", "(\\"])
def test_no_length_takes_long_or_is_kept(piece: str) -> None:
    found = parse_headers([("Authentication-Results", piece * 1_000_000), ("Received", piece * 1_000_000)])
    assert found.hops == 1
