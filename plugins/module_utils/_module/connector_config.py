# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The body of the module connector_config: write an application's settings."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from typing import Any

from .._argspec import ArgumentSpec
from .._connector import checks
from .._connector.diff import CHANGED, STORED
from .._connector.resolved import resolve_connector
from .._connector.secret import Secret
from .._connector.state import Connector, parse_purpose
from .._errors import DeclarationError, FieldMessage, MailroomError, Problem, RegistryError, printable
from .._registry.registry import Reader, Registry
from .._target.interface import MAY_BE_LEFT_OUT, FileTarget, Sender, password_path, sender_of, unusable
from .._target.targets import FILE_TARGETS
from .attributes import wanted_attributes
from .files import FileChange, FileContent, read_file, write_files
from .safe_path import Location, is_closed, locate, trusted_users
from .shared_options import open_registry, registry_files, registry_options
from .stored import load_named, look_up, open_secrets
from .task import Task, run

_PASSWORD_FILE = "mailroom_password"
_LONGEST_SHOWN = 200


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
            "app": {"type": "str", "choices": list(FILE_TARGETS), "required": True},
            "path": {"type": "path", "required": True},
            "owner": {"type": "str"},
            "group": {"type": "str"},
            "mode": {"type": "raw", "default": "0600"},
            "backup": {"type": "bool", "default": False},
            "follow": {"type": "bool", "default": False},
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
    application = FILE_TARGETS[module.params["app"]]
    _check_paths(module.params)
    wanted = wanted_attributes(module)
    with ExitStack() as opened:
        settings, password, password_file = _locate_files(module, opened, application)
        _check_locations(module, application, settings, password)
        registry = open_registry(module) if module.params["state"] == "present" else None
        sender = _sender(module, registry, application, password_file) if registry else None
        change = _settings_change(application, settings, sender, wanted.owner)
        needed = password if sender and sender.password else None
        changes = [change]
        if needed and sender:
            # Before the settings, which never name a file that is not there.
            changes.insert(0, _password_change(application, needed, sender, wanted.owner))
        for location in _unused_locations(change, password, needed, _former_file(application, change)):
            changes += _removal(module, registry, application, location, wanted.owner)
        written = write_files(module, changes, wanted, change if module.params["backup"] else None)
        _warn_of_former_file(module, application, change, password_file)
        if not module.check_mode:
            for each in changes:
                if each is not change:
                    _keep_record(module, registry, application, each)
        if sender and sender.password:
            _warn_of_others(module, password or settings)
    return {"connector": sender.connector if sender else None, "path": settings.path, **written}


def _check_paths(params: Mapping[str, Any]) -> None:
    given = {"path": params["path"], "options.password_file": (params["options"] or {}).get("password_file")}
    problems = [
        problem
        for option, value in given.items()
        if value is not None
        for problem in checks.run_check(checks.absolute_path, value, "", option)
    ]
    if problems:
        raise DeclarationError(problems)


def _warn_of_missing_folder(module: Task, option: str, location: Location) -> None:
    """In check mode an earlier task may be going to make the folder."""
    if not location.has_folder and module.params["state"] == "present":
        module.warn(f"{option}: is in a folder that does not exist yet: {os.path.dirname(location.path)}")


def _locate_files(module: Task, opened: ExitStack, application: FileTarget) -> tuple[Location, Location | None, str]:
    """The files of the settings and of the password, and its path as the settings name it; empty where it has none."""
    params = module.params
    is_present = params["state"] == "present"
    may_lack_folder = module.check_mode or not is_present
    place = locate(params["path"], "path", follow=params["follow"], may_lack_folder=may_lack_folder)
    settings = opened.enter_context(place)
    _warn_of_missing_folder(module, "path", settings)
    given = (params["options"] or {}).get("password_file")
    if not application.keeps_password_apart:
        return settings, None, given or ""
    path = given or settings.sibling(_PASSWORD_FILE).path
    try:
        password = opened.enter_context(locate(path, "options.password_file", may_lack_folder=may_lack_folder))
    except MailroomError as error:
        if is_present:
            raise
        _warn_of_what_is_left(module, path, str(error))
        return settings, None, path
    _warn_of_missing_folder(module, "options.password_file", password)
    return settings, password, path


