# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server that takes its time for each login, cheap enough for hundreds of connections; a process of its own."""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import json
import ssl
import subprocess
import sys
import types
from pathlib import Path
from typing import Self

from peers import net
from peers.ca import Certificate

TESTS = Path(__file__).resolve().parents[1]


class SlowServer:
    """Speaks SMTP or IMAP, accepts every PLAIN and LOGIN, and waits `delay` seconds before it says so.

    `security` is none, starttls or tls.
    """

    def __init__(
        self,
        protocol: str = "smtp",
        delay: float = 2.0,
        security: str = "none",
        certificate: Certificate | None = None,
    ) -> None:
        command = [sys.executable, "-B", "-m", "peers.slow", protocol, security, "--delay", str(delay)]
        if certificate:
            command += ["--certificate", str(certificate.certificate_file), str(certificate.key_file)]
        self._command = command
        self._process: subprocess.Popen[str] | None = None
        self.port = 0

    def start(self) -> Self:
        """Starts the process, and returns when clients can connect."""
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            self._command, cwd=TESTS, stdin=pipe, stdout=pipe, text=True, start_new_session=True
        )
        self.port = self._ask()["port"]
        return self

    def stats(self) -> dict[str, int]:
        """So far: `connections`, `most_connections` at the same time, `logins`, and `most_logins` at the same time."""
        if not self._process or not self._process.stdin:
            raise net.PeerFailed("the slow server does not run")
        self._process.stdin.write("stats\n")
        self._process.stdin.flush()
        return self._ask()

    def close(self) -> None:
        """Ends the process, which happens too when ours ends."""
        if self._process:
            with contextlib.suppress(OSError):
                self._process.communicate()
        self._process = None

    def _ask(self) -> dict[str, int]:
        line = self._process.stdout.readline() if self._process and self._process.stdout else ""
        if not line:
            raise net.PeerFailed("the slow server did not start")
        answer: dict[str, int] = json.loads(line)
        return answer

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        self.close()


class Sleeper:
    """The server's inside."""

    def __init__(self, protocol: str, delay: float, starttls: ssl.SSLContext | None) -> None:
        self._serve = {"smtp": self._smtp, "imap": self._imap}[protocol]
        self._delay = delay
        self._starttls = starttls
        self._open = self._signing_in = 0
        self.stats = {"connections": 0, "most_connections": 0, "logins": 0, "most_logins": 0}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serves one connection."""
        self.stats["connections"] += 1
        self._open += 1
        self.stats["most_connections"] = max(self.stats["most_connections"], self._open)
        with contextlib.suppress(OSError, EOFError, asyncio.CancelledError):
            await self._serve(reader, writer)
        self._open -= 1
        writer.close()

    async def _login(self) -> None:
        self.stats["logins"] += 1
        self._signing_in += 1
        self.stats["most_logins"] = max(self.stats["most_logins"], self._signing_in)
        await asyncio.sleep(self._delay)
        self._signing_in -= 1

    async def _smtp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _say(writer, "220 mail.example.com ESMTP")
        while line := await _line(reader):
            verb, _space, rest = line.partition(" ")
            verb = verb.upper()
            if verb == "EHLO":
                encrypted = writer.get_extra_info("ssl_object")
                more = ["250-STARTTLS"] if self._starttls and not encrypted else []
                await _say(writer, "250-mail.example.com", "250-SIZE 10485760", *more, "250 AUTH PLAIN LOGIN")
            elif verb == "STARTTLS" and self._starttls:
                await _say(writer, "220 2.0.0 Ready to start TLS")
                await writer.start_tls(self._starttls)
            elif verb == "AUTH":
                await self._challenge(reader, writer, rest, "334 ")
                await self._login()
                await _say(writer, "235 2.7.0 Authentication successful")
            elif verb == "QUIT":
                await _say(writer, "221 2.0.0 Bye")
                return
            else:
                await _say(writer, "250 2.0.0 Ok")

    async def _imap(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _say(writer, "* OK IMAP4rev1 ready")
        while line := await _line(reader):
            tag, name, rest = (*line.split(" ", 2), "", "")[:3]
            name = name.upper()
            if name == "CAPABILITY":
                encrypted = writer.get_extra_info("ssl_object")
                more = " STARTTLS" if self._starttls and not encrypted else ""
                await _say(writer, f"* CAPABILITY IMAP4rev1 SASL-IR{more} AUTH=PLAIN AUTH=LOGIN", f"{tag} OK Done")
            elif name == "STARTTLS" and self._starttls:
                await _say(writer, f"{tag} OK Begin TLS negotiation now")
                await writer.start_tls(self._starttls)
            elif name in ("LOGIN", "AUTHENTICATE"):
                if name == "AUTHENTICATE":
                    await self._challenge(reader, writer, rest, "+ ")
                await self._login()
                await _say(writer, f"{tag} OK Logged in")
            elif name in ("EXAMINE", "SELECT"):
                await _say(writer, "* FLAGS ()", "* 0 EXISTS", "* OK [UIDVALIDITY 1] Ok", f"{tag} OK [READ-ONLY] Ok")
            elif name == "LOGOUT":
                await _say(writer, "* BYE Logging out", f"{tag} OK Logout completed")
                return
            else:
                await _say(writer, f"{tag} OK {name} completed")

    async def _challenge(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, rest: str, prompt: str
    ) -> None:
        mechanism, _space, initial = rest.partition(" ")
        questions = ["Username:", "Password:"] if mechanism.upper() == "LOGIN" else [""]
        for question in questions[bool(initial) :]:
            await _say(writer, prompt + base64.b64encode(question.encode()).decode())
            await _line(reader)


async def _line(reader: asyncio.StreamReader) -> str:
    return (await reader.readline()).decode(errors="replace").strip()


async def _say(writer: asyncio.StreamWriter, *lines: str) -> None:
    writer.write("".join(line + "\r\n" for line in lines).encode())
    await writer.drain()


def _tell(answer: dict[str, int]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


async def _run(arguments: argparse.Namespace) -> None:
    context = None
    if arguments.certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*arguments.certificate)
    sleeper = Sleeper(arguments.protocol, arguments.delay, context if arguments.security == "starttls" else None)
    sock = net.listening("127.0.0.1", arguments.port, backlog=1024)
    tls = context if arguments.security == "tls" else None
    server = await asyncio.start_server(sleeper.serve, sock=sock, ssl=tls)
    _tell({"port": sock.getsockname()[1]})
    loop = asyncio.get_running_loop()
    while await loop.run_in_executor(None, sys.stdin.readline):
        _tell(sleeper.stats)
    server.close()


def main() -> None:
    """Runs until the standard input ends; each line of it is answered with what has been counted."""
    parser = argparse.ArgumentParser(prog="python -m peers.slow", description=main.__doc__)
    parser.add_argument("protocol", choices=["smtp", "imap"])
    parser.add_argument("security", choices=["none", "starttls", "tls"])
    parser.add_argument("--delay", type=float, default=2.0)
    parser.add_argument("--certificate", nargs=2, metavar=("CERTIFICATE", "KEY"))
    parser.add_argument("--port", type=int, default=0)
    asyncio.run(_run(parser.parse_args()))


if __name__ == "__main__":
    main()
