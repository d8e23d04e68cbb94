# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What AWX knows of its objects, and what it refuses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

Fields = dict[str, Any]


class Refused(Exception):
    """AWX does not take what is given, and says why."""


def insist(condition: object, why: str) -> None:
    """Refuses what does not fulfil a condition."""
    if not condition:
        raise Refused(why)


def _with(blank: str, **others: Any) -> Fields:
    """What an object has where nothing is said: these fields are blank."""
    return {"name": "", "description": "", **dict.fromkeys(blank.split(), ""), **others}


KINDS: Mapping[str, Fields] = {
    "organizations": _with(""),
    "execution_environments": _with("image pull", organization=None),
    "credential_types": _with("kind", inputs={}, injectors={}, managed=False),
    "credentials": _with("", organization=None, credential_type=None, inputs={}),
    "notification_templates": _with("notification_type", organization=None, notification_configuration={}),
    "projects": _with("scm_type scm_url scm_branch scm_revision", organization=None, scm_update_on_launch=False),
    "project_updates": _with("", project=None, status="pending"),
    "inventories": _with("kind", organization=None, host_filter=None),
    "inventory_sources": _with(
        "source source_path",
        inventory=None,
        source_project=None,
        overwrite=False,
        overwrite_vars=False,
        update_on_launch=False,
    ),
    "job_templates": _with(
        "playbook job_type extra_vars",
        organization=None,
        project=None,
        inventory=None,
        execution_environment=None,
        ask_job_type_on_launch=False,
        become_enabled=False,
        survey_enabled=False,
    ),
    "schedules": _with("rrule", unified_job_template=None, extra_data={}),
}
UNIFIED_JOB_TEMPLATES = ("job_templates", "projects", "inventory_sources")
# Which fields hold the id of another object, and which lists of objects can be attached.
REFERENCES: Mapping[str, str] = {
    "organization": "organizations",
    "credential_type": "credential_types",
    "project": "projects",
    "source_project": "projects",
    "inventory": "inventories",
    "execution_environment": "execution_environments",
}
ATTACHED: Mapping[str, str] = {
    "credentials": "credentials",
    "galaxy_credentials": "credentials",
    "notification_templates_error": "notification_templates",
}

_INPUT = set("id label type format choices help_text multiline secret ask_at_runtime default".split())
# What a notification is told; where there is a default, it may be left out.
_NOTIFICATIONS: Mapping[str, Mapping[str, tuple[type, Any]]] = {
    "webhook": {
        "url": (str, None),
        "http_method": (str, "POST"),
        "disable_ssl_verification": (bool, False),
        "username": (str, ""),
        "password": (str, ""),
        "headers": (dict, None),
    },
    "email": {
        **dict.fromkeys("host username password sender".split(), (str, None)),
        **dict.fromkeys("use_tls use_ssl".split(), (bool, None)),
        "port": (int, None),
        "recipients": (list, None),
        "timeout": (int, 30),
    },
}
_ANSWERS: Mapping[str, type] = {
    **dict.fromkeys("text textarea password multiplechoice multiselect".split(), str),
    "integer": int,
    "float": float,
}


def rendered(node: Any, names: Mapping[str, str], undefined: type[jinja2.Undefined] = jinja2.Undefined) -> Any:
    """What the templates of an injector become."""
    if isinstance(node, dict):
        return {rendered(key, names, undefined): rendered(value, names, undefined) for key, value in node.items()}
    if isinstance(node, list):
        return [rendered(each, names, undefined) for each in node]
    return ImmutableSandboxedEnvironment(undefined=undefined).from_string(node).render(names)


def check_credential_type(fields: Fields) -> None:
    """Checks inputs and injectors, and completes the inputs as AWX does."""
    insist(fields["kind"] in ("cloud", "net"), "kind: Must be 'cloud' or 'net'.")
    inputs, injectors = fields["inputs"].get("fields", []), fields["injectors"]
    for field in inputs:
        field.setdefault("type", "string")
        insist(field.keys() <= _INPUT and {"id", "label"} <= field.keys(), f"inputs: {field} has wrong properties.")
    insist(injectors.keys() <= {"env", "extra_vars", "file"}, "injectors: Additional properties are not allowed.")
    reserved = [name for name in injectors.get("env", {}) if name.startswith("ANSIBLE_")]
    insist(not reserved, f"injectors: {reserved} may affect Ansible configuration.")
    try:
        rendered(injectors, {field["id"]: "EXAMPLE" for field in inputs}, jinja2.StrictUndefined)
    except jinja2.UndefinedError as error:
        raise Refused(f"injectors: uses an undefined field ({error}).") from None


def check_notification(fields: Fields) -> None:
    """Checks what a notification is told, and completes it as AWX does."""
    insist(fields["notification_type"] in _NOTIFICATIONS, "notification_type: This is not a valid choice.")
    told = fields["notification_configuration"]
    for name, (kind, default) in _NOTIFICATIONS[fields["notification_type"]].items():
        if default is not None:
            told.setdefault(name, default)
        insist(name in told, f"Missing required fields for Notification Configuration: {name}.")
        insist(isinstance(told[name], kind), f"Configuration field '{name}' incorrect type, expected {kind.__name__}.")


def check_schedule(fields: Fields, survey: Fields) -> None:
    """Checks when a template runs, and what it answers to the template's survey."""
    start = r"DTSTART(;TZID=[\w/+-]+:\d{8}T\d{6}|:\d{8}T\d{6}Z) "
    insist(re.match(start, fields["rrule"]), "rrule: Valid DTSTART required in rrule.")
    insist(re.search(r"RRULE:\S*INTERVAL=\d+", fields["rrule"]), "rrule: INTERVAL required in rrule.")
    questions = {question["variable"]: question for question in survey.get("spec", [])}
    insist(fields["extra_data"].keys() <= questions.keys(), "extra_data: Variables are not allowed on launch.")
    needed = {name for name, question in questions.items() if question["required"] and not question.get("default")}
    insist(needed <= fields["extra_data"].keys(), f"variables_needed_to_start: {sorted(needed)} value missing.")


def check_survey(survey: Fields) -> None:
    """Checks all questions of a survey."""
    for name, kind in (("name", str), ("description", str), ("spec", list)):
        insist(isinstance(survey.get(name), kind), f"Field '{name}' is missing from survey spec.")
    insist(survey["spec"], "'spec' doesn't contain any items.")
    variables = [question.get("variable") for question in survey["spec"]]
    insist(len(set(variables)) == len(variables), "'variable' duplicated in survey question.")
    for question in survey["spec"]:
        _check_question(question)


def _check_question(question: Fields) -> None:
    for name, kind in (("type", str), ("question_name", str), ("variable", str), ("required", bool)):
        insist(isinstance(question.get(name), kind), f"'{name}' missing from survey question.")
    insist(question["type"] in _ANSWERS, f"'{question['type']}' is not one of the allowed question types.")
    default = question.get("default", "")
    fits = default == "" or isinstance(default, _ANSWERS[question["type"]])
    insist(fits, f"Default value {default} has a wrong type.")
    insist(isinstance(question.get("max", 0), int), "The max limit is expected to be integer.")
    if question["type"] == "multiplechoice":
        choices = question.get("choices", [])
        insist(choices and all(isinstance(choice, str) for choice in choices), "It must specify choices.")
        insist(default in ("", *choices), "Default choice must be answered from the choices listed.")