def _check_locations(module: Task, application: FileTarget, settings: Location, password: Location | None) -> None:
    problems = []
    files = registry_files(module)
    for option, location in (("path", settings), ("options.password_file", password)):
        if location and location.is_one_of(files):
            problems.append(Problem("", option, "must be another file than the registry, its journal and its key file"))
    if password and password.is_same(settings):
        problems.append(Problem("", "options.password_file", "must be another file than path"))
    is_needed = application.keeps_password_apart and module.params["state"] == "present"
    if is_needed and settings.has_folder and settings.status() is None:
        problems.append(Problem("", "path", f"does not exist: {application.name} is configured there first"))
    if problems:
        raise DeclarationError(problems)


def _sender(module: Task, registry: Registry, application: FileTarget, password_file: str) -> Sender:
    """What the connector sends with, or all that the application cannot express of it."""
    with registry.reading() as reader:
        connector = _chosen(module, registry, reader)
        resolved = resolve_connector(connector)
        refused = unusable(resolved)
        if refused:
            raise _refusal(connector, [refused])
        path = password_path(resolved)
        resolved = resolve_connector(connector, open_secrets(reader, connector, [path] if path else []))
    leave_out = (module.params["options"] or {}).get("leave_out") or ()
    sender = sender_of(resolved, password_file, leave_out)
    findings = list(application.unsupported(sender))
    if findings:
        raise _refusal(connector, findings)
    return sender


def _refusal(connector: Connector, findings: Sequence[FieldMessage]) -> DeclarationError:
    return DeclarationError([Problem(f"connector {connector.name}", *finding) for finding in findings])


def _chosen(module: Task, registry: Registry, reader: Reader) -> Connector:
    params = module.params
    if params["purpose"]:
        purpose, problems = parse_purpose(params["purpose"], params["tenant"])
        if problems:
            raise DeclarationError(problems)
        return look_up(module, reader, purpose)[1].connector
    name = params["connector"]
    problems = checks.run_check(checks.connector_name, name, "", "connector")
    if problems:
        raise DeclarationError(problems)
    state = load_named(registry, reader, [name])
    if name in state.damaged:
        raise RegistryError(str(state.damaged[name]))
    return state.connectors[name]


def _settings_change(
    application: FileTarget, location: Location, sender: Sender | None, owner: int | None
) -> FileChange:
    before = read_file(location, owner)
    text = before.text if before else ""
    is_own_file = not application.keeps_password_apart
    if sender and "\0" in text and not is_own_file:
        raise DeclarationError([Problem("", "path", "holds NUL characters, so it is no text")])
    after = application.render(text, sender) if sender else application.clear(text)
    gone = not after and (is_own_file or before is None)
    # What was not written for a sender is somebody else's, and so are its owner and mode.
    private = is_own_file and sender is not None
    return FileChange(location, before, None if gone else after, application.difference(text, after), private)


def _password_change(application: FileTarget, location: Location, sender: Sender, owner: int | None) -> FileChange:
    before = read_file(location, owner)
    after = application.password_text(sender)
    mark = application.password_mark
    if before and after and before.text.removeprefix(mark) == after.removeprefix(mark):
        # An earlier version wrote no mark, and adding it would change nothing for the application.
        after = before.text
    return FileChange(location, before, after, (f"{STORED}\n" if before else "", f"{CHANGED}\n"), private=True)


def _former_file(application: FileTarget, settings: FileChange) -> str:
    """The password file that settings name which are about to change. Anybody who can write them may have named it."""
    return application.password_file_in(settings.before.text) if settings.before and settings.differs else ""


