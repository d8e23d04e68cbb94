# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What other programs think of a server, to compare verdicts with."""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import json
import shutil
import subprocess
import types
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from peers import net
from peers.ca import CertificateZoo
from peers.users import User

PLUGINS = "/usr/lib/nagios/plugins"
PACKAGES = {
    "swaks": "swaks libnet-ssleay-perl libauthen-sasl-perl",
    f"{PLUGINS}/check_smtp": "monitoring-plugins-basic",
    f"{PLUGINS}/check_imap": "monitoring-plugins-basic",
    "prometheus-blackbox-exporter": "prometheus-blackbox-exporter",
}
LONGEST = 120

# What swaks exits with, by the phase that failed.
SWAKS = {
    0: "ok",
    2: "connect",
    21: "greeting",
    22: "ehlo",
    23: "mail",
    24: "rcpt",
    25: "data",
    26: "message",
    28: "auth",
    29: "tls",
    32: "ehlo_tls",
}


@dataclasses.dataclass(frozen=True)
class Opinion:
    """What a program exited with and printed."""

    code: int
    text: str

    @property
    def phase(self) -> str:
        """For swaks: the phase that failed, or ok."""
        return SWAKS.get(self.code, f"exit {self.code}")


def swaks(
    port: int,
    *options: str,
    security: str = "none",
    zoo: CertificateZoo | None = None,
    user: User | None = None,
    mechanism: str = "PLAIN",
    until: str = "",
) -> Opinion:
    """Runs swaks; `until` is a phase after which it quits, and with `zoo` it verifies the chain, never the name."""
    command = ["--server", "localhost", "--port", str(port), "--from", "alice@example.com", "--to", "bob@example.com"]
    command += {"none": [], "starttls": ["--tls"], "tls": ["--tls-on-connect"]}[security]
    command += ["--tls-verify", "--tls-ca-path", str(zoo.ca_file)] if zoo else []
    if user:
        command += ["--auth", mechanism, "--auth-user", user.address, "--auth-password", user.password]
    command += ["--quit-after", until] if until else []
    return _run("swaks", *command, *options)


def check_smtp(port: int, *options: str, security: str = "none", user: User | None = None) -> Opinion:
    """Runs check_smtp: 0 is good, 1 a warning, 2 critical, 3 unknown. It knows STARTTLS only, and verifies nothing."""
    command = ["-H", "localhost", "-p", str(port), "-t", "5", *["-S"] * (security == "starttls")]
    if user:
        command += ["-A", "LOGIN", "-U", user.address, "-P", user.password]
    return _run(f"{PLUGINS}/check_smtp", *command, *options)


def check_imap(port: int, *options: str, security: str = "none") -> Opinion:
    """Runs check_imap: 0 is good, 1 a warning, 2 critical, 3 unknown. It knows no STARTTLS."""
    command = ["-H", "localhost", "-p", str(port), "-t", "5", *["-S"] * (security == "tls")]
    return _run(f"{PLUGINS}/check_imap", *command, *options)


def _run(program: str, *arguments: str) -> Opinion:
    done = subprocess.run(
        [_found(program), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=LONGEST,
        check=False,
    )
    return Opinion(done.returncode, done.stdout)


def _found(program: str) -> str:
    path = shutil.which(program)
    if not path:
        raise net.PeerFailed(f"{program} is not here: install the Debian packages {PACKAGES[program]}")
    return path


def smtp_module(zoo: CertificateZoo, security: str) -> dict[str, Any]:
    """A module for the exporter that goes as far as EHLO, twice with STARTTLS."""
    tls = {"ca_file": str(zoo.ca_file), "server_name": "localhost"}
    steps: list[dict[str, Any]] = [{"expect": "^220 "}, {"send": "EHLO prober\r"}]
    if security == "starttls":
        steps += [{"expect": "^250[ -]STARTTLS"}, {"send": "STARTTLS\r"}, {"expect": "^220"}, {"starttls": True}]
        steps += [{"send": "EHLO prober\r"}]
    steps += [{"expect": "^250 "}, {"send": "QUIT\r"}]
    return _module(steps, tls, security)


def imap_module(zoo: CertificateZoo, security: str) -> dict[str, Any]:
    """A module for the exporter that goes as far as the greeting, or through STARTTLS."""
    tls = {"ca_file": str(zoo.ca_file), "server_name": "localhost"}
    steps: list[dict[str, Any]] = [{"expect": "OK"}]
    if security == "starttls":
        steps += [{"send": "a STARTTLS"}, {"expect": "OK"}, {"starttls": True}, {"send": "b CAPABILITY"}]
        steps += [{"expect": "CAPABILITY IMAP4rev1"}]
    return _module(steps, tls, security)


def _module(steps: list[dict[str, Any]], tls: dict[str, Any], security: str) -> dict[str, Any]:
    tcp = {"query_response": steps, "tls": security == "tls", "tls_config": tls}
    return {"prober": "tcp", "timeout": "10s", "tcp": {**tcp, "preferred_ip_protocol": "ip4"}}


class Blackbox:
    """The blackbox exporter with these modules, in a `with` block."""

    def __init__(self, folder: Path, modules: Mapping[str, Mapping[str, Any]]) -> None:
        self._config = folder / "blackbox.json"
        self._config.write_text(json.dumps({"modules": modules}), encoding="utf-8")  # JSON is YAML too
        self._process: subprocess.Popen[bytes] | None = None
        self._block: net.PortBlock | None = None
        self._port = 0

    def probe(self, module: str, port: int) -> bool:
        """Whether the module is content with the server on this port."""
        query = urllib.parse.urlencode({"module": module, "target": f"localhost:{port}"})
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=LONGEST)
        with contextlib.closing(connection):
            connection.request("GET", f"/probe?{query}")
            return "\nprobe_success 1\n" in connection.getresponse().read().decode()

    def __enter__(self) -> Self:
        self._block = net.PortBlock()
        self._port = self._block.take()
        address = f"127.0.0.1:{self._port}"
        command = [
            _found("prometheus-blackbox-exporter"),
            f"--config.file={self._config}",
            f"--web.listen-address={address}",
        ]
        null = subprocess.DEVNULL
        self._process = subprocess.Popen(command, stdin=null, stdout=null, stderr=null, start_new_session=True)
        if not net.wait_until_open(self._port, 10):
            self.__exit__(None, None, None)
            raise net.PeerFailed("the blackbox exporter did not start")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        if self._process:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            self._process.wait()
        if self._block:
            self._block.release()
