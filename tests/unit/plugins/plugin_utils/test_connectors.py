# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who names no connector gets none, least of all the secrets of the only one."""

from __future__ import annotations

from pathlib import Path

import pytest
from unit.plugins.module_utils._registry.samples import KEY, declare, entry, open_registry

from ansible_collections.mailroom.core.plugins.module_utils._errors import DeclarationError
from ansible_collections.mailroom.core.plugins.plugin_utils._connectors import read_connector


def test_connector_is_read_by_name_or_purpose_only(tmp_path: Path) -> None:
    path = tmp_path / "registry.db"
    declare(open_registry(path), entry("alerts", "swordfish"))
    given = {"registry": str(path), "registry_key": KEY, "name": None}
    with pytest.raises(DeclarationError, match="name: must be the name of a connector where no purpose is given"):
        read_connector(given, print, secrets=True)