def _unused_locations(
    settings: FileChange, password: Location | None, needed: Location | None, former: str
) -> list[Location]:
    """Where a password may be that is not needed any more: where the task says, else beside the settings.

    Never where only the settings say. They only decide whether the file beside them is theirs or another application's.
    """
    beside = settings.location.sibling(_PASSWORD_FILE)
    unused = [password] if password and not needed else []
    return unused + ([beside] if former == beside.path and password and not beside.is_same(password) else [])


def _removal(
    module: Task, registry: Registry | None, application: FileTarget, location: Location, owner: int | None
) -> list[FileChange]:
    """Remove the file of a password that is not needed any more, if it is there and beyond doubt ours."""
    try:
        before = read_file(location, owner)
        if before is None:
            return []
        if not is_closed(location.folder_status(), trusted_users() | {owner}):
            raise MailroomError(
                "others than root, the user that runs the task and the given owner can write its folder"
            )
        if not _is_ours(module, registry, application, location, before):
            raise MailroomError("it is not known to be as this module has written it")
    except MailroomError as error:
        _warn_of_what_is_left(module, location.path, str(error))
        return []
    return [FileChange(location, before, None, (f"{STORED}\n", ""), private=True)]


def _is_ours(
    module: Task, registry: Registry | None, application: FileTarget, location: Location, content: FileContent
) -> bool:
    """Whether a file has our mark, or the registry knows that just this was written to it."""
    if _is_marked(application, content.text):
        return True
    try:
        with (registry or open_registry(module)).reading() as reader:
            return reader.wrote_file(location.path, Secret(content.text))
    except (MailroomError, UnicodeEncodeError):
        # What is no UTF-8 was not written by us.
        return False


def _is_marked(application: FileTarget, text: str) -> bool:
    return bool(application.password_mark) and text.startswith(application.password_mark)


def _keep_record(module: Task, registry: Registry | None, application: FileTarget, change: FileChange) -> None:
    """Record that a file without our mark is ours, or that it is gone."""
    path = change.location.path
    if change.after is None:
        # Should that fail, the record is of no use without a file that still is what it was.
        with suppress(MailroomError, UnicodeEncodeError):
            registry = registry or open_registry(module)
            if registry.exists():
                registry.write(lambda writer: writer.forget_file(path))
        return
    if not registry or _is_marked(application, change.after):
        return
    try:
        content = Secret(change.after)
        with registry.reading() as reader:
            if reader.wrote_file(path, content):
                return
        registry.write(lambda writer: writer.record_file(path, content))
    except (MailroomError, UnicodeEncodeError):
        module.warn(
            f"The registry could not record that {path} was written by this task, so that no later task will remove"
            " it: remove it yourself when it is not needed any more."
        )


def _warn_of_what_is_left(module: Task, path: str, why: str) -> None:
    module.warn(f"The password file {path} was left as it is ({why}): remove it yourself if nothing needs it.")


def _warn_of_former_file(module: Task, application: FileTarget, settings: FileChange, password_file: str) -> None:
    """Tell of a password file that only the settings name: whoever may write them could have named any file there."""
    former = _former_file(application, settings)
    if former not in ("", password_file, settings.location.sibling(_PASSWORD_FILE).path):
        path = printable(former[:_LONGEST_SHOWN])
        module.warn(
            f"{settings.location.path} named another password file. It was not touched, as anybody who can write the"
            f" settings could have put that name there. Remove it yourself if nothing needs it: {path}"
        )


def _warn_of_others(module: Task, holder: Location) -> None:
    """Tell who besides the application can read the password, or exchange the file that holds it."""
    status = holder.status()
    if status and status.st_mode & stat.S_IROTH:
        module.warn(f"Everybody on this host can read the password in {holder.path}: give a mode such as 0600 or 0640.")
    folder = holder.folder_status().st_mode if holder.has_folder else 0
    if folder & stat.S_IWOTH and not folder & stat.S_ISVTX:
        module.warn(f"Everybody on this host can write the folder of {holder.path}, and so exchange that file.")
