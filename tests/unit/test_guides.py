# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright the mailroom.core contributors
"""What the guides declare is accepted, and what they say of verdicts, clouds and dates is what the code says."""

from __future__ import annotations

import importlib
import json
import re
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ModuleArgumentSpecValidator

from ansible_collections.mailroom.core.plugins.module_utils._check.warnings import RETIREMENTS
from ansible_collections.mailroom.core.plugins.module_utils._connector.clouds import CLOUDS
from ansible_collections.mailroom.core.plugins.module_utils._connector.declaration import CLIENT_CREDENTIALS
from ansible_collections.mailroom.core.plugins.module_utils._connector.fields import BLOCKS, SECRETS
from ansible_collections.mailroom.core.plugins.module_utils._connector.layers import merge_layers
from ansible_collections.mailroom.core.plugins.module_utils._connector.plan import Plan, Request
from ansible_collections.mailroom.core.plugins.module_utils._connector.planning import make_plan
from ansible_collections.mailroom.core.plugins.module_utils._connector.state import Stamp, State
from ansible_collections.mailroom.core.plugins.module_utils._errors import DeclarationError
from ansible_collections.mailroom.core.plugins.module_utils._module import connector, connectors, inline
from ansible_collections.mailroom.core.plugins.module_utils._verdict.diagnosis import diagnose
from ansible_collections.mailroom.core.plugins.module_utils._verdict.observation import Observation
from ansible_collections.mailroom.core.plugins.module_utils._verdict.table import REMEDIES

ROOT = Path(__file__).resolve().parents[2]
RST = ROOT / "docs" / "docsite" / "rst"
SIGNING_IN = RST / "signing_in.rst"
COLLECTION = "mailroom.core."
MODULES = tuple(path.stem for path in (ROOT / "plugins" / "modules").glob("*.py"))
EXPRESSION = re.compile(r"\{\{ *(\w+) *\}\}")
# What stands for the value of a variable in which more than a word is expected.
PEM = "".join(f"-----BEGIN {what}-----\nAA==\n-----END {what}-----\n" for what in ("PRIVATE KEY", "CERTIFICATE"))
LISTS = {"{{ notices }}": [{"to": "ann@example.com", "subject": "Hello"}]}
KEY = json.dumps({"type": "service_account", "client_email": "mailroom@project.example", "private_key": PEM})
PLUGINS = {"modules": "module", "filter": "filter", "lookup": "lookup", "callback": "callback"}
SAMPLES = {"_certificate": PEM, "_service_account": KEY}


class Task(NamedTuple):
    """A task of a page, as it is written there."""

    page: str
    name: str
    module: str
    options: dict[str, Any]


def _blocks(page: str) -> Iterator[Any]:
    """What stands in a page's blocks of YAML, in reStructuredText or Markdown."""
    in_rst = r"^( *)\.\. code-block:: yaml\n(?:\1 +:.*\n)*\n(?P<block>(?:\1 +\S.*\n|\s*\n)+)"
    in_markdown = r"^```yaml\n(?P<block>(?:.*\n)+?)```$"
    for pattern in (in_rst, in_markdown):
        for match in re.finditer(pattern, page, re.MULTILINE):
            yield yaml.safe_load(textwrap.dedent(match["block"]))


def _tasks(blocks: Any) -> Iterator[dict[str, Any]]:
    """The tasks of a block, which may be a list of them or of plays."""
    for entry in blocks if isinstance(blocks, list) else []:
        if isinstance(entry, dict):
            yield entry
            for inner in ("pre_tasks", "tasks", "post_tasks", "block"):
                yield from _tasks(entry.get(inner))


def _tasks_of(page: Path) -> Iterator[Task]:
    for block in _blocks(page.read_text(encoding="utf-8")):
        for task in _tasks(block):
            for key in task:
                if key.startswith(COLLECTION):
                    yield Task(page.name, task["name"], key.removeprefix(COLLECTION), task[key] or {})


TASKS = [task for page in sorted(RST.glob("*.rst")) for task in _tasks_of(page)]
OF_README = list(_tasks_of(ROOT / "README.md"))


