# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A private certificate authority, and certificates with every fault that a client should notice."""

from __future__ import annotations

import dataclasses
import datetime as dt
import ipaddress
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

# How a certificate names its signature: RSA with SHA-256, RSA with SHA-1.
RSA_SHA256 = bytes.fromhex("06092a864886f70d01010b")
RSA_SHA1 = bytes.fromhex("06092a864886f70d010105")

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

HOSTS = ("localhost", "mail.example.com", "127.0.0.1", "::1")
DAY = dt.timedelta(days=1)


@dataclasses.dataclass(frozen=True)
class Certificate:
    """A certificate on disk."""

    name: str
    certificate_file: Path  # the certificate and what the server sends with it
    key_file: Path
    chain_file: Path  # key, certificate, and what the server sends with it, as Postfix wants them
    not_after: dt.datetime
    fingerprint_sha256: str

    def server_context(self, client_ca: Path | None = None) -> ssl.SSLContext:
        """A context for a server that shows this certificate and, with `client_ca`, demands one of the client."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_ciphers("DEFAULT:@SECLEVEL=0")  # it may be a weak one
        context.load_cert_chain(self.certificate_file, self.key_file)
        if client_ca:
            context.load_verify_locations(client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
        return context


@dataclasses.dataclass(frozen=True)
class Issuer:
    """What signs certificates."""

    certificate: x509.Certificate
    key: Key
    sent: tuple[x509.Certificate, ...] = ()  # what a server sends beside its own certificate
    identifies_key: bool = True


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What a certificate should look like; the defaults are those of a good one."""

    issuer: Issuer | None  # None: the certificate signs itself
    common_name: str = "localhost"
    hosts: tuple[str, ...] = HOSTS
    begins: dt.timedelta = -DAY
    ends: dt.timedelta = 90 * DAY
    authority: bool = False
    client: bool = False
    sha1: bool = False  # needs an issuer with an RSA key
    rsa_bits: int = 0


