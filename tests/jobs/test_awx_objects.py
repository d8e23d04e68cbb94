# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""examples/awx/configure.yml, played with awx.awx against a stand-in for AWX."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import places
import pytest
import yaml
from integration.playing import Stage
from jobs import awx_collection, awx_project
from peers.awx import Awx

from ansible_collections.mailroom.core.plugins.module_utils._connector.fields import SECRETS
from ansible_collections.mailroom.core.plugins.module_utils._module import shared_options
from ansible_collections.mailroom.core.plugins.plugin_utils._variables import VARIABLES

GIVEN = (
    *("vault_ssh_key", "vault_mailroom_registry_key", "vault_mailroom_registry_password"),
    *("vault_alerts_smtp_password", "vault_support_imap_password"),
)
CREDENTIALS = {"Mail hosts", "Mail registry", "Mail database", "Mail connectors"}
DATABASE = "postgresql://mailroom@db.example.com/mail"


@pytest.fixture(scope="module")
def collections() -> str:
    """Where ansible-core finds awx.awx."""
    return f"{awx_collection.folder()}{os.pathsep}{places.COLLECTIONS}"


@pytest.fixture
def awx() -> Iterator[Awx]:
    with Awx(awx_project.PROJECT) as server:
        yield server


class Configuring:
    """Plays configure.yml with random secrets."""

    def __init__(self, stage: Stage, awx: Awx, collections: str) -> None:
        self.stage = stage
        self.secrets = {name: secrets.token_urlsafe(32) for name in GIVEN}
        self._environment = {
            "ANSIBLE_COLLECTIONS_PATH": collections,
            "CONTROLLER_HOST": awx.url,
            "CONTROLLER_OAUTH_TOKEN": awx.token,
        }

    def play(self, *arguments: object, **variables: Any) -> subprocess.CompletedProcess[str]:
        given = self.stage.write("given.json", {**self.secrets, **variables})
        command = [awx_project.CONFIGURE, "--extra-vars", f"@{given}", *arguments]
        return self.stage.run("playbook", *command, **self._environment)

    def changed(self, **variables: Any) -> list[str]:
        """The tasks that have changed something; their output is searched for secrets."""
        played = self.play("-vvv", **variables)
        assert played.returncode == 0, played.stdout
        assert not [name for name, secret in self.secrets.items() if secret in played.stdout]
        parts = re.split(r"^TASK \[", played.stdout, flags=re.MULTILINE)[1:]
        return [part.partition("]")[0] for part in parts if re.search(r"^changed: ", part, re.MULTILINE)]


@pytest.fixture
def configuring(stage: Stage, awx: Awx, collections: str) -> Configuring:
    return Configuring(stage, awx, collections)


MADE = [task["name"] for task in awx_project.tasks() if any(key.startswith("awx.awx.") for key in task)]


@pytest.mark.matrix  # and of `make applications`
def test_one_run_sets_up_everything_and_the_next_changes_nothing(configuring: Configuring, awx: Awx) -> None:
    assert configuring.changed(awx_database=DATABASE) == MADE
    stored = {value for name in CREDENTIALS for value in awx.all_of("credentials")[name].fields["inputs"].values()}
    assert set(configuring.secrets.values()) <= stored
    templates = awx.all_of("job_templates")
    assert {name.removeprefix("Mail connectors: ") for name in templates} == {"apply", "verify", "drift", "rotate"}
    for name, template in templates.items():
        assert template.fields["playbook"] == f"{name.removeprefix('Mail connectors: ')}.yml"
        assert template.survey["spec"]
        assert awx.attached(template, "notification_templates_error") == {"Mail connectors"}
        # What this credential injects would win over the answers to the survey.
        wanted = CREDENTIALS - {"Mail connectors"} if name.endswith(("rotate", "verify")) else CREDENTIALS
        assert awx.attached(template, "credentials") == wanted
    scheduled = [one.fields["unified_job_template"] for one in awx.all_of("schedules").values()]
    assert {awx.objects[number].fields["playbook"] for number in scheduled} == {"drift.yml", "verify.yml"}
    # AWX does not show secrets: that they are to be replaced has to be said.
    configuring.secrets = {name: secrets.token_urlsafe(32) for name in GIVEN}
    assert configuring.changed(awx_database=DATABASE) == []


def test_a_missing_secret_is_named_before_anything_is_made(configuring: Configuring, awx: Awx) -> None:
    before = len(awx.objects)
    played = configuring.play(vault_alerts_smtp_password="")
    assert played.returncode == 2, played.stdout
    assert "vault_alerts_smtp_password is missing: give it with --extra-vars @secrets.yml" in played.stdout
    assert len(awx.objects) == before


def test_credential_types_inject_what_is_read() -> None:
    types = awx_project.declared("credential_type")
    env = types["Mail registry"]["injectors"]["env"]
    assert env.keys() == {shared_options._ENVIRONMENT["registry"], shared_options._ENVIRONMENT["registry_key"]}
    database = types["Mail database"]["injectors"]
    assert database["env"].keys() == {shared_options._ENVIRONMENT["registry_password"]}
    assert database["extra_vars"].keys() <= VARIABLES.keys()
    layer = types["Mail connectors"]["injectors"]["extra_vars"]["mailroom_connectors_secrets"]
    connectors = inventory()["mailroom_connectors"]
    for name, blocks in layer.items():
        for block, fields in blocks.items():
            assert block in connectors[name]
            assert {f"{block}.{field}" for field in fields} <= SECRETS


def test_surveys_ask_for_what_the_playbooks_read() -> None:
    for name, template in awx_project.declared("job_template").items():
        asked = {question["variable"]: question for question in template["survey_spec"]["spec"]}
        answers = known(name)
        book = (awx_project.PROJECT / template["playbook"]).read_text(encoding="utf-8")
        for variable, question in asked.items():
            assert variable in answers or variable in book
            allowed = answers.get(variable, {}).get("choices")
            assert not allowed or set(question["choices"]) <= set(allowed)
        assert template.get("extra_vars", {}).keys() <= answers.keys()


def test_rotate_offers_secrets_only() -> None:
    (question,) = (
        question
        for question in awx_project.declared("job_template")["rotate"]["survey_spec"]["spec"]
        if question["variable"] == "rotated_secret"
    )
    assert set(question["choices"]) <= SECRETS


def known(playbook: str) -> dict[str, dict[str, Any]]:
    """The variables that a playbook of the collection reads, as its role specifies them."""
    role, entry = {
        "apply": ("environment", "main"),
        "drift": ("environment", "drift"),
        "rotate": ("connectors", "rotate"),
        "verify": ("verify", "main"),
    }[playbook]
    assert "mailroom_hosts" in (places.ROOT / "playbooks" / f"{playbook}.yml").read_text(encoding="utf-8")
    specs = (places.ROOT / "roles" / role / "meta" / "argument_specs.yml").read_text(encoding="utf-8")
    return {"mailroom_hosts": {}, **yaml.safe_load(specs)["argument_specs"][entry]["options"]}


def inventory() -> dict[str, Any]:
    """What the example's inventory declares for all hosts."""
    folder: Path = awx_project.PROJECT / "inventory" / "group_vars"
    variables: dict[str, Any] = yaml.safe_load((folder / "all.yml").read_text(encoding="utf-8"))
    return variables
