# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write what is derived from the tables in the code: documentation fragments and the pages of
providers and verdicts.

With --check nothing is written; the exit code tells whether everything is fresh.
"""

from __future__ import annotations

import importlib
import re
import sys
import types
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
COPYRIGHT, LICENCE = (line[2:] for line in Path(__file__).read_text(encoding="utf-8").splitlines()[:2])
FIELD_REFERENCE = re.compile(r"O\(((?:smtp|imap|graph|oauth2|provider|from_address)\b)")


def _load(module: str) -> Any:
    """Import a file of the core, which knows nothing of where the collection is installed."""
    if "mailroom_utils" not in sys.modules:
        package = types.ModuleType("mailroom_utils")
        package.__path__ = [str(ROOT / "plugins" / "module_utils")]
        sys.modules["mailroom_utils"] = package
    return importlib.import_module(f"mailroom_utils.{module}")


def field_options(fields: Iterable[Any], prefix: str) -> dict[str, Any]:
    return {field.name: _option(field, prefix) for field in fields}


def _option(field: Any, prefix: str) -> dict[str, Any]:
    lines = [FIELD_REFERENCE.sub(lambda match: f"O({prefix}{match.group(1)}", line) for line in field.description]
    if field.choices:
        shown = [choice for choice in field.choices if not choice.startswith("ses_")]
        lines.append("One of " + ", ".join(f"V({choice})" for choice in shown) + ".")
    option: dict[str, Any] = {"description": lines, "type": field.type}
    if field.elements:
        option["elements"] = field.elements
    if field.fields:
        option["suboptions"] = field_options(field.fields, prefix)
    return option


class _Dumper(yaml.SafeDumper):
    """Indents lists below their key, as yamllint wants it."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> Any:
        return super().increase_indent(flow, False)


def _yaml(data: Any) -> str:
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, width=110, allow_unicode=True)


def fields_fragment() -> str:
    fields = _load("_connector.fields").FIELDS
    name = {
        "description": ["The connector's name: 1 to 50 letters, digits or underscores."],
        "type": "str",
        "required": True,
    }
    in_list = {
        "connectors": {
            "description": [
                "The connectors, each as a whole: what an entry leaves out returns to its default, secrets excepted.",
            ],
            "type": "list",
            "elements": "dict",
            "required": True,
            "suboptions": {"name": name, **field_options(fields, "connectors[].")},
        }
    }
    inline_name = {"description": ["A name for the results. Default: V(declaration)."], "type": "str"}
    inline = {
        "declaration": {
            "description": [
                "A connector that is not stored, tested as it is declared here. It never borrows a stored secret.",
            ],
            "type": "dict",
            "suboptions": {"name": inline_name, **field_options(fields, "declaration.")},
        }
    }
    return f'''# {COPYRIGHT}
# {LICENCE}

# This file is private to the collection mailroom.core and may change at any time.
# It is generated from plugins/module_utils/_connector/fields.py by tests/update_fragments.py.

from __future__ import annotations


class ModuleDocFragment:
    """The fields of a connector, wherever a module takes them."""

    DOCUMENTATION = r"""
{_yaml({"options": field_options(fields, "")})}"""

    LIST = r"""
{_yaml({"options": in_list})}"""

    INLINE = r"""
{_yaml({"options": inline})}"""
'''


def providers_page() -> str:
    presets = _load("_connector.presets").PRESETS
    title = "Providers"
    lines = [
        "..",
        f"  {COPYRIGHT}",
        f"  {LICENCE}",
        "",
        "..",
        "  Generated from plugins/module_utils/_connector/presets.py by tests/update_fragments.py.",
        "",
        ".. _ansible_collections.mailroom.core.docsite.providers:",
        "",
        title,
        "=" * len(title),
        "",
        "``provider`` fills host, port and security of ``smtp`` and ``imap``. What is given explicitly wins. It is",
        "resolved when the connector is written, so that an upgrade of the collection moves no connector. Encryption",
        "is always required. Case is ignored.",
        "",
        ".. list-table::",
        "  :header-rows: 1",
        "",
        "  * - ``provider``",
        "    - Sends through",
        "    - Other ports",
        "    - Reads from",
        "    - Signing in",
    ]
    for name, preset in presets.items():
        smtp, imap = preset["smtp"], preset.get("imap")
        others = ", ".join(str(port) for port in preset["ports"] if port != smtp["port"])
        lines += [
            f"  * - ``{name}``",
            f"    - {_server(smtp)}",
            f"    - {others or '(none)'}",
            f"    - {_server(imap) if imap else '(nothing)'}",
            f"    - {preset['sign_in']}",
        ]
    lines += ["", "Other names are understood as well, and the provider's own name is stored:", ""]
    for name in presets:
        words = [word for word, preset in _load("_connector.presets").ALIASES.items() if preset == name]
        if words:
            lines.append(f"* ``{name}``: {', '.join(f'``{word}``' for word in words)}")
    return "\n".join(lines) + "\n"


def _server(server: dict[str, Any]) -> str:
    return f"``{server['host']}`` port {server['port']}, {server['security']}"


def verdicts_page() -> str:
    verdicts = _load("_verdict.table").VERDICTS
    title = "Verdicts"
    lines = [
        "..",
        f"  {COPYRIGHT}",
        f"  {LICENCE}",
        "",
        "..",
        "  Generated from plugins/module_utils/_verdict by tests/update_fragments.py.",
        "",
        ".. _ansible_collections.mailroom.core.docsite.verdicts:",
        "",
        title,
        "=" * len(title),
        "",
        "What a test says of a connector. In a result, ``certainty`` tells how sure that is, ``remedy`` what to do",
        "next for this very connector; here {host}, {text} and the like stand for what is known of it.",
    ]
    group = ""
    for name, verdict in verdicts.items():
        if verdict.group != group:
            group = verdict.group
            lines += ["", group.capitalize(), "-" * len(group)]
        lines += ["", f"``{name}``", "^" * (len(name) + 4), "", *_about(name, verdict)]
    return "\n".join(lines) + "\n"


def _about(name: str, verdict: Any) -> list[str]:
    """What a verdict means, how it is recognised, and what to do, also in the cases that are told apart."""
    lines = [verdict.meaning]
    if verdict.recognised:
        lines += ["", f"*Recognised by:* {verdict.recognised}"]
    if verdict.remedy:
        lines += ["", f"*What to do:* {verdict.remedy}"]
    told_apart = dict.fromkeys(
        line.remedy for line in _load("_verdict.connection_rules").CONNECTION_RULES if line.verdict == name
    )
    told_apart.pop("", None)
    if told_apart:
        lines += ["", "*Where more is known:*", "", *(f"- {remedy}" for remedy in told_apart)]
    return lines


GENERATED = {
    "plugins/doc_fragments/_fields.py": fields_fragment,
    "docs/docsite/rst/providers.rst": providers_page,
    "docs/docsite/rst/verdicts.rst": verdicts_page,
}


def main(arguments: list[str]) -> int:
    stale = []
    for path, generate in GENERATED.items():
        target, text = ROOT / path, generate()
        if target.exists() and target.read_text(encoding="utf-8") == text:
            continue
        stale.append(path)
        if "--check" not in arguments:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
    for path in stale:
        sys.stdout.write(
            f"{path}: {'is stale, run tests/update_fragments.py' if '--check' in arguments else 'written'}\n"
        )
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
