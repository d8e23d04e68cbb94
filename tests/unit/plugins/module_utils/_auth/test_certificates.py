# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.mailroom.core.plugins.module_utils._auth.certificates import (
    LARGEST_FILE,
    load_key_pair,
    read_file,
)
from ansible_collections.mailroom.core.plugins.module_utils._verdict.observation import Observation, ProbeError

from .keys import certificate_pem, key, key_pem, pfx, pfx_of_certificate_only

PASSPHRASE = "the-passphrase"


def _stopped(data: bytes, passphrase: str = "") -> Observation:
    with pytest.raises(ProbeError) as stopped:
        load_key_pair(data, passphrase, "oauth2.certificate")
    assert PASSPHRASE not in f"{stopped.value} {stopped.value.observation!r}"
    assert "MII" not in str(stopped.value)
    assert stopped.value.observation.kind == "config"
    return stopped.value.observation


GOOD: dict[str, tuple[bytes, str]] = {
    "PEM": (f"{key_pem()}{certificate_pem()}".encode(), ""),
    "PEM, certificate first": (f"{certificate_pem()}{key_pem()}".encode(), ""),
    "PEM with a chain": (f"{certificate_pem('issuer')}{key_pem()}{certificate_pem()}".encode(), ""),
    "PEM with words": (f"# the key\n{key_pem()}\nand more\n{certificate_pem()}".encode(), ""),
    "locked PEM": (f"{key_pem(passphrase=PASSPHRASE)}{certificate_pem()}".encode(), PASSPHRASE),
    "PEM and a passphrase for nothing": (f"{key_pem()}{certificate_pem()}".encode(), PASSPHRASE),
    "PFX": (pfx(), ""),
    "locked PFX": (pfx(passphrase=PASSPHRASE), PASSPHRASE),
}


@pytest.mark.parametrize("name", GOOD)
def test_key_and_certificate_are_found(name: str) -> None:
    pair = load_key_pair(*GOOD[name], "oauth2.certificate")
    assert (pair.key, pair.certificate) == (key_pem(), certificate_pem())
    assert "MII" not in f"{pair!r} {pair}"


BAD: dict[str, tuple[bytes, str, str]] = {
    "nothing": (b"", "", "damaged"),
    "words": (b"not a certificate", "", "damaged"),
    "no key": (certificate_pem().encode(), "", "no private key"),
    "no certificate": (key_pem().encode(), "", "no certificate"),
    "another's certificate": (f"{key_pem()}{certificate_pem('issuer')}".encode(), "", "belongs to the key"),
    "no RSA": (f"{key_pem('elliptic')}{certificate_pem('elliptic')}".encode(), "", "RSA"),
    "damaged key": (f"{key_pem()[:300]}!{key_pem()[301:]}{certificate_pem()}".encode(), "", "damaged"),
    "damaged certificate": (f"{key_pem()}{certificate_pem()[:300]}!{certificate_pem()[301:]}".encode(), "", "damaged"),
    "locked, no passphrase": (f"{key_pem(passphrase=PASSPHRASE)}{certificate_pem()}".encode(), "", "is encrypted"),
    "locked, another one": (f"{key_pem(passphrase='x')}{certificate_pem()}".encode(), PASSPHRASE, "is wrong"),
    "PFX, another passphrase": (pfx(passphrase="x"), PASSPHRASE, "is wrong"),
    "PFX, cut off": (pfx()[:200], "", "damaged"),
    "PFX without a key": (pfx_of_certificate_only(), "", "no private key"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_used_is_told_before_anything_is_sent(name: str) -> None:
    data, passphrase, why = BAD[name]
    observation = _stopped(data, passphrase)
    assert observation.text.startswith("oauth2.certificate: ")
    assert why in observation.text


def test_a_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")
    assert read_file(str(tmp_path / "x"), "certificate_file") == b"abc"


@pytest.mark.parametrize("name", ["missing", "folder", "large"])
def test_a_file_that_cannot_be_read_is_told(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "large").write_bytes(b"x" * (LARGEST_FILE + 1))
    with pytest.raises(ProbeError) as stopped:
        read_file(str(tmp_path / name), "certificate_file")
    assert stopped.value.observation.kind == "config"
    assert str(tmp_path / name) in stopped.value.observation.text


def test_the_keys_of_these_tests_differ() -> None:
    assert key().private_numbers() != key("issuer").private_numbers()
