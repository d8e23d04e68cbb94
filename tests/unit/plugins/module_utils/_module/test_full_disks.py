# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""connector_config on full and read-only disks (security review, finding 9), as real file systems."""

from __future__ import annotations

import pytest

from .._registry.test_disk import play, with_mounts
from .on_a_full_disk import SCENARIOS

__all__ = ["with_mounts"]


@pytest.fixture(scope="module")
def failures(with_mounts: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return play(with_mounts, f"{__package__}.on_a_full_disk", tmp_path_factory.mktemp("disks"))


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenario(failures: dict[str, str], scenario: str) -> None:
    assert scenario not in failures, failures[scenario]
