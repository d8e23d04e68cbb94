# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The applications that are configured by files, by name.

They are imported one by one, because only what is found to be imported is sent to a host.
"""

from __future__ import annotations

from collections.abc import Mapping

from .files.alertmanager import Alertmanager
from .files.msmtp import Msmtp
from .files.postfix import Postfix
from .interface import FileTarget

FILE_TARGETS: Mapping[str, FileTarget] = {each.name: each for each in (Alertmanager(), Msmtp(), Postfix())}
