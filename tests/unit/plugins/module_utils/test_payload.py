# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a task sends to a host: what it needs, and no more."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

import payload
import places
import pytest

MODULES = Path(__file__).resolve().parents[4] / "plugins" / "modules"


class Payload(NamedTuple):
    """The most files of ours that may be sent for a module, and the packages that they come from."""

    most: int
    packages: frozenset[str]


READS = frozenset(["_argspec.py", "_connector", "_errors.py", "_files.py", "_module", "_registry"])
CONFIGURES = READS | {"_target"}
SPEAKS_HTTP = CONFIGURES | {"_net", "_verdict"}
TESTS = READS | {"_auth", "_check", "_message", "_net", "_protocol", "_report", "_verdict"}
PAYLOADS = {
    "connector_info": Payload(45, READS),
    "connector_purpose": Payload(45, READS),
    "registry": Payload(45, READS),
    "connector": Payload(60, READS),
    "connectors": Payload(60, READS),
    "connector_config": Payload(80, CONFIGURES),
    "connector_api": Payload(95, SPEAKS_HTTP),
    "connector_test": Payload(125, TESTS),
    "init_mail": Payload(125, TESTS),
    "mail": Payload(130, TESTS - {"_report"}),
    "_connector_verify": Payload(126, TESTS),
    "_connectors_verify": Payload(125, TESTS),
}


@pytest.fixture(scope="module")
def payloads() -> dict[str, payload.Files]:
    return payload.payloads(sys.executable, places.COLLECTIONS, PAYLOADS)


def test_every_module_is_known_here() -> None:
    assert PAYLOADS.keys() == {path.stem for path in MODULES.glob("*.py")}


def test_module_is_sent_with_the_packages_that_it_needs_and_few_files(payloads: dict[str, payload.Files]) -> None:
    packages = {module: {name.partition("/")[0] for name in files} for module, files in payloads.items()}
    assert packages == {module: expected.packages for module, expected in PAYLOADS.items()}
    assert {module: len(files) for module, files in payloads.items() if len(files) > PAYLOADS[module].most} == {}
