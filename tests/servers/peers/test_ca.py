# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The certificates are as good and as bad as they should be, for the strictest of Pythons too."""

from __future__ import annotations

import datetime as dt
import hashlib
import socket
import ssl

import pytest
from peers.ca import CertificateZoo
from peers.scripted import ScriptedServer, Talk

# The tests that use this server would fail with it.
pytestmark = pytest.mark.matrix


@pytest.mark.parametrize("name", ["good", "with_intermediate", "near_end"])
def test_good_ones_pass_a_strict_client(zoo: CertificateZoo, name: str) -> None:
    for host in ("localhost", "mail.example.com", "127.0.0.1", "::1"):
        context = zoo.trusting()
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        shown = _shown(zoo, name, context, host)
        assert hashlib.sha256(shown).hexdigest() == zoo[name].fingerprint_sha256


@pytest.mark.parametrize(
    ("name", "host", "code"),
    [("no_address", "127.0.0.1", 64), ("wrong_name", "localhost", 62), ("loose_ca", "localhost", 0)],
)
def test_bad_ones(zoo: CertificateZoo, name: str, host: str, code: int) -> None:
    context = zoo.trusting(zoo.loose_ca_file if name == "loose_ca" else None)
    if code:
        with pytest.raises(ssl.SSLCertVerificationError) as caught:
            _shown(zoo, name, context, host)
        assert caught.value.verify_code == code
    else:
        assert _shown(zoo, name, context, host)


def test_a_strict_client_wants_key_identifiers(zoo: CertificateZoo) -> None:
    context = zoo.trusting(zoo.loose_ca_file)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    with pytest.raises(ssl.SSLCertVerificationError, match="Key Identifier"):
        _shown(zoo, "loose_ca", context, "localhost")


def test_sha1_passes_who_wants_it(zoo: CertificateZoo) -> None:
    context = zoo.trusting()
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    for name in ("sha1", "sha1_intermediate"):
        assert _shown(zoo, name, context, "localhost")


def test_near_end_is_near(zoo: CertificateZoo) -> None:
    left = zoo.near_end.not_after - dt.datetime.now(dt.timezone.utc)
    assert dt.timedelta(days=4) < left < dt.timedelta(days=5)


def test_unknown_names(zoo: CertificateZoo) -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        repr(zoo.nonsense)


def _shown(zoo: CertificateZoo, name: str, context: ssl.SSLContext, host: str) -> bytes:
    server = ScriptedServer(Talk.hang, tls=zoo[name].server_context())
    with server, socket.create_connection(("127.0.0.1", server.port), timeout=60) as sock:
        secured = context.wrap_socket(sock, server_hostname=host)
        with secured:
            return secured.getpeercert(binary_form=True) or b""
