# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright the mailroom.core contributors
"""Makes the checkout importable and playable as ansible_collections.mailroom.core."""

from __future__ import annotations

import gc
import os
import sys

import places
import pytest
from hypothesis import HealthCheck, settings

places.link_collection()
sys.path.insert(0, str(places.COLLECTIONS))
os.environ["ANSIBLE_COLLECTIONS_PATH"] = os.environ.get("MAILROOM_COLLECTIONS", str(places.COLLECTIONS))

# How long an example takes is up to the machine.
settings.register_profile("all", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("sample", settings.get_profile("all"), max_examples=30)


def pytest_addoption(parser: pytest.Parser) -> None:
    """How `make test` keeps short what `make matrix` runs whole."""
    told = "leave out the tests that are marked matrix, and try fewer random examples and moments in the others"
    parser.addoption("--sample", action="store_true", help=told)


def pytest_configure(config: pytest.Config) -> None:
    settings.load_profile("sample" if config.getoption("sample") else "all")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("sample"):
        return
    rows: dict[str, int] = {}
    kept, left_out = [], []
    for item in items:
        table = item.nodeid.partition("[")[0]
        rows[table] = rows.get(table, -1) + 1
        sampled = item.get_closest_marker("sampled")
        is_left_out = item.get_closest_marker("matrix") or (sampled and rows[table] % sampled.args[0])
        (left_out if is_left_out else kept).append(item)
    config.hook.pytest_deselected(items=left_out)
    items[:] = kept


def pytest_collection_finish() -> None:
    # What is there now stays: it is neither looked through for garbage nor copied in forks because of that.
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def stride(request: pytest.FixtureRequest) -> int:
    """Of the many moments at which something may happen, every how many-th is tried."""
    return 6 if request.config.getoption("sample") else 1
