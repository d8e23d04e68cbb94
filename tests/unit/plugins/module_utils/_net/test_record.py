# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Phases, and what they add to an error that passes through them."""

from __future__ import annotations

import pytest

from ansible_collections.mailroom.core.plugins.module_utils._net.record import Record
from ansible_collections.mailroom.core.plugins.module_utils._verdict.observation import ProbeError, probe_error


def test_a_phase_raises_a_new_error_and_leaves_the_first_unchanged() -> None:
    """The same refusal is raised again in another session, which must not find the first session's phase in it."""
    refused = probe_error("token", "not issued")
    for protocol in ("smtp", "imap"):
        record = Record(protocol)
        with pytest.raises(ProbeError) as stopped, record.phase("token"):
            raise refused
        assert (stopped.value.observation.phase, stopped.value.observation.protocol) == ("token", protocol)
        assert stopped.value.__cause__ is refused
        assert [(each.phase, each.status, each.text) for each in record.phases] == [("token", "fail", "not issued")]
    assert (refused.observation.phase, refused.observation.protocol) == ("", "")


def test_an_error_that_names_its_phase_keeps_it() -> None:
    record = Record("smtp")
    with pytest.raises(ProbeError) as stopped, record.phase("auth"), record.phase("token"):
        raise probe_error("timeout")
    assert stopped.value.observation.phase == "token"


def test_an_observation_cannot_be_replaced() -> None:
    stopped = probe_error("timeout")
    with pytest.raises(AttributeError):
        stopped.observation = stopped.observation  # type: ignore[misc]