class CertificateZoo:
    """Makes all certificates below a folder; `zoo["expired"]` or `zoo.expired` is one of them.

    `ca_file` is what a client should trust, `other_ca_file` what it does not, `loose_ca_file` an authority without
    key identifiers (refused by Python 3.13 and later), `client_ca_file` what a server asks client certificates of.
    """

    SERVERS = (
        "good",
        "expired",
        "not_yet_valid",
        "near_end",
        "wrong_name",
        "no_names",
        "no_address",
        "other_ca",
        "self_signed",
        "with_intermediate",
        "missing_intermediate",
        "expired_intermediate",
        "sha1",
        "sha1_intermediate",
        "loose_ca",
    )
    CLIENTS = ("client", "client_expired", "client_other_ca")

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._now = dt.datetime.now(dt.timezone.utc).replace(microsecond=0)
        self._made: dict[str, Certificate] = {}
        root, other = self._authority("Example Root CA", rsa_bits=2048), self._authority("Example Other CA")
        client_root, loose = self._authority("Example Client CA"), self._authority("Example Loose CA", loose=True)
        self.ca_file = self._write_ca("ca", root)
        self.other_ca_file = self._write_ca("other_ca_root", other)
        self.client_ca_file = self._write_ca("client_ca", client_root)
        self.loose_ca_file = self._write_ca("loose_ca_root", loose)
        self._make_servers(root, other, loose)
        self._make_clients(client_root, other)

    def __getitem__(self, name: str) -> Certificate:
        return self._made[name]

    def __getattr__(self, name: str) -> Certificate:
        try:
            return self.__dict__["_made"][name]  # type: ignore[no-any-return]
        except KeyError:
            raise AttributeError(name) from None

    def trusting(self, ca_file: Path | None = None) -> ssl.SSLContext:
        """A client's context that trusts one authority and nobody else; not that of the system."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(ca_file or self.ca_file)
        return context

    def _make_servers(self, root: Issuer, other: Issuer, loose: Issuer) -> None:
        between = self._intermediate(root)
        old = self._intermediate(root, begins=-30 * DAY, ends=-2 * DAY)
        weak = self._intermediate(root, sha1=True)
        wanted = {
            "good": Wanted(root),
            "expired": Wanted(root, begins=-90 * DAY, ends=-2 * DAY),
            "not_yet_valid": Wanted(root, begins=2 * DAY),
            "near_end": Wanted(root, ends=5 * DAY),
            "wrong_name": Wanted(root, "wrong.example.com", ("wrong.example.com", "192.0.2.1")),
            "no_names": Wanted(root, hosts=()),
            "no_address": Wanted(root, hosts=("localhost", "mail.example.com")),
            "other_ca": Wanted(other),
            "self_signed": Wanted(None),
            "with_intermediate": Wanted(between),
            "missing_intermediate": Wanted(dataclasses.replace(between, sent=())),
            "expired_intermediate": Wanted(old),
            "sha1": Wanted(root, sha1=True),
            "sha1_intermediate": Wanted(weak),
            "loose_ca": Wanted(loose),
        }
        for name, want in wanted.items():
            self._make(name, want)

    def _make_clients(self, root: Issuer, other: Issuer) -> None:
        want = Wanted(root, "client.example.com", ("client.example.com",), client=True)
        self._make("client", want)
        self._make("client_expired", dataclasses.replace(want, begins=-90 * DAY, ends=-2 * DAY))
        self._make("client_other_ca", dataclasses.replace(want, issuer=other))

    def _authority(self, common_name: str, loose: bool = False, rsa_bits: int = 0) -> Issuer:
        certificate, key = self._sign(
            Wanted(None, common_name, (), authority=True, rsa_bits=rsa_bits), identify=not loose
        )
        return Issuer(certificate, key, identifies_key=not loose)

    def _intermediate(
        self,
        root: Issuer,
        begins: dt.timedelta = -DAY,
        ends: dt.timedelta = 90 * DAY,
        sha1: bool = False,
    ) -> Issuer:
        want = Wanted(root, "Example Issuing CA", (), begins, ends, authority=True, sha1=sha1)
        certificate, key = self._sign(want)
        return Issuer(certificate, key, (certificate,))

    def _make(self, name: str, want: Wanted) -> None:
        certificate, key = self._sign(want)
        sent = want.issuer.sent if want.issuer else ()
        chain = b"".join(_pem(one) for one in (certificate, *sent))
        files = {
            ".crt": chain,
            ".key": _key_pem(key),
            ".pem": _key_pem(key) + chain,
        }
        paths = {suffix: self._write(name + suffix, content) for suffix, content in files.items()}
        self._made[name] = Certificate(
            name,
            paths[".crt"],
            paths[".key"],
            paths[".pem"],
            self._now + want.ends,
            certificate.fingerprint(hashes.SHA256()).hex(),
        )

    def _sign(self, want: Wanted, identify: bool = True) -> tuple[x509.Certificate, Key]:
        key: Key = ec.generate_private_key(ec.SECP256R1())
        if want.rsa_bits:
            key = rsa.generate_private_key(65537, want.rsa_bits)
        issuer_key = want.issuer.key if want.issuer else key
        subject = _name(want.common_name)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(want.issuer.certificate.subject if want.issuer else subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._now + want.begins)
            .not_valid_after(self._now + want.ends)
        )
        identify = identify and (want.issuer is None or want.issuer.identifies_key)
        for extension, critical in _extensions(want, key, issuer_key, identify):
            builder = builder.add_extension(extension, critical)
        certificate = builder.sign(issuer_key, hashes.SHA256())
        return (_with_sha1(certificate, issuer_key) if want.sha1 else certificate), key

    def _write_ca(self, name: str, issuer: Issuer) -> Path:
        return self._write(f"{name}.crt", _pem(issuer.certificate))

    def _write(self, name: str, content: bytes) -> Path:
        path = self.folder / name
        path.touch(mode=0o600)
        path.write_bytes(content)
        if path.suffix == ".crt":
            path.chmod(0o644)
        return path


def _extensions(want: Wanted, key: Key, issuer_key: Key, identify: bool) -> list[tuple[x509.ExtensionType, bool]]:
    extensions: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(ca=want.authority, path_length=None), True),
        (_key_usage(want.authority), True),
    ]
    if identify:
        extensions += [
            (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
            (x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), False),
        ]
    if want.hosts:
        extensions.append((x509.SubjectAlternativeName([_alternative(host) for host in want.hosts]), False))
    if not want.authority:
        usage = ExtendedKeyUsageOID.CLIENT_AUTH if want.client else ExtendedKeyUsageOID.SERVER_AUTH
        extensions.append((x509.ExtendedKeyUsage([usage]), False))
    return extensions


def _key_usage(authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _name(common_name: str) -> x509.Name:
    organisation = x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Example")
    return x509.Name([organisation, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _with_sha1(certificate: x509.Certificate, issuer_key: Key) -> x509.Certificate:
    """The same certificate, signed as no library does any more."""
    if not isinstance(issuer_key, rsa.RSAPrivateKey):
        raise TypeError("SHA-1 needs an issuer with an RSA key")
    signed = certificate.tbs_certificate_bytes.replace(RSA_SHA256, RSA_SHA1)
    signature = issuer_key.sign(signed, padding.PKCS1v15(), hashes.SHA1())
    encoded = certificate.public_bytes(serialization.Encoding.DER).replace(RSA_SHA256, RSA_SHA1)
    return x509.load_der_x509_certificate(encoded[: -len(signature)] + signature)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: Key) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
