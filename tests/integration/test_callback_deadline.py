# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the callback does before it sends."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.mailroom.core.plugins.callback.mail_failures import CallbackModule


def finish(deadline: float, monkeypatch: pytest.MonkeyPatch) -> tuple[list[float], list[str]]:
    """With which deadlines the mail of a run that has failed was sent, and the warnings."""
    sent: list[float] = []
    warnings: list[str] = []
    callback = CallbackModule()
    monkeypatch.setattr(callback, "get_option", {"deadline": deadline}.__getitem__)
    monkeypatch.setattr(callback, "_send", lambda _stats, within, _warnings: sent.append(within))
    monkeypatch.setattr(callback, "_display", SimpleNamespace(warning=warnings.append))
    stats: Any = SimpleNamespace(failures={"web1": 1}, dark={})
    callback.v2_playbook_on_stats(stats)
    return sent, warnings


@pytest.mark.parametrize("deadline", [float("inf"), float("-inf"), float("nan"), 1e10, 86401, 0.09, 0, -1])
def test_a_deadline_beyond_its_limits_sends_nothing(deadline: float, monkeypatch: pytest.MonkeyPatch) -> None:
    warning = "mailroom.core.mail_failures: deadline: must be a number from 0.1 to 86400"
    assert finish(deadline, monkeypatch) == ([], [warning])


@pytest.mark.parametrize("deadline", [0.1, 86400])
def test_a_deadline_within_its_limits_is_accepted(deadline: float, monkeypatch: pytest.MonkeyPatch) -> None:
    _sent, warnings = finish(deadline, monkeypatch)
    assert not [warning for warning in warnings if "must be" in warning]
