#!/usr/bin/env python3
# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A temporary mail server: SMTP and IMAP on loopback, with its own CA. It sends no mail to other servers.

It runs a command and ends with it, or runs until it is interrupted:

    python3 sandbox.py --user alerts@example.test -- ansible-playbook --extra-vars @sandbox.json site.yml

When it is ready, the file of variables holds its address and the passwords of its users.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import datetime as dt
import ipaddress
import json
import logging
import os
import secrets
import signal
import ssl
import sys
import tempfile
import typing as t
import warnings
from pathlib import Path

try:
    from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID
    from proxyprotocol.sock import SocketInfoLocal
    from pymap.backend.dict import Config, Identity, Login
    from pymap.imap import IMAPServer
    from pymap.parsing.message import AppendMessage
    from pymap.user import UserMetadata
    from pysasl.hashing import Cleartext
except ImportError as missing:
    sys.exit(f"The sandbox needs the Python libraries aiosmtpd, cryptography and pymap: {missing}.")

HOST = "127.0.0.1"
OTHER_NAME = "mail.example.net"
DAYS = dt.timedelta(days=1)
LARGEST = 30_000_000
_OTHER_USES = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
SIGNS_CERTIFICATES = x509.KeyUsage(
    key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False, **dict.fromkeys(_OTHER_USES, False)
)


class Authority:
    """The certificate authority of the sandbox."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Mail sandbox")])
        certificate = self._begin(self._name, self._key).add_extension(x509.BasicConstraints(True, 0), True)
        certificate = certificate.add_extension(SIGNS_CERTIFICATES, True)
        self.file = folder / "ca.pem"
        self.file.write_bytes(_pem(certificate.sign(self._key, hashes.SHA256())))

    def server(self, *names: str) -> ssl.SSLContext:
        """Return a TLS context with a certificate for these names."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        alternatives = x509.SubjectAlternativeName([_general_name(name) for name in names])
        certificate = self._begin(subject, key).add_extension(alternatives, False).sign(self._key, hashes.SHA256())
        file = self._folder / f"{names[0]}.pem"
        plain = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        file.write_bytes(key.private_bytes(*plain) + _pem(certificate))
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(file)
        return context

    def _begin(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = dt.datetime.now(dt.timezone.utc)
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(self._name).public_key(key.public_key())
        builder = builder.not_valid_before(now - DAYS).not_valid_after(now + 30 * DAYS)
        authority = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        return (
            builder.serial_number(x509.random_serial_number())
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(authority), False)
        )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


