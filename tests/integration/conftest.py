# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the integration tests share."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from integration.playing import Stage
from peers.fixtures import mail_server, running_mail_server, zoo

__all__ = ["mail_server", "running_mail_server", "zoo"]


@pytest.fixture
def stage() -> Iterator[Stage]:
    """A scratch folder to play in. Its path is short, because Ansible makes sockets in it."""
    with tempfile.TemporaryDirectory(prefix="mailroom-", dir="/tmp") as folder:
        yield Stage(Path(folder))