def _filled(value: Any) -> Any:
    """A value with samples in place of its variables."""
    if isinstance(value, dict):
        return {key: _filled(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner) for inner in value]
    if value in LISTS:
        return LISTS[value]
    return EXPRESSION.sub(lambda match: _sample(match[1]), value) if isinstance(value, str) else value


def _sample(variable: str) -> str:
    return next((sample for end, sample in SAMPLES.items() if variable.endswith(end)), "Rumpelstilzchen-7f3a9c51e2")


def _plan(module: str, options: Mapping[str, Any]) -> Plan | None:
    """What a task would do to an empty registry; nothing for those that ask for what is there, or change it."""
    written = _filled(dict(options))
    spec = importlib.import_module(f"{connector.__package__}.{module}").argument_spec().to_kwargs()
    result = ModuleArgumentSpecValidator(**spec).validate(written)
    assert not result.error_messages
    params = result.validated_parameters
    if module == "connector":
        request = connector.parse_request(params, written)
        return _made(request) if any(block in written for block in ("smtp", "imap", "graph")) else None
    if module == "connectors":
        return _made(connectors.parse_request(params, written))
    if module == "connector_test" and params["declaration"]:
        declaration, problems = inline.parse_inline(params["declaration"])
        return _made(Request((declaration,), problems=tuple(problems)))
    return None


def _made(request: Request) -> Plan:
    if request.problems:
        raise DeclarationError(request.problems)
    return make_plan(request, State(), lambda _token, _secret: False, Stamp("", ""))


def _ids(task: Task) -> str:
    return f"{task.page}: {task.name}"


def _declared(task: Task) -> Iterator[Mapping[str, Any]]:
    """The connectors that a task declares."""
    if task.module == "connector":
        yield task.options
    elif "declaration" in task.options:
        yield task.options["declaration"]
    else:
        yield from (each for each in task.options.get("connectors", ()) if isinstance(each, dict))


def test_there_is_something_to_read() -> None:
    assert len([task for task in TASKS if task.page == SIGNING_IN.name]) >= 14
    assert {task.module for task in OF_README} == {"connector", "connector_test", "mail"}
    assert {task.module for task in TASKS} == {module for module in MODULES if not module.startswith("_")}


@pytest.mark.parametrize("task", [*TASKS, *OF_README], ids=_ids)
def test_a_task_is_accepted_without_a_warning(task: Task) -> None:
    assert task.module in MODULES
    plan = _plan(task.module, task.options)
    remarks = plan.warnings if plan else ()
    assert [remark for remark in remarks if "oauth2.password" not in remark] == []


def test_secrets_come_from_a_vault_and_nothing_else_does() -> None:
    written = [
        (_ids(task), f"{block}.{name}", str(value).startswith("{{ vault_"))
        for task in TASKS
        for declared in _declared(task)
        for block in BLOCKS
        for name, value in declared.get(block, {}).items()
    ]
    assert [(task, path) for task, path, in_vault in written if in_vault != (path in SECRETS)] == []


def test_the_way_that_is_being_retired_is_warned_about() -> None:
    plans = [_plan(task.module, task.options) for task in TASKS if "password" in task.options.get("oauth2", {})]
    assert [["oauth2.password" in remark for remark in plan.warnings] for plan in plans if plan] == [[True]]


def test_every_way_to_get_a_token_has_an_example() -> None:
    shown = {way for task in TASKS for way in task.options.get("oauth2", {})}
    assert {*CLIENT_CREDENTIALS, "token_url", "password"} - shown == set()


class Row(NamedTuple):
    """A row of a table."""

    header: str
    cells: list[str]


def _rows(page: str) -> Iterator[Row]:
    for table in re.findall(r"^\.\. list-table::\n(?: +:.*\n)*\n((?: +.*\n)+)", page, re.MULTILINE):
        rows = [
            [" ".join(cell.split()) for cell in re.split(r"^ {4}- ", row, flags=re.MULTILINE)]
            for row in re.split(r"^ {2}\* - ", table, flags=re.MULTILINE)[1:]
        ]
        yield from (Row(rows[0][0], cells) for cells in rows[1:])


