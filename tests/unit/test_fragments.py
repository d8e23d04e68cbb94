# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is generated from the tables says what the tables say now."""

from __future__ import annotations

import pytest
import update_fragments
import yaml

from ansible_collections.mailroom.core.plugins.module_utils._connector.fields import BY_PATH
from ansible_collections.mailroom.core.plugins.module_utils._verdict.table import REMEDIES

DESCRIPTIONS = update_fragments.ROOT / "docs" / "descriptions"


@pytest.mark.parametrize("path", update_fragments.GENERATED)
def test_what_is_generated_is_fresh(path: str) -> None:
    written = (update_fragments.ROOT / path).read_text(encoding="utf-8")
    assert written == update_fragments.GENERATED[path](), "run tests/update_fragments.py"


def test_a_stale_page_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(update_fragments.GENERATED, "README.md", lambda: "other text")
    assert update_fragments.main(["--check"]) == 1
    assert capsys.readouterr().out == "README.md: is stale, run tests/update_fragments.py\n"


def keys_written(name: str) -> list[str]:
    """The keys of a file of descriptions, one that is written twice twice."""
    root = yaml.compose((DESCRIPTIONS / f"{name}.yml").read_text(encoding="utf-8"))
    return [key.value for key, _value in root.value]


def test_each_field_has_one_description() -> None:
    described = [path for key in keys_written("fields") for path in key.split(", ")]
    assert sorted(described) == sorted(BY_PATH)


def test_each_verdict_has_one_description() -> None:
    assert sorted(keys_written("verdicts")) == sorted(REMEDIES)


def test_descriptions_are_sentences() -> None:
    fields, verdicts = (update_fragments.read_descriptions(name) for name in ("fields", "verdicts"))
    said = [*(line for lines in fields.values() for line in lines)]
    said += [verdict[part] for verdict in verdicts.values() for part in ("meaning", "recognised")]
    assert [line for line in said if not line.endswith((".", ")"))] == []
