# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""YAML: values that are quoted for it, and a block of settings below a key of somebody else's file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ..._errors import DeclarationError, MissingLibrary
from ..interface import check_parsed
from . import managed_block

_NULL = "tag:yaml.org,2002:null"
_MERGE = "tag:yaml.org,2002:merge"


def scalar(value: Any) -> str:
    """A value on one line, texts in double quotes; also lists and mappings."""
    if isinstance(value, (bool, int)) or value is None:
        return "null" if value is None else str(value).lower()
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{scalar(key)}: {scalar(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(scalar, value)) + "]"
    dumped: str = _yaml().safe_dump(value, default_style='"', allow_unicode=True, width=float("inf"))
    return dumped.rstrip("\n")


class Plain(str):
    """A text that needs no quotes, and must have none."""

    __slots__ = ()


def lines(settings: Mapping[str, Any]) -> Iterator[str]:
    """Settings in block style, each on a line of its own."""
    for key, value in settings.items():
        if isinstance(value, Mapping) and value:
            yield f"{key}:"
            yield from (f"  {line}" for line in lines(value))
        else:
            yield f"{key}: {value if isinstance(value, Plain) else scalar(value)}"


def document(settings: Mapping[str, Any]) -> list[str]:
    """A whole file of settings, which PyYAML reads as what they are."""
    written = list(lines(settings))
    check_parsed(_yaml().safe_load("\n".join(written)), _as_lists(settings))
    return written


def _as_lists(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _as_lists(inner) for key, inner in value.items()}
    return list(value) if isinstance(value, tuple) else value


class _Section(NamedTuple):
    """A file as pairs of YAML nodes. They are never constructed as data: aliases could make that endless."""

    others: list[tuple[Any, Any]]
    key: Any
    """The one of the section, None where there is none."""

    settings: Any
    """The node of the section."""

    is_ours: Callable[[str], bool]

    @property
    def pairs(self) -> list[tuple[Any, Any]]:
        return list(self.settings.value) if isinstance(self.settings, _yaml().MappingNode) else []

    @property
    def ours(self) -> list[tuple[Any, Any]]:
        return [pair for pair in self.pairs if self.owns(pair[0])]

    @property
    def others_within(self) -> list[tuple[Any, Any]]:
        return [pair for pair in self.pairs if not self.owns(pair[0])]

    def owns(self, key: Any) -> bool:
        return isinstance(key.value, str) and self.is_ours(key.value)


class Editor(NamedTuple):
    """Writes settings into the section of a file that has others besides."""

    application: str
    section: str
    is_ours: Callable[[str], bool]
    """Whether a setting of the section is one that is replaced."""

    def insert(self, text: str, settings: Mapping[str, Any], password_file: str = "") -> str:
        """The text with these settings in a block within the section, in place of others of ours."""
        text = managed_block.with_line_end(managed_block.remove_block(text))
        written_lines = list(lines(settings))
        before = self._read(text)
        key, section = before.key, before.settings
        aside: frozenset[int] = frozenset()
        if key is None:
            position, indent, opening = text.count("\n"), "  ", [f"{self.section}:"]
        elif not before.pairs:
            position, indent, opening = key.end_mark.line + 1, "  ", []
        else:
            first = section.value[0][0].start_mark
            position, indent, opening = first.line, " " * first.column, []
            aside = frozenset(self._lines_of_ours(text, before))
        indented = [*opening, *(f"{indent}{line}" for line in written_lines)]
        written = managed_block.insert_block(text, position, indented, aside, password_file)
        if not self._holds(written, before, written_lines):
            managed_block.refuse(f"must have its {self.section} settings in block style, each on a line of its own")
        return written

    def _lines_of_ours(self, text: str, section: _Section) -> Iterator[int]:
        """The numbers of the lines of settings that are replaced; each setting ends where the next begins."""
        all_lines = text.split("\n")
        mapping = section.settings
        starts = [key.start_mark.line for key, _value in mapping.value]
        for (key, _value), start, end in zip(mapping.value, starts, [*starts[1:], mapping.end_mark.line]):
            if section.owns(key):
                # YAML counts lines that end in other ways, too; whether these were the right ones is seen afterwards.
                numbers = range(start, min(end, len(all_lines)))
                yield from (n for n in numbers if all_lines[n].strip() and all_lines[n].lstrip()[0] != "#")

    def _holds(self, written: str, before: _Section, written_lines: Sequence[str]) -> bool:
        """Whether the written text parses as these settings and everything that was there before but ours."""
        try:
            after = self._read(written)
        except DeclarationError:
            return False
        ours = _nodes("\n".join(written_lines)).value
        expected = (before.others, before.others_within, ours)
        return all(map(_are_same, expected, (after.others, after.others_within, after.ours)))

    def _read(self, text: str) -> _Section:
        """Parse the file; an error shows nothing of its content."""
        yaml = _yaml()
        root = _nodes(text)
        if root is None:
            return _Section([], None, None, self.is_ours)
        if not isinstance(root, yaml.MappingNode):
            managed_block.refuse(f"is no configuration of {self.application}")
        found = [pair for pair in root.value if pair[0].value == self.section]
        others = [pair for pair in root.value if pair[0].value != self.section]
        key, settings = found[0] if found else (None, None)
        if len(found) > 1:
            managed_block.refuse(f"has {self.section} settings in more than one place")
        if settings is not None and not isinstance(settings, yaml.MappingNode) and settings.tag != _NULL:
            managed_block.refuse(f"is no configuration of {self.application}")
        section = _Section(others, key, settings, self.is_ours)
        if any(pair[0].tag == _MERGE for pair in (section.pairs if found else others)):
            managed_block.refuse(f"takes {self.section} settings from elsewhere (<<), write them in full")
        return section


def _are_same(expected: Sequence[tuple[Any, Any]], found: Sequence[tuple[Any, Any]]) -> bool:
    """Compare YAML nodes, each two of them once: by aliases, few lines can stand for more than can be gone through."""
    if len(expected) != len(found):
        return False
    remaining = [nodes for pairs in zip(expected, found) for nodes in zip(*pairs)]
    seen = set()
    while remaining:
        one, other = remaining.pop()
        if (id(one), id(other)) in seen:
            continue
        seen.add((id(one), id(other)))
        if one.tag != other.tag or isinstance(one.value, str) != isinstance(other.value, str):
            return False
        if isinstance(one.value, str):
            if one.value != other.value:
                return False
            continue
        if len(one.value) != len(other.value):
            return False
        for inner in zip(one.value, other.value):
            remaining += zip(*inner) if isinstance(inner[0], tuple) else [inner]
    return True


def _nodes(text: str) -> Any:
    yaml = _yaml()
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        # The others come from impossible escapes. Its own words would show what stands there.
        mark = getattr(error, "problem_mark", None)
        managed_block.refuse(f"is no valid YAML{f', line {mark.line + 1}' if mark else ''}")
    except RecursionError:
        managed_block.refuse("is nested too deeply")


def _yaml() -> Any:
    try:
        import yaml
    except ImportError as missing:
        raise MissingLibrary("PyYAML", "to write settings in YAML", str(missing)) from None
    return yaml
