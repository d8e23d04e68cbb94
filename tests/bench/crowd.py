# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many tasks at once on one registry: `python crowd.py writers|readers REGISTRY KEY_FILE COUNT TURNS`.

Each has connections of its own. It prints, as JSON, how long each transaction took, how long all took, and what was
lost: how many changes a counter lacks, which each writer reads and counts up.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import declared

from ansible_collections.mailroom.core.plugins.module_utils._connector.declaration import parse_declaration
from ansible_collections.mailroom.core.plugins.module_utils._connector.plan import Request
from ansible_collections.mailroom.core.plugins.module_utils._connector.planning import make_plan
from ansible_collections.mailroom.core.plugins.module_utils._connector.state import Stamp, Wanted
from ansible_collections.mailroom.core.plugins.module_utils._registry.registry import open_registry
from ansible_collections.mailroom.core.plugins.module_utils._registry.writer import Writer

COUNTED = declared.entry(0)["name"]


def main() -> None:
    """Starts all at once and measures each of their transactions."""
    kind, location, key_file = sys.argv[1:4]
    count, turns = int(sys.argv[4]), int(sys.argv[5])
    before = _counter(location, key_file) if kind == "writers" else 0
    start = threading.Barrier(count + 1)

    def work(_number: int) -> list[float]:
        registry = open_registry(location, None, key_file)
        start.wait()
        seconds = []
        for _turn in range(turns):
            started = time.perf_counter()
            if kind == "writers":
                registry.write(_count_up)
            else:
                with registry.reading() as reader:
                    reader.load(Wanted())
            seconds.append(time.perf_counter() - started)
        return seconds

    with ThreadPoolExecutor(count) as pool:
        working = [pool.submit(work, number) for number in range(count)]
        start.wait()
        started = time.perf_counter()
        waits = [seconds for each in working for seconds in each.result()]
        elapsed = time.perf_counter() - started
    lost = before + count * turns - _counter(location, key_file) if kind == "writers" else 0
    print(json.dumps({"waits": waits, "elapsed": elapsed, "lost": lost}))


def _counter(location: str, key_file: str) -> int:
    with open_registry(location, None, key_file).reading() as reader:
        settings = reader.load(Wanted(frozenset([COUNTED]))).connectors[COUNTED].settings
    return int(settings.get("description", 0))


def _count_up(writer: Writer) -> None:
    settings = writer.load(Wanted(frozenset([COUNTED]))).connectors[COUNTED].settings
    counted = {"name": COUNTED, "description": str(int(settings.get("description", 0)) + 1)}
    request = Request(declarations=(parse_declaration(counted)[0],))
    stamp = Stamp("2026-01-01T00:00:00Z", "bench")
    writer.apply(make_plan(request, writer.load(request.wanted()), writer.is_same_secret, stamp))


if __name__ == "__main__":
    main()
