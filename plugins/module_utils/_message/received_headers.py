# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""What the servers on its way have written into a message."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from .transport import Delivered

_RESULTS = "authentication-results"
_RECEIVED = "received"
_LONGEST = 16 * 1024
_RESULT = re.compile(r"\s*(spf|dkim|dmarc)\s*(?:/\s*[0-9]+\s*)?=\s*([a-z][a-z-]{0,19})(?=\s|\Z)", re.IGNORECASE)


def parse_header_text(header: str) -> Delivered:
    """Parse the header section of a message, unfolding its lines."""
    lines: list[str] = []
    for line in header.replace("\r\n", "\n").split("\n"):
        if line.startswith((" ", "\t")) and lines:
            lines[-1] += line
        else:
            lines.append(line)
    named = (line.partition(":") for line in lines)
    return parse_headers((name, content) for name, colon, content in named if colon)


def parse_headers(headers: Iterable[tuple[str, str]]) -> Delivered:
    """Parse headers, given from the top as names and contents.

    Each server writes above what was there, so that only the topmost results are those of the server that delivered:
    what stands below, anybody can have written.
    """
    named = [(name.strip().lower(), content) for name, content in headers]
    topmost = next((content for name, content in named if name == _RESULTS), "")
    return Delivered(authentication_results(topmost), sum(name == _RECEIVED for name, _content in named))


def authentication_results(content: str) -> dict[str, str]:
    """The results of spf, dkim and dmarc in one header (RFC 8601, and as Exchange writes it, which names no server).

    A message may have several signatures: one that is good is enough.
    """
    results: dict[str, str] = {}
    for statement in _statements(content[:_LONGEST]):
        match = _RESULT.match(statement)
        if match:
            method, result = (each.lower() for each in match.groups())
            if method not in results or (method == "dkim" and result == "pass"):
                results[method] = result
    return results


def _statements(content: str) -> Iterator[str]:
    """Split at semicolons; comments are dropped, and quoted strings emptied."""
    statement: list[str] = []
    depth, is_quoted, is_escaped = 0, False, False
    for character in content:
        if is_escaped:
            is_escaped = False
        elif character == "\\" and (depth or is_quoted):
            is_escaped = True
        elif is_quoted or (character == '"' and not depth):
            is_quoted = character != '"' or not is_quoted
            statement.append('"')
        elif character == "(" or (character == ")" and depth):
            depth += 1 if character == "(" else -1
            statement.append(" ")
        elif character == ";" and not depth:
            yield "".join(statement)
            statement = []
        elif not depth:
            statement.append(character)
    yield "".join(statement)
