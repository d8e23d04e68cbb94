# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What several tests of the registry start from."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from .backends import BACKENDS, Backend


@pytest.fixture
def no_cryptography(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host on which the library that seals is not installed."""
    for name in [*sys.modules, "cryptography", "cryptography.fernet"]:
        if name.partition(".")[0] == "cryptography":
            monkeypatch.setitem(sys.modules, name, None)


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    """Each back-end, with an empty registry of its own."""
    return BACKENDS[request.param](tmp_path)
