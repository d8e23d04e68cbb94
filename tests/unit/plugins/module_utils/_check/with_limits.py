# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests many connectors where something is scarce: one scenario per function, which prints what came of it as JSON.

Played by test_limits.py in a process of its own, whose limits and name servers are nobody else's.
"""

from __future__ import annotations

import json
import resource
import socket
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

from peers.connectors import job as connector_job

from ansible_collections.mailroom.core.plugins.module_utils._check.interface import Bounds
from ansible_collections.mailroom.core.plugins.module_utils._check.job import Job
from ansible_collections.mailroom.core.plugins.module_utils._check.runner import run


def few_descriptors(port: int, limit: int, concurrency: int, connectors: int) -> dict[str, Any]:
    """Hosts with a name and with an address, on a server that lets many wait."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    hosts = [("localhost", "127.0.0.1")[number % 2] for number in range(connectors)]
    before = descriptors()
    found = tested([job(number, host, port) for number, host in enumerate(hosts)], concurrency, 600)
    return {**found, "leaked": descriptors() - before}


def descriptors() -> int:
    return sum(1 for _each in Path("/dev/fd").iterdir())


def silent_name_server(concurrency: int, connectors: int) -> dict[str, Any]:
    """A name server that is there and says nothing, for as long as anybody asks."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    server.bind(("127.0.0.1", 53))
    found = tested([job(number, f"h{number}.example.com", 25) for number in range(connectors)], concurrency, 1)
    left = [thread for thread in threading.enumerate() if thread is not threading.main_thread()]
    return {**found, "left": len(left), "waited_for": sum(not thread.daemon for thread in left)}


def job(number: int, host: str, port: int) -> Job:
    server = {"host": host, "port": port, "security": "none", "auth": "none", "validate_certs": True}
    return connector_job(f"c{number}", {"smtp": server}, {})


def tested(jobs: list[Job], concurrency: int, patience: float) -> dict[str, Any]:
    results = run(jobs, Bounds(depth="connect", timeout=patience, deadline=2 * patience), concurrency)
    return {"verdicts": Counter(result.diagnosis().verdict for result in results)}


def main() -> None:
    name, *arguments = sys.argv[1:]
    json.dump(globals()[name](*map(int, arguments)), sys.stdout)


if __name__ == "__main__":
    main()
