# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright the mailroom.core contributors
"""The suite for a real tenant, run against the stand-ins, so that it is known to work and to fail."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from live.tenant import NotDescribed, described
from peers.ca import CertificateZoo
from peers.cloud import Cloud
from peers.entra import App
from peers.fixtures import zoo

__all__ = ["zoo"]

ROOT = Path(__file__).resolve().parents[2]
MAILBOX = "alice@example.com"
ENVIRONMENT = {
    "MAILROOM_LIVE_TENANT_ID": "example.com",
    "MAILROOM_LIVE_CLIENT_ID": "1d4e6b2f-90ac-4f7b-8a53-c6d1e7f20b94",
    "MAILROOM_LIVE_CLIENT_SECRET": "Rumpelstilzchen-7f3a9c51e2",
    "MAILROOM_LIVE_MAILBOX": MAILBOX,
}


@pytest.fixture
def services(zoo: CertificateZoo) -> Iterator[Cloud]:
    """Entra and Graph, with mail in memory."""
    with Cloud(zoo=zoo) as running:
        yield running


def environment_of(services: Cloud, app: App, **more: str) -> dict[str, str]:
    """What describes the stand-ins as a tenant."""
    return {
        "MAILROOM_LIVE_TENANT_ID": services.entra.tenant_id,
        "MAILROOM_LIVE_CLIENT_ID": app.client_id,
        "MAILROOM_LIVE_CLIENT_SECRET": app.secret,
        "MAILROOM_LIVE_MAILBOX": MAILBOX,
        "MAILROOM_LIVE_AUTHORITY": services.entra.url,
        "MAILROOM_LIVE_GRAPH_URL": services.graph.url,
        "MAILROOM_LIVE_CA_FILE": str(services.ca_file),
        **more,
    }


def run(folder: Path, environment: dict[str, str], *options: str) -> tuple[int, str]:
    """The suite's exit status and output."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("MAILROOM_", "PYTEST_"))}
    own = [f"--basetemp={folder / 'tmp'}", "-o", f"cache_dir={folder / 'cache'}"]
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *own, *options, "tests/live"],
        cwd=ROOT,
        env={**inherited, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_suite_without_a_tenant_fails_with_one_sentence(tmp_path: Path) -> None:
    status, output = run(tmp_path / "run", {})
    assert status == pytest.ExitCode.USAGE_ERROR
    assert output.strip() == (
        "ERROR: This suite signs in to a real tenant: MAILROOM_LIVE_TENANT_ID, MAILROOM_LIVE_CLIENT_ID,"
        " MAILROOM_LIVE_CLIENT_SECRET, MAILROOM_LIVE_MAILBOX are not set (docs/docsite/rst/signing_in.rst says what"
        " to set)."
    )


def test_suite_sends_nothing_unless_that_is_asked_for(tmp_path: Path) -> None:
    status, output = run(tmp_path / "run", ENVIRONMENT, "--collect-only")
    assert (status, "8 tests collected" in output) == (0, True), output


def test_suite_sends_one_message_where_it_may(services: Cloud, tmp_path: Path) -> None:
    app = services.entra.add_app(roles=("Mail.Send",))
    status, output = run(tmp_path / "run", environment_of(services, app, MAILROOM_LIVE_SEND="1"))
    assert (status, "9 passed" in output) == (0, True), output
    assert [(each.sender, each.recipients) for each in services.graph.accepted] == [(MAILBOX, [MAILBOX])]


def test_suite_fails_where_the_tenant_refuses_and_no_traceback_shows_the_secret(
    services: Cloud, tmp_path: Path
) -> None:
    app = services.entra.add_app(roles=())
    app.secret_expired = True
    environment = environment_of(services, app, MAILROOM_LIVE_SEND="1")
    status, output = run(tmp_path / "run", environment, "--tb=long", "--showlocals", "-k", "signs_in or client_id")
    assert (status, "token_expired_secret" in output) == (1, True), output
    assert app.secret not in output
    assert "skipped" not in output.splitlines()[-1]


def test_each_variable_that_is_missing_or_blank_is_named() -> None:
    for name in ENVIRONMENT:
        with pytest.raises(NotDescribed, match=f"real tenant: {name} is not set"):
            described({**ENVIRONMENT, name: "  "})


def test_an_unknown_protocol_is_refused() -> None:
    with pytest.raises(NotDescribed, match="may name graph, smtp, imap, and not pop3"):
        described({**ENVIRONMENT, "MAILROOM_LIVE_PROTOCOLS": "graph,pop3"})


def test_what_is_described() -> None:
    tenant = described({**ENVIRONMENT, "MAILROOM_LIVE_CLOUD": "us_gov", "MAILROOM_LIVE_PROTOCOLS": "smtp, imap"})
    assert (tenant.protocols, tenant.sends) == (("smtp", "imap"), False)
    assert tenant.declaration("imap")["imap"] == {"auth": "oauth2", "username": MAILBOX}
    assert tenant.declaration("graph")["oauth2"]["cloud"] == "us_gov"
    assert ENVIRONMENT["MAILROOM_LIVE_CLIENT_SECRET"] not in repr(tenant)
