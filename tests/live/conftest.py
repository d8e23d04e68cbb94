# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright the mailroom.core contributors
"""Tests of a real tenant, which only `make live` runs."""

from __future__ import annotations

import os

import pytest
from live.tenant import NotDescribed, Tenant, described


def pytest_configure(config: pytest.Config) -> None:
    """A traceback in full shows the arguments of calls, and one of them is the secret."""
    config.option.tbstyle = "short"
    config.option.showlocals = False


def pytest_sessionstart() -> None:
    """Ends at once, with one sentence, where nobody said which tenant."""
    _tenant()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Only what was asked for is a test: nothing is skipped."""
    if "protocol" in metafunc.fixturenames:
        metafunc.parametrize("protocol", _tenant().protocols)


def pytest_ignore_collect(collection_path: os.PathLike[str]) -> bool | None:
    """Without a word that mail may be sent, there is no test that sends."""
    is_left_out = os.fspath(collection_path).endswith("test_sending.py") and not _tenant().sends
    return True if is_left_out else None


@pytest.fixture(scope="session")
def tenant() -> Tenant:
    """The tenant."""
    return _tenant()


def _tenant() -> Tenant:
    try:
        return described(os.environ)
    except NotDescribed as missing:
        raise pytest.UsageError(str(missing)) from None
