# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of other programs share."""

from __future__ import annotations

from integration.conftest import stage
from peers.fixtures import mail_server, running_mail_server, zoo

__all__ = ["mail_server", "running_mail_server", "stage", "zoo"]
