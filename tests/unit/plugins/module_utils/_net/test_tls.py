# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import builtins
import socket
import ssl
import threading
from pathlib import Path
from typing import Any

import pytest
from peers.ca import Certificate as Peer
from peers.ca import CertificateZoo

from ansible_collections.mailroom.core.plugins.module_utils._connector.redaction import Redaction
from ansible_collections.mailroom.core.plugins.module_utils._connector.resolved import TlsTrust
from ansible_collections.mailroom.core.plugins.module_utils._net import tls
from ansible_collections.mailroom.core.plugins.module_utils._net.tls import Certificate, ssl_context, tls_facts
from ansible_collections.mailroom.core.plugins.module_utils._verdict.observation import ProbeError


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> CertificateZoo:
    return CertificateZoo(tmp_path_factory.mktemp("certificates"))


def _facts(peer: Peer, trust: TlsTrust, host: str = "mail.example.com") -> dict[str, Any]:
    ours, theirs = socket.socketpair()

    def serve() -> None:
        with peer.server_context().wrap_socket(theirs, server_side=True, do_handshake_on_connect=False) as server:
            try:
                server.do_handshake()
                server.recv(1)
            except OSError:
                return

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        ours.settimeout(5)
        with ssl_context(trust).wrap_socket(ours, server_hostname=host) as client:
            return tls_facts(client, Redaction())
    finally:
        ours.close()
        thread.join()


def test_those_who_trust_alike_share_a_context(zoo: CertificateZoo) -> None:
    ca_file = str(zoo.ca_file)
    assert ssl_context(TlsTrust(ca_file=ca_file)) is ssl_context(TlsTrust(True, ca_file))
    assert ssl_context(TlsTrust(ca_file=ca_file)) is not ssl_context(TlsTrust())
    assert ssl_context(TlsTrust(validate=False)) is not ssl_context(TlsTrust())


def test_certificates_are_checked_unless_that_is_turned_off() -> None:
    checked, unchecked = ssl_context(TlsTrust()), ssl_context(TlsTrust(validate=False))
    assert (checked.verify_mode, checked.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert (unchecked.verify_mode, unchecked.check_hostname) == (ssl.CERT_NONE, False)
    assert {checked.minimum_version, unchecked.minimum_version} == {ssl.TLSVersion.TLSv1_2}


def _files(folder: Path) -> dict[str, str]:
    (folder / "empty.pem").touch()
    (folder / "text.pem").write_text("no certificate\n", encoding="ascii")
    return {
        "missing": str(folder / "missing.pem"),
        "a folder": str(folder),
        "empty": str(folder / "empty.pem"),
        "no certificate": str(folder / "text.pem"),
    }


@pytest.mark.parametrize("what", ["missing", "a folder", "empty", "no certificate"])
@pytest.mark.parametrize("option", ["ca_file", "client_cert"])
def test_a_file_that_cannot_be_used_is_named(option: str, what: str, tmp_path: Path) -> None:
    file = _files(tmp_path)[what]
    with pytest.raises(ProbeError) as stopped:
        ssl_context(TlsTrust(**{option: file}))
    assert stopped.value.observation.kind == "config"
    assert f"{option} {file}" in stopped.value.observation.text


def test_a_key_of_another_certificate_is_named(zoo: CertificateZoo) -> None:
    with pytest.raises(ProbeError) as stopped:
        ssl_context(TlsTrust(client_cert=str(zoo.client.certificate_file), client_key=str(zoo.good.key_file)))
    assert stopped.value.observation.kind == "config"
    assert "client_" in stopped.value.observation.text


def test_a_certificate_without_its_key_is_named(zoo: CertificateZoo) -> None:
    with pytest.raises(ProbeError) as stopped:
        ssl_context(TlsTrust(client_cert=str(zoo.client.certificate_file)))
    assert stopped.value.observation.kind == "config"


def test_what_a_trusted_certificate_says(zoo: CertificateZoo) -> None:
    facts = _facts(zoo.good, TlsTrust(ca_file=str(zoo.ca_file)))
    assert facts["version"] == "TLSv1.3"
    assert facts["cipher"]
    assert facts["fingerprint_sha256"] == zoo.good.fingerprint_sha256
    assert {"mail.example.com", "localhost", "127.0.0.1"} <= set(facts["names"])
    assert facts["issuer"]
    assert facts["signature_hash"] == "sha256"
    assert facts["not_after"].endswith("Z")
    assert facts["days_left"] > 0


@pytest.mark.parametrize("name", ["expired", "wrong_name", "other_ca", "self_signed", "no_names", "not_yet_valid"])
def test_what_an_untrusted_certificate_says(name: str, zoo: CertificateZoo) -> None:
    facts = _facts(zoo[name], TlsTrust(validate=False))
    assert facts["fingerprint_sha256"] == zoo[name].fingerprint_sha256
    assert facts["not_after"]
    assert facts["issuer"]
    assert bool(facts["names"]) == (name != "no_names")
    assert (facts["days_left"] < 0) == (name == "expired")


def _without_cryptography(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *more: Any, **named: Any) -> Any:
        if name.startswith("cryptography"):
            raise ImportError(name)
        return real(name, *more, **named)

    monkeypatch.setattr(builtins, "__import__", without)


def test_without_cryptography_a_trusted_certificate_says_the_same(
    zoo: CertificateZoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    trust = TlsTrust(ca_file=str(zoo.ca_file))
    expected = _facts(zoo.good, trust)
    _without_cryptography(monkeypatch)
    facts = _facts(zoo.good, trust)
    same = ("version", "not_after", "days_left", "fingerprint_sha256")
    assert {key: facts[key] for key in same} == {key: expected[key] for key in same}
    assert set(map(str.lower, facts["names"])) >= {"mail.example.com", "localhost", "127.0.0.1"}
    assert facts["issuer"]


def test_without_cryptography_an_untrusted_certificate_has_its_fingerprint(
    zoo: CertificateZoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    _without_cryptography(monkeypatch)
    facts = _facts(zoo.expired, TlsTrust(validate=False))
    assert facts["fingerprint_sha256"] == zoo.expired.fingerprint_sha256
    assert not facts["not_after"]


@pytest.mark.parametrize("der", [b"", b"\0", b"\x30\x82\xff\xff", b"no certificate" * 50])
def test_anything_may_be_sent_as_a_certificate(der: bytes) -> None:
    assert tls._parse_with_cryptography(der) == Certificate(fingerprint_sha256=tls._fingerprint(der))