ROWS = list(_rows(SIGNING_IN.read_text(encoding="utf-8")))
FAILURES = [row.cells for row in ROWS if row.header == "Verdict"]
CODES = [(code, cells[0].strip("`")) for cells in FAILURES for code in re.findall(r"AADSTS(\d+)", cells[1])]
GRAPH_CODES = [
    (int(status), code, cells[0].strip("`"))
    for cells in FAILURES
    for status, code in re.findall(r"``(4\d\d) (\w+)``", cells[1])
]


def test_only_verdicts_that_exist_are_explained() -> None:
    assert len(FAILURES) > 30
    assert {cells[0] for cells in FAILURES} <= {f"``{verdict}``" for verdict in REMEDIES}


def test_every_verdict_about_tokens_is_explained() -> None:
    explained = {cells[0].strip("`") for cells in FAILURES}
    assert {verdict for verdict in REMEDIES if verdict.startswith("token_")} <= explained


def test_code_of_entra_has_the_verdict_that_the_guide_says() -> None:
    observations = [
        Observation("token", phase="token", code=400, enhanced=f"invalid_request {code}") for code, _verdict in CODES
    ]
    found = [diagnose(observation).verdict for observation in observations]
    assert list(zip((code for code, _verdict in CODES), found)) == CODES


def test_code_of_graph_has_the_verdict_that_the_guide_says() -> None:
    found = [
        (status, code, diagnose(Observation("graph", phase="mailbox", code=status, enhanced=code)).verdict)
        for status, code, _verdict in GRAPH_CODES
    ]
    assert found == GRAPH_CODES


def test_the_clouds_are_those_of_the_table() -> None:
    told = {row.cells[0]: row.cells[2:] for row in ROWS if row.header == "``cloud``"}
    assert told == {f"``{name}``": [f"``{address}``" for address in cloud] for name, cloud in CLOUDS.items()}


def test_the_dates_are_those_of_the_data() -> None:
    page = " ".join(SIGNING_IN.read_text(encoding="utf-8").split())
    smtp = next(each for each in RETIREMENTS if each.protocols == ("smtp",))
    assert smtp.announced in page
    for date in ("end of December 2026", "second half of 2027"):
        assert date in smtp.text
        assert date in page
    imap = next(each for each in RETIREMENTS if each.protocols == ("imap",))
    assert imap.announced.startswith("2022-10")
    assert "since October 2022" in page


def test_the_pages_are_registered() -> None:
    listed = yaml.safe_load((RST.parent / "extra-docs.yml").read_text(encoding="utf-8"))
    pages = [page for section in listed["sections"] for page in section["toctree"]]
    assert sorted(pages) == sorted(path.stem for path in RST.glob("*.rst"))


def test_start_page_lists_all_pages_of_the_site() -> None:
    index = (RST.parent / "index.rst").read_text(encoding="utf-8")
    guides = [f"docsite/{path.stem}" for path in RST.glob("*.rst")]
    roles = [f"{path.name}_role" for path in (ROOT / "roles").iterdir()]
    plugins = [
        f"{path.stem}_{kind}"
        for folder, kind in PLUGINS.items()
        for path in (ROOT / "plugins" / folder).iterdir()
        if path.suffix in (".py", ".yml") and not path.name.startswith("_")
    ]
    filters = {name for name in plugins if name.endswith("_filter")}
    assert filters, "the test looks in the wrong place"
    assert sorted(re.findall(r"^  (?:[\w ]+ <)?([a-z_/]+)>?$", index, re.MULTILINE)) == sorted(
        [*guides, *roles, *plugins, "environment_variables"]
    )


def test_links_of_the_readme_exist() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)]+)\)", text) if not link.startswith("https://")]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


@pytest.mark.parametrize("page", [RST / "environments.rst", ROOT / "README.md"], ids=lambda page: page.name)
def test_the_layers_of_an_environment_are_accepted(page: Path) -> None:
    blocks = [block for block in _blocks(page.read_text(encoding="utf-8")) if isinstance(block, dict)]
    names = ("mailroom_connectors", "mailroom_connectors_environment", "mailroom_connectors_secrets")
    layers = {name: block[name] for name in names for block in blocks if name in block}
    assert list(layers) == list(names)
    plan = _plan("connectors", {"connectors": merge_layers(layers)})
    assert plan
    assert plan.created == ["alerts"]
