# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""connector_config on full and read-only disks (security review, finding 9), as real file systems."""

from __future__ import annotations

from pathlib import Path

import pytest

from .._registry.test_disk import play, with_mounts
from .on_a_full_disk import SCENARIOS

__all__ = ["with_mounts"]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenario(with_mounts: tuple[str, ...], tmp_path: Path, scenario: str) -> None:
    play(with_mounts, f"{__package__}.on_a_full_disk", scenario, tmp_path)
