# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The certificates and the mail server, once per run."""

from __future__ import annotations

from peers.fixtures import cloud, mail_server, running_mail_server, zoo

__all__ = ["cloud", "mail_server", "running_mail_server", "zoo"]
