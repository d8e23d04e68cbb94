# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dead addresses are dead, and names lead where they should."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from peers import net

# The tests that use this server would fail with it.
pytestmark = pytest.mark.matrix


def test_port_blocks_do_not_overlap() -> None:
    blocks = [net.PortBlock() for _turn in range(5)]
    ports = [block.take() for block in blocks for _turn in range(60)]
    for block in blocks:
        block.release()
    assert len(set(ports)) == 300


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", *["::1"] * net.has_ipv6()])
def test_dead_addresses(host: str) -> None:
    with net.Refused(host) as dead, pytest.raises(ConnectionRefusedError):
        socket.create_connection((dead.host, dead.port), timeout=2)
    started = time.monotonic()
    with net.Blackhole(host) as dead, pytest.raises(TimeoutError):
        socket.create_connection((dead.host, dead.port), timeout=0.5)
    assert time.monotonic() - started > 0.5


def test_one_port_on_several_addresses() -> None:
    with net.listening("127.0.0.1") as good:
        port = good.getsockname()[1]
        with net.Blackhole("127.0.0.2", port), net.Refused("127.0.0.3", port):
            assert socket.create_connection(("127.0.0.1", port), timeout=1)
            family, *_others, place = net.answers(("::1", port), ("127.0.0.2", port))[1]
            assert (family, place) == (socket.AF_INET, ("127.0.0.2", port))


def test_names_for_a_command(tmp_path: Path) -> None:
    environment = net.hosts_environment(tmp_path, {"two.example.com": ["127.0.0.2", "127.0.0.1"]})
    code = "import socket; print([i[4][0] for i in socket.getaddrinfo('two.example.com', 25, type=socket.SOCK_STREAM)])"
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, text=True, check=True
    )
    assert done.stdout == "['127.0.0.2', '127.0.0.1']\n"
