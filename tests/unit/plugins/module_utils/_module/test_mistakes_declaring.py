# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Typical mistakes in declarations: what the user is told names the field and what to do, in one sentence each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from .conftest import Play

MISTAKES = yaml.safe_load((Path(__file__).parent / "data" / "mistakes_declaring.yml").read_text(encoding="utf-8"))
PASSWORD = "hunter2-secret"
LONGEST = 300
OF_PYTHON = ("<class", "Traceback", "argument_spec", "'type'", "_Ansible", "Error", "NoneType", "dict(", "bug in")


@pytest.fixture
def filled(play: Play) -> Play:
    """With a connector and a purpose that misspelt names stand for."""
    play("connector", name="alerts", smtp={"host": "mail.example.com", "username": "mailer", "password": PASSWORD})
    play("connector_purpose", purpose="reports", connector="alerts")
    return play


@pytest.mark.parametrize("mistake", MISTAKES, ids=[mistake["title"] for mistake in MISTAKES])
@pytest.mark.sampled(4)
def test_mistake_is_answered_with_what_to_do(filled: Play, mistake: dict[str, Any]) -> None:
    result = filled(mistake["module"], **mistake["options"])
    told: list[str] = mistake["told"]
    expected = told[0] if len(told) == 1 else "\n- ".join([f"{len(told)} problems, nothing was changed:", *told])
    assert (result.get("failed"), result["msg"]) == (True, expected)
    assert [line for line in told if len(line) >= LONGEST] == []
    assert [word for word in (*OF_PYTHON, PASSWORD) if word in result["msg"]] == []
