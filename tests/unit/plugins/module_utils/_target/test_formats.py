# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Values that are quoted for a format, read by the format's own parser. One program reads all values of a test."""

from __future__ import annotations

import configparser
import ctypes
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree as ET

import pytest
import yaml as pyyaml
from hostile_values import HOSTILE

from ansible_collections.mailroom.core.plugins.module_utils._errors import DeclarationError
from ansible_collections.mailroom.core.plugins.module_utils._target.formats import env, ini, literals, template, yaml
from ansible_collections.mailroom.core.plugins.module_utils._target.interface import FileTarget


def run(command: list[str], text: str) -> list[str]:
    """What a program prints, NUL after each value."""
    done = subprocess.run(command, input=text.encode(), capture_output=True, check=True)
    assert done.stderr == b""
    return done.stdout.decode().split("\0")[:-1]


def test_shell_reads_what_was_quoted() -> None:
    lines = env.lines({f"V{number}": value for number, value in enumerate(HOSTILE)})
    shown = "".join(f'printf "%s\\0" "$V{number}"\n' for number in range(len(HOSTILE)))
    assert run(["/bin/sh", "-u"], "\n".join(lines) + "\n" + shown) == HOSTILE


def test_systemd_reads_environment_files_alike(tmp_path: Path) -> None:
    """By the function that reads an EnvironmentFile, in the library that systemd itself uses."""
    library = next(Path("/usr/lib").glob("*/systemd/libsystemd-shared-*.so"))
    path = tmp_path / "environment"
    path.write_text("\n".join(env.lines({f"V{n}": value for n, value in enumerate(HOSTILE)})) + "\n", encoding="utf-8")
    found = ctypes.POINTER(ctypes.c_char_p)()
    load = ctypes.CDLL(str(library)).load_env_file
    assert load(None, str(path).encode(), ctypes.byref(found)) >= 0
    read = [value.decode() for value, _index in zip(iter(found), HOSTILE) if value]
    assert read == [f"V{number}={value}" for number, value in enumerate(HOSTILE)]


def test_php_reads_what_was_quoted() -> None:
    values = {str(number): value for number, value in enumerate(HOSTILE)}
    program = f'<?php\n$values = {literals.php(values)};\nforeach ($values as $value) echo $value, "\\0";\n'
    assert run(["php"], program) == HOSTILE


def test_php_reads_nested_arrays() -> None:
    settings = {"a": True, "b": 25, "c": {"d": {"e": "'"}, "f": False}}
    assert json.loads(run(["php"], f'<?php echo json_encode({literals.php(settings)}), "\\0";')[0]) == settings


def test_ruby_reads_what_was_quoted() -> None:
    values = {str(number): value for number, value in enumerate(HOSTILE)}
    program = f'# encoding: utf-8\n{literals.ruby(values)}.each {{ |_, value| print value, "\\0" }}\n'
    assert run(["ruby", "-Ku", "-"], program) == HOSTILE


def test_python_reads_what_was_quoted() -> None:
    assert [eval(literals.python(value)) for value in HOSTILE] == HOSTILE


def test_yaml_reads_what_was_quoted() -> None:
    values = {f"k{number}": value for number, value in enumerate(HOSTILE)}
    assert pyyaml.safe_load("\n".join(yaml.document(values))) == values


def test_yaml_reads_nested_settings() -> None:
    settings = {"a": {"b": ["x", "'"], "c": {}, "d": None}, "e": True, "f": 25, "g": {"h": ":"}}
    assert pyyaml.safe_load("\n".join(yaml.document(settings))) == settings


def test_configparser_reads_what_was_quoted() -> None:
    values = {f"k{number}": value for number, value in enumerate(HOSTILE) if not ini.python_problem(value)}
    assert len(values) > len(HOSTILE) / 2
    parser = configparser.RawConfigParser()
    parser.read_string("\n".join(ini.python_lines("s", values)))
    assert dict(parser.items("s")) == values


def test_what_is_appended_to_an_ini_file_can_be_taken_away() -> None:
    text = "[smtp]\nhost = old\n; comment\n[other]\na = b"
    written = ini.append_go_sections(text, {"smtp": {"host": "new:25"}})
    assert ini.managed_block.remove_block(written) == text + "\n"
    assert ini.append_go_sections(written, {"smtp": {"host": "new:25"}}) == written


def test_section_for_configparser_is_not_repeated() -> None:
    text = "[a]\nx = 1\n[mta]\n# comment\nhost: old\n  and more\nother = kept\n[b]\nhost = kept\n"
    written = ini.insert_python_section(text, "mta", {"host": "new"})
    parser = configparser.RawConfigParser()
    parser.read_string(written)
    assert {name: dict(parser.items(name)) for name in parser.sections()} == {
        "a": {"x": "1"},
        "mta": {"host": "new", "other": "kept"},
        "b": {"host": "kept"},
    }
    assert ini.managed_block.remove_block(written) == text


@pytest.mark.parametrize("text", ["host = 1\n[mta]\n", "[mta]\nx\n", "[mta]\n[mta]\n"])
def test_ini_file_that_configparser_cannot_read_is_refused(text: str) -> None:
    with pytest.raises(DeclarationError, match="path: is no valid ini file"):
        ini.insert_python_section(text, "mta", {"host": "new"})


READERS = {
    "json": json.loads,
    "yaml": pyyaml.safe_load,
    "url": unquote,
    "raw": str,
    "xml": lambda text: ET.fromstring(f"<a>{text}</a>").text or "",
}


@pytest.mark.parametrize("quoting", READERS)
def test_placeholder_is_read_as_the_value(quoting: str) -> None:
    for value in HOSTILE:
        text = template.fill_template(f"${{field|{quoting}}}", {"field": value})
        assert READERS[quoting](text) == value


def problems(text: str, **fields: object) -> list[str]:
    return [what for _field, what in template.problems(text, fields, FileTarget.forbidden)]


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        ("${x}", "s3cret", "line 1: ${x}: name how it is quoted, as in ${x|json}"),
        ("\n${x|html}", "s3cret", "line 2: ${x}: the quoting must be one of json, yaml, shell"),
        ("${s3cret|json}", "", "line 1: there is no such field; the fields are x"),
        ("${x", "", "line 1: ${ begins no placeholder"),
        ("${x|ini}", " s3cret", "line 1: ${x}: cannot begin or end with white space in ini"),
        ("${x|go_ini}", "%(s3cret)s", "line 1: ${x}: cannot hold %(…)s"),
        ("${x|shell}", "s3cret\n", "line 1: ${x}: holds a line break"),
        ("${x|raw}", ["s3cret"], "line 1: ${x}: holds more than one value"),
    ],
)
def test_placeholder_that_cannot_be_filled_is_refused(text: str, value: object, expected: str) -> None:
    (found,) = problems(text, x=value)
    assert found.startswith(expected)
    assert "s3cret" not in found


def filled_values() -> Iterator[tuple[str, str]]:
    yield "${smtp.host}:${smtp.port} ${on}", "h:25 true"
    yield "$${smtp.host} $5 $$", "${smtp.host} $5 $$"
    yield "${ list | json } ${none|json} ${none|raw}.", '["a", "b"] null .'


@pytest.mark.parametrize(("text", "expected"), list(filled_values()))
def test_template_is_filled(text: str, expected: str) -> None:
    fields = {"smtp.host": "h", "smtp.port": 25, "on": True, "list": ["a", "b"], "none": None}
    assert problems(text, **fields) == []
    assert template.fill_template(text, fields) == expected
