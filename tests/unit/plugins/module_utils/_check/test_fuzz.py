# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whatever a server says ends in a verdict. `make fuzz` calls the same functions for longer."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import pytest
from fuzz import entries
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.mailroom.core.plugins.module_utils._verdict.table import REMEDIES

BOUNDED = settings(
    max_examples=settings().max_examples * 30 // 100, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


def _damaged(word: bytes) -> st.SearchStrategy[bytes]:
    where = st.integers(0, len(word))
    return st.tuples(where, st.binary(max_size=3)).map(lambda cut: word[: cut[0]] + cut[1] + word[cut[0] + 1 :])


def _script(words: tuple[bytes, ...], good: tuple[tuple[bytes, ...], ...]) -> st.SearchStrategy[bytes]:
    """Conversations that go well for a while, then once say anything."""
    word = st.sampled_from(words) | st.binary(max_size=40) | st.sampled_from(words).flatmap(_damaged)
    said = st.lists(word, min_size=1, max_size=3).map(b"".join)
    said |= st.tuples(said, st.sampled_from(words)).map(b"".join)

    def spoilt(parts: tuple[bytes, ...]) -> st.SearchStrategy[bytes]:
        replaced = st.tuples(st.integers(0, len(parts) - 1), said)
        return replaced.map(lambda one: entries.BETWEEN.join([*parts[: one[0]], one[1], *parts[one[0] + 1 :]]))

    return st.sampled_from(good).flatmap(spoilt)


SMTP = _script(entries.SMTP_WORDS, entries.GOOD_SMTP)
IMAP = _script(entries.IMAP_WORDS, entries.GOOD_IMAP)
MECHANISMS = st.sampled_from([(), *((name,) for name in entries.ALL_MECHANISMS)])


@BOUNDED
@given(SMTP, MECHANISMS)
def test_smtp_conversations_end_in_a_verdict(data: bytes, mechanisms: tuple[str, ...]) -> None:
    assert entries.smtp_conversation(data, mechanisms) in REMEDIES


@BOUNDED
@given(SMTP)
def test_smtp_conversations_with_starttls_end_in_a_verdict(data: bytes) -> None:
    assert entries.smtp_starttls(data) in REMEDIES


@BOUNDED
@given(IMAP, MECHANISMS)
def test_imap_conversations_end_in_a_verdict(data: bytes, mechanisms: tuple[str, ...]) -> None:
    assert entries.imap_conversation(data, mechanisms) in REMEDIES


@BOUNDED
@given(IMAP)
def test_imap_conversations_with_starttls_end_in_a_verdict(data: bytes) -> None:
    assert entries.imap_starttls(data) in REMEDIES


@BOUNDED
@given(st.binary(max_size=400))
def test_any_bytes_end_in_a_verdict(data: bytes) -> None:
    assert entries.smtp_conversation(data) in REMEDIES
    assert entries.imap_conversation(data) in REMEDIES


@BOUNDED
@given(st.binary(max_size=80) | st.lists(st.sampled_from(b"r= s= i= v= , 4096 aaaa".split())).map(b"".join))
def test_any_challenge_only_ever_stops(data: bytes) -> None:
    entries.challenges(data)


@BOUNDED
@given(st.binary(max_size=200) | st.binary(max_size=40).map(lambda rest: b"\5\0" + entries.BETWEEN + rest))
def test_any_proxy_only_ever_stops(data: bytes) -> None:
    entries.proxies(data)


GOOD = {
    "smtp": (entries.smtp_conversation, entries.GOOD_SMTP[0]),
    "smtp with starttls": (entries.smtp_starttls, entries.GOOD_SMTP[1]),
    "imap": (entries.imap_conversation, entries.GOOD_IMAP[0]),
    "imap with the command login": (entries.imap_conversation, entries.GOOD_IMAP[1]),
    "imap with starttls": (entries.imap_starttls, entries.GOOD_IMAP[2]),
}


@pytest.mark.parametrize(("conversation", "parts"), GOOD.values(), ids=GOOD)
def test_the_scripts_that_are_spoilt_are_good(conversation: Callable[[bytes], str], parts: tuple[bytes, ...]) -> None:
    assert conversation(entries.BETWEEN.join(parts)) == "ok"


# Found earlier; kept here, since nobody draws them twice.
FOUND: dict[str, tuple[Callable[[bytes], str], tuple[bytes, ...]]] = {
    "imaplib wants capabilities": (entries.imap_conversation, (*entries.GOOD_IMAP[0][:2], b"{tag} OK done\r\n")),
    "imaplib meets BYE": (entries.imap_conversation, (*entries.GOOD_IMAP[0][:2], b"* BYE [UNAVAILABLE] later\r\n")),
    "no capabilities before the quota": (
        entries.imap_conversation,
        (*entries.GOOD_IMAP[0][:6], b"{tag} OK done\r\n"),
    ),
    "a quota of something without a name": (
        entries.imap_conversation,
        (*entries.GOOD_IMAP[0][:-2], b'* QUOTAROOT INBOX ""\r\n* QUOTA "" (5 10 512)\r\n{tag} OK done\r\n'),
    ),
}


@pytest.mark.parametrize(("conversation", "parts"), FOUND.values(), ids=FOUND)
def test_what_was_found_stays_found(conversation: Callable[[bytes], str], parts: tuple[bytes, ...]) -> None:
    assert conversation(entries.BETWEEN.join(parts)) in REMEDIES


LARGE = {
    "a greeting without an end of line": b"2" * 3_000_000,
    "a greeting without an end": b"220-more\r\n" * 300_000,
    "a flood of blank lines": b"\r\n" * 1_000_000,
    "capabilities without an end": b"220 hi\r\n" + entries.BETWEEN + b"250-X\r\n" * 300_000,
    "untagged lines without an end": b"* OK hi\r\n" + entries.BETWEEN + b"* 1 EXISTS\r\n" * 300_000,
    "long lines without an end": b"* OK hi\r\n" + entries.BETWEEN + (b"* " + b"x" * 8000 + b"\r\n") * 400,
    "a huge literal": entries.LOGGED_IN_IMAP + entries.BETWEEN + b"* X {900000000}\r\n" + b"x" * 3_000_000,
    "many literals": entries.LOGGED_IN_IMAP + entries.BETWEEN + (b"* X {60000}\r\n" + b"x" * 60_000 + b"\r\n") * 40,
}


@pytest.mark.parametrize(
    ("protocol", "data"),
    [("smtp" if number % 2 else "imap", data) for number, data in enumerate(LARGE.values())],
    ids=LARGE,
)
def test_a_flood_costs_bounded_memory(protocol: str, data: bytes) -> None:
    conversation = {"smtp": entries.smtp_conversation, "imap": entries.imap_conversation}[protocol]
    tracemalloc.start()
    assert conversation(data) in REMEDIES
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 3 * len(data) + 8_000_000
