# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The guide's tables name every application and every option of its own."""

from __future__ import annotations

import re
from pathlib import Path

from ansible_collections.mailroom.core.plugins.module_utils._target.api_targets import API_TARGETS
from ansible_collections.mailroom.core.plugins.module_utils._target.targets import FILE_TARGETS

GUIDE = Path(__file__).resolve().parents[5] / "docs" / "docsite" / "rst" / "applications.rst"


def rows() -> dict[str, list[str]]:
    """The rows of the tables that begin with an application, by that application."""
    found: dict[str, list[str]] = {name: [] for name in FILE_TARGETS}
    for row in GUIDE.read_text(encoding="utf-8").split("\n  * - ")[1:]:
        for name in re.findall(r"``(\w+)``", row.split("\n")[0]):
            if name in found:
                found[name].append(row.split("\n\n")[0])
    return found


def test_every_application_and_option_is_in_the_tables() -> None:
    for name, (files, _securities, *_others) in rows().items():
        assert [option.name for option in FILE_TARGETS[name].options if f"``{option.name}``" not in files] == []


def test_every_security_is_in_the_table() -> None:
    for name, (_files, row, *_others) in rows().items():
        shown = row.split("\n")[1]
        securities = FILE_TARGETS[name].securities
        if "all" not in shown and name not in ("privilege_manager", "gitlab"):
            assert set(re.findall(r"``(none|starttls_optional|starttls|tls)``", shown)) >= set(securities), name


def test_every_application_with_an_api_has_a_row_and_a_section() -> None:
    text = GUIDE.with_name("apis.rst").read_text(encoding="utf-8")
    for name, target in API_TARGETS.items():
        row = text.partition(f"\n  * - ``{name}``\n")[2].partition("\n  * - ")[0]
        assert [option.name for option in target.options if f"``{option.name}``" not in row] == []
        assert [key.name for key in target.keys if f"``target.{key.name}``" not in row] == []
        assert set(re.findall(r"``(none|starttls|tls)``", row)) >= set(target.securities), name
        assert f"\n{target.title}\n{'-' * len(target.title)}\n" in text
