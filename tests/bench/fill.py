# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fills a registry: `python fill.py REGISTRY COUNT KEY_FILE`; an empty KEY_FILE is the default."""

from __future__ import annotations

import sys

import declared

from ansible_collections.mailroom.core.plugins.module_utils._connector.declaration import parse_declaration
from ansible_collections.mailroom.core.plugins.module_utils._connector.plan import Request
from ansible_collections.mailroom.core.plugins.module_utils._connector.planning import make_plan
from ansible_collections.mailroom.core.plugins.module_utils._connector.state import Stamp
from ansible_collections.mailroom.core.plugins.module_utils._registry.registry import open_registry

CHUNK = 5000


def main() -> None:
    """Creates the connectors in chunks, so that the plan of each stays small."""
    location, count, key_file = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    registry = open_registry(location, None, key_file)
    stamp = Stamp("2026-01-01T00:00:00Z", "bench")
    for start in range(0, count, CHUNK):
        numbers = range(start, min(start + CHUNK, count))
        declarations = tuple(parse_declaration(declared.entry(number))[0] for number in numbers)
        request = Request(declarations=declarations)
        with registry.writing() as writer:
            writer.apply(make_plan(request, writer.load(request.wanted()), writer.is_same_secret, stamp))


if __name__ == "__main__":
    main()
