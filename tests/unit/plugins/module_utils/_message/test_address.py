# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.mailroom.core.plugins.module_utils._connector.checks import is_address
from ansible_collections.mailroom.core.plugins.module_utils._message.header import with_ascii_domain
from ansible_collections.mailroom.core.plugins.module_utils._verdict.observation import ProbeError

ADDRESSES = {
    "ops@example.com": "ops@example.com",
    "Ops.Team+x@Example.COM": "Ops.Team+x@Example.COM",
    "ops@b\u00fccher.example": "ops@xn--bcher-kva.example",
    "ops@B\u00dcCHER.Example": "ops@xn--bcher-kva.Example",
    "ops@mail.\u4f8b\u5b50.example": "ops@mail.xn--fsqu00a.example",
    "ops@\u4f8b\u5b50\u3002example": "ops@xn--fsqu00a.example",
    "ops@stra\u00dfe.example": "ops@xn--strae-oqa.example",
    "ops@STRA\u1e9eE.example": "ops@xn--strae-oqa.example",
    "ops@\u03b2\u03cc\u03bb\u03bf\u03c2.example": "ops@xn--nxasmm1c.example",
    "p\u00e4r@b\u00fccher.example": "p\u00e4r@xn--bcher-kva.example",
}


@pytest.mark.parametrize(("address", "expected"), ADDRESSES.items())
def test_a_domain_is_written_in_ascii_and_the_rest_stays(address: str, expected: str) -> None:
    assert with_ascii_domain(address) == expected


@given(st.from_regex(r"[a-z\u00e0-\u00f6]{1,20}(\.[a-z\u00e0-\u00f6]{1,20}){1,3}", fullmatch=True))
def test_a_domain_can_be_read_back(domain: str) -> None:
    written = with_ascii_domain(f"ops@{domain}")
    assert written.isascii()
    assert written.rpartition("@")[2].encode().decode("idna") == domain


def test_a_domain_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ProbeError, match="at most 63 characters") as stopped:
        with_ascii_domain("ops@" + "\u00df" * 29 + "abcdefghijklmnopqrstuvwxyzabcd.example")
    assert stopped.value.observation.kind == "config"


@pytest.mark.parametrize("value", ["", None, 5, "apikey", "a@b@c", "a@", "@b.example", "a b@c.example", "a@b\r\n"])
def test_what_is_no_address(value: object) -> None:
    assert not is_address(value)


def test_what_is_an_address() -> None:
    assert is_address("ops@example.com")
