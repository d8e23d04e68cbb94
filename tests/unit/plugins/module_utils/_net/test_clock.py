# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Deadlines and timings while the wall clock jumps by years."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from peers.connectors import job as connector_job
from peers.scripted import ScriptedServer
from peers.smtp import SmtpScript

from ansible_collections.mailroom.core.plugins.module_utils._check.interface import Bounds
from ansible_collections.mailroom.core.plugins.module_utils._check.runner import run
from ansible_collections.mailroom.core.plugins.module_utils._net.clock import Clock
from ansible_collections.mailroom.core.plugins.module_utils._verdict.observation import ProbeError

YEAR = 365 * 86400.0


@pytest.fixture(params=[YEAR, -YEAR, 3600.0, -3600.0])
def jumping(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look at the wall clock finds that it has jumped once more."""
    real, jumps = time.time, itertools.count()
    monkeypatch.setattr(time, "time", lambda: real() + next(jumps) * request.param)
    monkeypatch.setattr(time, "time_ns", lambda: int((real() + next(jumps) * request.param) * 10**9))


def result_of(port: int, **smtp: Any) -> dict[str, Any]:
    server = {"host": "localhost", "port": port, "security": "none", "auth": "none", "validate_certs": True, **smtp}
    settings = {"smtp": server, "from_address": "a@example.com", "test_address": "a@example.com"}
    return run([connector_job("alerts", settings)], Bounds(depth="send", timeout=60, deadline=600), 1)[0].to_dict()


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with SmtpScript().server() as running:
        yield running


@pytest.mark.usefixtures("jumping")
def test_a_jump_ends_no_test_and_shows_in_no_timing(server: ScriptedServer) -> None:
    result = result_of(server.port)
    assert result["verdict"] == "ok"
    timings = [result["elapsed_ms"], *(phase["ms"] for phase in result["endpoints"][0]["phases"])]
    assert all(0 <= each < 600_000 for each in timings)


@pytest.mark.usefixtures("jumping")
def test_a_jump_moves_no_deadline() -> None:
    clock = Clock(600, 0.01)
    left = []
    with suppress(ProbeError):
        while True:
            left.append(clock.step_remaining())
    assert left == sorted(left, reverse=True)
    assert max(left, default=0) <= 0.01
