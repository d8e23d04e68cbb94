# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The body of the module connector_config: write an application's settings."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from .._apps.application import Application
from .._apps.applications import APPLICATIONS
from .._apps.sender import MAY_BE_LEFT_OUT, Finding, Sender, password_path, sender_of, unusable
from .._argspec import ArgumentSpec
from .._connector import checks
from .._connector.diff import CHANGED, STORED
from .._connector.resolve import candidates, resolve
from .._connector.state import Connector, Wanted, read_purpose
from .._errors import DeclarationError, Problem, RegistryError
from .._registry.interface import Reader, Registry
from .files import FileChange, back_up, is_open_to_all, read_text, write_files
from .jobs import load_named, open_secrets
from .registry import open_registry, registry_options
from .task import Task, run

_PASSWORD_FILE = "mailroom_password"


def argument_spec() -> ArgumentSpec:
    options = {
        "leave_out": {"type": "list", "elements": "str", "choices": list(MAY_BE_LEFT_OUT)},
        "password_file": {"type": "path", "no_log": False},
    }
    spec = ArgumentSpec(
        {
            "connector": {"type": "str"},
            "purpose": {"type": "str"},
            "tenant": {"type": "str"},
            "app": {"type": "str", "choices": list(APPLICATIONS), "required": True},
            "path": {"type": "path", "required": True},
            "owner": {"type": "str"},
            "group": {"type": "str"},
            "mode": {"type": "raw", "default": "0600"},
            "backup": {"type": "bool", "default": False},
            "options": {"type": "dict", "options": options},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
        mutually_exclusive=[("connector", "purpose")],
        required_by={"tenant": ("purpose",)},
        required_if=[("state", "present", ("connector", "purpose"), True)],
    )
    return spec.merge(registry_options())


def run_module() -> None:
    run(Task(argument_spec()), _connector_config)


def _connector_config(module: Task) -> dict[str, Any]:
    application = APPLICATIONS[module.params["app"]]
    path, password_file = _places(module.params, application)
    sender = _sender(module, application, password_file) if module.params["state"] == "present" else None
    changes = _changes(application, path, sender)
    kept = back_up(module, changes, path) if module.params["backup"] and not module.check_mode else {}
    written = write_files(module, changes)
    holder = password_file or path
    if sender and sender.password and is_open_to_all(holder):
        module.warn(f"Everybody on this host can read the password in {holder}: give a mode such as 0600 or 0640.")
    return {"connector": sender.connector if sender else None, "path": path, **kept, **written}


def _places(params: Mapping[str, Any], application: Application) -> tuple[str, str]:
    """The file of the settings and that of the password, empty where it has none."""
    given = {"path": params["path"], "options.password_file": (params["options"] or {}).get("password_file")}
    problems = [
        problem
        for option, value in given.items()
        if value is not None
        for problem in checks.complaint(checks.absolute_path, value, "", option)
    ]
    if problems:
        raise DeclarationError(problems)
    path = os.path.realpath(given["path"])
    apart = os.path.join(os.path.dirname(path), _PASSWORD_FILE) if application.keeps_password_apart else ""
    password_file = given["options.password_file"] or apart
    if params["state"] == "present":
        _check_places(path, password_file, application)
    return path, password_file


def _check_places(path: str, password_file: str, application: Application) -> None:
    for option, place in (("path", path), ("options.password_file", password_file)):
        if place and not os.path.isdir(os.path.dirname(place)):
            raise DeclarationError([Problem("", option, "is in a folder that does not exist")])
    if application.keeps_password_apart and not os.path.exists(path):
        raise DeclarationError([Problem("", "path", f"does not exist: {application.name} is configured there first")])
    if os.path.realpath(password_file) == path:
        raise DeclarationError([Problem("", "options.password_file", "must be another file than path")])


def _sender(module: Task, application: Application, password_file: str) -> Sender:
    """What the connector sends with, or all that the application cannot express of it."""
    registry = open_registry(module)
    with registry.reading() as reader:
        connector = _chosen(module.params, registry, reader)
        refused = unusable(connector)
        if refused:
            raise _refusal(connector, [refused])
        path = password_path(connector)
        secrets = open_secrets(reader, connector, [path] if path else [])
    leave_out = (module.params["options"] or {}).get("leave_out") or ()
    sender = sender_of(connector, secrets, password_file, leave_out)
    findings = list(application.refusals(sender))
    if findings:
        raise _refusal(connector, findings)
    return sender


def _refusal(connector: Connector, findings: Sequence[Finding]) -> DeclarationError:
    return DeclarationError([Problem(f"connector {connector.name}", *finding) for finding in findings])


def _chosen(params: Mapping[str, Any], registry: Registry, reader: Reader) -> Connector:
    if params["purpose"]:
        purpose, problems = read_purpose(params["purpose"], params["tenant"])
        if problems:
            raise DeclarationError(problems)
        return resolve(purpose, reader.load(Wanted(frozenset(), frozenset(candidates(purpose)))))
    name = params["connector"]
    problems = checks.complaint(checks.connector_name, name, "", "connector")
    if problems:
        raise DeclarationError(problems)
    state = load_named(registry, reader, [name])
    if name in state.damaged:
        raise RegistryError(str(state.damaged[name]))
    return state.connectors[name]


def _changes(application: Application, path: str, sender: Sender | None) -> list[FileChange]:
    """The file of the password first: settings never name one that is not there."""
    settings = _settings_change(application, path, sender)
    password = application.password_text(sender) if sender else None
    current = sender.password_file if sender and password is not None else ""
    former = application.password_file_in(settings.before or "")
    changes = [_password_change(current, password), settings] if current else [settings]
    return changes if former in ("", current) else [*changes, _password_change(former, None)]


def _settings_change(application: Application, path: str, sender: Sender | None) -> FileChange:
    before = read_text(path)
    text = before or ""
    after = application.write(text, sender) if sender else application.clear(text)
    is_own_file = not application.keeps_password_apart
    gone = not after and (is_own_file or before is None)
    # What was not written for a sender is somebody else's, and so are its owner and mode.
    private = is_own_file and sender is not None
    return FileChange(path, before, None if gone else after, application.difference(text, after), private)


def _password_change(path: str, after: str | None) -> FileChange:
    before = read_text(path)
    shown = ("" if before is None else f"{STORED}\n", "" if after is None else f"{CHANGED}\n")
    return FileChange(path, before, after, shown, private=True)
