# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is generated from the tables says what the tables say now."""

from __future__ import annotations

import pytest
import update_fragments


@pytest.mark.parametrize("path", update_fragments.GENERATED)
def test_what_is_generated_is_fresh(path: str) -> None:
    written = (update_fragments.ROOT / path).read_text(encoding="utf-8")
    assert written == update_fragments.GENERATED[path](), "run tests/update_fragments.py"


def test_a_stale_page_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(update_fragments.GENERATED, "README.md", lambda: "other text")
    assert update_fragments.main(["--check"]) == 1
    assert capsys.readouterr().out == "README.md: is stale, run tests/update_fragments.py\n"
