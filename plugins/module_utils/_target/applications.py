# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The applications, by name."""

from __future__ import annotations

from collections.abc import Mapping

from .alertmanager import Alertmanager
from .application import Application
from .msmtp import Msmtp
from .postfix import Postfix

APPLICATIONS: Mapping[str, Application] = {each.name: each for each in (Alertmanager(), Msmtp(), Postfix())}
