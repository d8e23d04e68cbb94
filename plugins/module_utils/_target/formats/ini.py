# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Ini files, by the rules of Go's ini package and by those of Python's configparser, which differ in quoting."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from configparser import Error, RawConfigParser

from ..interface import check_parsed
from . import managed_block

Sections = Mapping[str, Mapping[str, str]]

_HEADER = re.compile(r"\s*\[(.+)\]")
_GO_REFERENCE = re.compile(r"%\([^)]+\)s")
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9@/.:_+<>-]*")


def go_problem(value: str) -> str:
    """Why Go's ini package would not read a value as it is; empty where it does."""
    return "cannot hold %(…)s, which stands for another setting" if _GO_REFERENCE.search(value) else ""


def quote_go(value: str) -> str:
    """A value for Go's ini package: all from the first backquote to the last one is taken literally."""
    return value if _PLAIN.fullmatch(value) else f"`{value}`"


def go_lines(sections: Sections) -> list[str]:
    lines = []
    for section, pairs in sections.items():
        lines += [f"[{section}]", *(f"{key} = {quote_go(value)}" for key, value in pairs.items())]
    check_parsed(parse_go("\n".join(lines)), {name: dict(pairs) for name, pairs in sections.items()})
    return lines


def append_go_sections(text: str, sections: Sections, password_file: str = "") -> str:
    """The text with the sections in a block at its end: a section goes on there, and what comes later counts."""
    return managed_block.append_block(text, go_lines(sections), password_file)


def parse_go(text: str) -> dict[str, dict[str, str]]:
    """Sections of lines without comments, as Go's ini package reads them."""
    found: dict[str, dict[str, str]] = {}
    pairs: dict[str, str] = {}
    for line in text.split("\n"):
        header = _HEADER.match(line)
        if header:
            pairs = found.setdefault(header[1], {})
            continue
        key, _equals, value = line.partition("=")
        value = value.lstrip()
        quote = '"""' if value.startswith('"""') else "`" if value.startswith("`") else ""
        if quote:
            value = value[len(quote) : value.rindex(quote)]
        else:
            value = re.split("[#;]", value)[0].strip()
            if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
                value = value[1:-1]
        pairs[key.strip()] = value
    return found


def python_problem(value: str) -> str:
    """Why configparser would not read a value as it is; empty where it does."""
    return "cannot begin or end with white space" if value != value.strip() else ""


def python_lines(section: str, pairs: Mapping[str, str]) -> list[str]:
    """A section for configparser without interpolation."""
    lines = [f"[{section}]", *(f"{key} = {value}" for key, value in pairs.items())]
    check_parsed(_parse_python("\n".join(lines)), {section: dict(pairs)})
    return lines


def insert_python_section(text: str, section: str, pairs: Mapping[str, str]) -> str:
    """The text with these settings of a section in a block, at the head of that section, which may be there once."""
    text = managed_block.with_line_end(managed_block.remove_block(text))
    before = _parse_python(text)
    lines = python_lines(section, pairs)
    number = next((n for n, line in enumerate(text.split("\n")) if _is_header(line, section)), None)
    if number is None:
        written = managed_block.insert_block(text, text.count("\n"), lines, (), "")
    else:
        aside = set(_lines_that_set(text, number, pairs))
        written = managed_block.insert_block(text, number + 1, lines[1:], aside, "")
    check_parsed(_parse_python(written), {**before, section: {**before.get(section, {}), **pairs}})
    return written


def _is_header(line: str, section: str) -> bool:
    header = RawConfigParser.SECTCRE.match(line)
    return header is not None and header["header"] == section


def _lines_that_set(text: str, header: int, pairs: Mapping[str, str]) -> Iterator[int]:
    """The numbers of the lines below a header that set these keys; a line that is indented continues the one before."""
    is_ours = False
    for number, line in enumerate(text.split("\n")):
        if number <= header or not line.strip() or line.lstrip()[0] in "#;":
            continue
        if RawConfigParser.SECTCRE.match(line):
            return
        if not line[0].isspace():
            is_ours = re.split("[=:]", line, maxsplit=1)[0].strip().lower() in pairs
        if is_ours:
            yield number


def _parse_python(text: str) -> dict[str, dict[str, str]]:
    parser = RawConfigParser()
    try:
        parser.read_string(text)
    except Error:
        managed_block.refuse("is no valid ini file")
    return {section: dict(parser.items(section)) for section in parser.sections()}
