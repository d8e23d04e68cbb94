# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Applications whose settings are a block in a file of the administrator's, with the password in a file beside it."""

from __future__ import annotations

from . import block
from .application import Application


class SettingsBesideOthers(Application):
    """What is common to them."""

    keeps_password_apart = True

    def clear(self, text: str) -> str:
        return block.restored(text)

    def difference(self, before: str, after: str) -> tuple[str, str]:
        return block.content(before), block.content(after)

    def password_file_in(self, text: str) -> str:
        return block.password_file_in(text)