class Mailboxes:
    """The users and their mail, for SMTP and IMAP."""

    def __init__(self, users: t.Sequence[str]) -> None:
        self.passwords = {user: secrets.token_urlsafe(18) for user in users}
        self._login = Login(_imap_config(None))
        for user, password in self.passwords.items():
            self._login.users_dict[user] = UserMetadata(self._login.config, user, password=password)

    def imap(self, context: ssl.SSLContext | None) -> t.Callable[..., t.Awaitable[None]]:
        """Return the handler of IMAP connections, which offers STARTTLS if it is given a context."""
        server = IMAPServer(self._login, _imap_config(context))

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError):
                await server(reader, writer, _FromAfar(writer))

        return answer

    def smtp(self, context: ssl.SSLContext | None) -> t.Callable[[], SMTP]:
        """Return the handler of SMTP connections, which offers STARTTLS if it is given a context."""
        encryption = {"tls_context": context, "require_starttls": bool(context), "auth_require_tls": bool(context)}
        options = {"hostname": "sandbox", "ident": "ESMTP", "enable_SMTPUTF8": True, "data_size_limit": LARGEST}
        return lambda: SMTP(self, auth_required=True, authenticator=self._signs_in, **encryption, **options)

    def _signs_in(self, _server: SMTP, _session: Session, _envelope: Envelope, _how: str, given: t.Any) -> AuthResult:
        password = (
            self.passwords.get(given.login.decode(errors="replace")) if isinstance(given, LoginPassword) else None
        )
        known = password is not None and secrets.compare_digest(password.encode(), given.password)
        return AuthResult(success=known, handled=False)

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Store a message; the first user gets mail for unknown recipients."""
        first = next(iter(self.passwords))
        # Addresses are compared without regard to case.
        names = {user.lower(): user for user in self.passwords}
        for user in {names.get(to.lower(), first) for to in envelope.rcpt_tos}:
            async with Identity(user, self._login, None, frozenset()).new_session() as session:
                inbox = await session.mailbox_set.get_mailbox("INBOX")
                await inbox.append(AppendMessage(t.cast("bytes", envelope.content)), recent=True)
        return f"250 2.0.0 Ok: queued as {secrets.token_hex(5).upper()}"


class _FromAfar(SocketInfoLocal):
    """A connection that must be encrypted before signing in; pymap does not require that on loopback."""

    @property
    def from_localhost(self) -> bool:
        return False


def _imap_config(context: ssl.SSLContext | None) -> Config:
    no_options = argparse.Namespace(passlib_cfg=None, proxy_protocol=None)
    users = {"demo_data": False, "demo_user": "", "demo_password": "", "hash_context": Cleartext()}
    return Config(no_options, host=HOST, port=0, ssl_context=context, tls_enabled=bool(context), **users)


class Sandbox:
    """The servers, each on a free port."""

    def __init__(self, folder: Path, users: t.Sequence[str]) -> None:
        self._authority = Authority(folder)
        self._mailboxes = Mailboxes(users)
        self._ports: dict[str, int] = {}
        self._servers: list[asyncio.Server] = []

    async def start(self) -> None:
        """Start the servers."""
        good = self._authority.server("localhost", HOST)
        loop, mailboxes = asyncio.get_running_loop(), self._mailboxes
        self._listen("submission", await loop.create_server(mailboxes.smtp(good), HOST, 0))
        self._listen("smtps", await loop.create_server(mailboxes.smtp(None), HOST, 0, ssl=good))
        other = self._authority.server(OTHER_NAME)
        self._listen("smtps_other_name", await loop.create_server(mailboxes.smtp(None), HOST, 0, ssl=other))
        self._listen("imap", await asyncio.start_server(mailboxes.imap(good), HOST, 0))
        self._listen("imaps", await asyncio.start_server(mailboxes.imap(None), HOST, 0, ssl=good))

    def _listen(self, name: str, server: asyncio.Server) -> None:
        self._servers.append(server)
        self._ports[name] = server.sockets[0].getsockname()[1]

    def variables(self) -> dict[str, t.Any]:
        """Return the variables for Ansible."""
        where = {"host": HOST, "ports": self._ports, "ca_file": str(self._authority.file)}
        return {"sandbox": {**where, "passwords": self._mailboxes.passwords}}

    def stop(self) -> None:
        """Stop the servers."""
        for server in self._servers:
            server.close()


async def run(options: argparse.Namespace, folder: Path) -> int:
    """Run the sandbox for a command, or until a signal arrives; return the exit status."""
    stopped = asyncio.Event()
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    sandbox = Sandbox(folder, options.user)
    await sandbox.start()
    write(options.variables, sandbox.variables())
    try:
        if options.command:
            return await accompany(options.command, stopped)
        print(f"The sandbox is ready; its address and passwords are in {options.variables}.", flush=True)
        await stopped.wait()
        return 0
    finally:
        sandbox.stop()
        options.variables.unlink(missing_ok=True)


async def accompany(command: t.Sequence[str], stopped: asyncio.Event) -> int:
    """Run a command, and terminate it if the sandbox is stopped."""
    try:
        process = await asyncio.create_subprocess_exec(*command)
    except OSError as error:
        print(f"The command {command[0]} cannot be run: {error.strerror}.", file=sys.stderr)
        return 127
    ending = asyncio.create_task(process.wait())
    stopping = asyncio.create_task(stopped.wait())
    await asyncio.wait([ending, stopping], return_when=asyncio.FIRST_COMPLETED)
    if not ending.done():
        process.terminate()
    stopping.cancel()
    code = await ending
    return code if code >= 0 else 128 - code


def write(file: Path, variables: t.Mapping[str, t.Any]) -> None:
    """Write the variables into a private file, in one step: when it exists, the sandbox is ready."""
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        json.dump(variables, stream, indent=2)
    draft.replace(file)


def address(text: str) -> str:
    """Check the address of a user."""
    local, _at, domain = text.partition("@")
    if not (local and domain and text.isascii() and text.isprintable()) or " " in text or len(text) > 254:
        raise argparse.ArgumentTypeError("must be an address such as alerts@example.test")
    return text


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="A temporary mail server on loopback.")
    parser.add_argument(
        "--user", action="append", type=address, metavar="ADDRESS", help="a user with a mailbox; repeatable"
    )
    variables = "the file to write when the servers are ready (default: sandbox.json)"
    parser.add_argument("--variables", type=Path, default=Path("sandbox.json"), metavar="FILE", help=variables)
    parser.add_argument("command", nargs="*", help="what to run; without it the sandbox runs until it is interrupted")
    options = parser.parse_args()
    options.user = list(dict.fromkeys(options.user or ["user@example.test"]))
    if not options.variables.parent.is_dir():
        parser.error(f"argument --variables: there is no folder {options.variables.parent}")
    if os.path.lexists(options.variables):
        parser.error(f"argument --variables: {options.variables} is there already; name a file that is not")
    return options


def main() -> int:
    """Run the sandbox in a temporary folder."""
    options = parse()
    # The logs of the libraries quote clients, and logging would resolve the name of this machine.
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    os.environ.setdefault("FQDN", "sandbox")
    with tempfile.TemporaryDirectory(prefix="mail-sandbox-") as folder:
        return asyncio.run(run(options, Path(folder)))


if __name__ == "__main__":
    sys.exit(main())
