# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The body of the module connector_config: writes the mail settings of an application."""

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
from .attributes import read_attribute_options
from .files import FileChange, FileContent, read_file, write_files
from .safe_path import Location, is_writable_only_by, locate, trusted_users
from .shared_options import open_registry, registry_files, registry_options
from .stored import load_connectors, open_secrets, resolve_purpose
from .task import Task, run

_PASSWORD_FILE = "mailroom_password"
_MAX_SHOWN_LENGTH = 200


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
    wanted = read_attribute_options(module)
    with ExitStack() as opened:
        settings, password, password_file = _locate_files(module, opened, application)
        _check_locations(module, application, settings, password)
        registry = open_registry(module) if module.params["state"] == "present" else None
        sender = _sender(module, registry, application, password_file) if registry else None
        change = _settings_change(application, settings, sender, wanted.owner)
        needed = password if sender and sender.password else None
        changes = [change]
        if needed and sender:
            # The password file comes first, so that the settings never refer to a missing file.
            changes.insert(0, _password_change(application, needed, sender, wanted.owner))
        for location in _unused_locations(change, password, needed, _previous_password_file(application, change)):
            changes += _plan_removal(module, registry, application, location, wanted.owner)
        written = write_files(module, changes, wanted, change if module.params["backup"] else None)
        _warn_about_previous_file(module, application, change, password_file)
        if not module.check_mode:
            for each in changes:
                if each is not change:
                    _record_file(module, registry, application, each)
        if sender and sender.password:
            _warn_about_permissions(module, password or settings)
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


def _warn_about_missing_folder(module: Task, option: str, location: Location) -> None:
    """Warn about a missing folder: in check mode an earlier task may create it."""
    if not location.has_folder and module.params["state"] == "present":
        module.warn(f"{option}: is in a folder that does not exist yet: {os.path.dirname(location.path)}")


def _locate_files(module: Task, opened: ExitStack, application: FileTarget) -> tuple[Location, Location | None, str]:
    """The locations of the settings and of the password file, and the path of the latter, empty where there is none."""
    params = module.params
    is_present = params["state"] == "present"
    allow_missing_folder = module.check_mode or not is_present
    place = locate(params["path"], "path", follow=params["follow"], allow_missing_folder=allow_missing_folder)
    settings = opened.enter_context(place)
    _warn_about_missing_folder(module, "path", settings)
    given = (params["options"] or {}).get("password_file")
    if not application.keeps_password_apart:
        return settings, None, given or ""
    path = given or settings.sibling(_PASSWORD_FILE).path
    try:
        password = opened.enter_context(
            locate(path, "options.password_file", allow_missing_folder=allow_missing_folder)
        )
    except MailroomError as error:
        if is_present:
            raise
        _warn_about_leftover(module, path, str(error))
        return settings, None, path
    _warn_about_missing_folder(module, "options.password_file", password)
    return settings, password, path


def _check_locations(module: Task, application: FileTarget, settings: Location, password: Location | None) -> None:
    problems = []
    files = registry_files(module)
    for option, location in (("path", settings), ("options.password_file", password)):
        if location and location.is_one_of(files):
            problems.append(Problem("", option, "must not be the registry, its journal or its key file"))
    if password and password.is_same(settings):
        problems.append(Problem("", "options.password_file", "must be a different file than path"))
    is_needed = application.keeps_password_apart and module.params["state"] == "present"
    if is_needed and settings.has_folder and settings.status() is None:
        problems.append(Problem("", "path", f"does not exist: {application.name} must be configured there first"))
    if problems:
        raise DeclarationError(problems)


def _sender(module: Task, registry: Registry, application: FileTarget, password_file: str) -> Sender:
    """The sender settings of the connector; raises all settings that the application does not support."""
    with registry.reading() as reader:
        connector = _select_connector(module, registry, reader)
        resolved = resolve_connector(connector)
        refused = unusable(resolved)
        if refused:
            raise _unsupported_error(connector, [refused])
        path = password_path(resolved)
        resolved = resolve_connector(connector, open_secrets(reader, connector, [path] if path else []))
    leave_out = (module.params["options"] or {}).get("leave_out") or ()
    sender = sender_of(resolved, password_file, leave_out)
    problems = list(application.unsupported(sender))
    if problems:
        raise _unsupported_error(connector, problems)
    return sender


def _unsupported_error(connector: Connector, problems: Sequence[FieldMessage]) -> DeclarationError:
    return DeclarationError([Problem(f"connector {connector.name}", *finding) for finding in problems])


def _select_connector(module: Task, registry: Registry, reader: Reader) -> Connector:
    params = module.params
    if params["purpose"]:
        purpose, problems = parse_purpose(params["purpose"], params["tenant"])
        if problems:
            raise DeclarationError(problems)
        return resolve_purpose(module, reader, purpose)[1].connector
    name = params["connector"]
    problems = checks.run_check(checks.connector_name, name, "", "connector")
    if problems:
        raise DeclarationError(problems)
    state = load_connectors(registry, reader, [name])
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
        raise DeclarationError([Problem("", "path", "contains NUL characters, so it is not a text file")])
    after = application.render(text, sender) if sender else application.clear(text)
    gone = not after and (is_own_file or before is None)
    # A file that is not written as a whole belongs to the administrator, and so do its owner and mode.
    uses_task_attributes = is_own_file and sender is not None
    return FileChange(
        location, before, None if gone else after, application.difference(text, after), uses_task_attributes
    )


def _password_change(application: FileTarget, location: Location, sender: Sender, owner: int | None) -> FileChange:
    before = read_file(location, owner)
    after = application.password_text(sender)
    mark = application.password_mark
    if before and after and before.text.removeprefix(mark) == after.removeprefix(mark):
        # An earlier version wrote no marker, and adding it would change nothing for the application.
        after = before.text
    return FileChange(
        location, before, after, (f"{STORED}\n" if before else "", f"{CHANGED}\n"), uses_task_attributes=True
    )


def _previous_password_file(application: FileTarget, settings: FileChange) -> str:
    """The password file in settings that change. It is not trusted: anybody who can write the settings can set it."""
    return application.password_file_in(settings.before.text) if settings.before and settings.differs else ""


def _unused_locations(
    settings: FileChange, password: Location | None, needed: Location | None, previous: str
) -> list[Location]:
    """The password files that are no longer needed: the one that the task names, and the default one.

    The path in the settings is not trusted: it only decides whether the default file belongs to these settings.
    """
    beside = settings.location.sibling(_PASSWORD_FILE)
    unused = [password] if password and not needed else []
    return unused + ([beside] if previous == beside.path and password and not beside.is_same(password) else [])


def _plan_removal(
    module: Task, registry: Registry | None, application: FileTarget, location: Location, owner: int | None
) -> list[FileChange]:
    """The removal of a password file that is no longer needed, if it exists and was written by this module."""
    try:
        before = read_file(location, owner)
        if before is None:
            return []
        if not is_writable_only_by(location.folder_status(), trusted_users() | {owner}):
            raise MailroomError(
                "users other than root, the user that runs the task and the given owner can write to its folder"
            )
        if not _is_managed(module, registry, application, location, before):
            raise MailroomError("it is not known to have been written by this module")
    except MailroomError as error:
        _warn_about_leftover(module, location.path, str(error))
        return []
    return [FileChange(location, before, None, (f"{STORED}\n", ""), uses_task_attributes=True)]


def _is_managed(
    module: Task, registry: Registry | None, application: FileTarget, location: Location, content: FileContent
) -> bool:
    """Whether a file has our marker, or the registry has a record of this content."""
    if _has_marker(application, content.text):
        return True
    try:
        with (registry or open_registry(module)).reading() as reader:
            return reader.wrote_file(location.path, Secret(content.text))
    except (MailroomError, UnicodeEncodeError):
        # A file that is not UTF-8 was not written by this module.
        return False


def _has_marker(application: FileTarget, text: str) -> bool:
    return bool(application.password_mark) and text.startswith(application.password_mark)


def _record_file(module: Task, registry: Registry | None, application: FileTarget, change: FileChange) -> None:
    """Record in the registry that a file without a marker was written by this module, or was removed."""
    path = change.location.path
    if change.after is None:
        # If this fails, the record has no effect, since there is no file with the recorded content.
        with suppress(MailroomError, UnicodeEncodeError):
            registry = registry or open_registry(module)
            if registry.exists():
                registry.write(lambda writer: writer.forget_file(path))
        return
    if not registry or _has_marker(application, change.after):
        return
    try:
        content = Secret(change.after)
        with registry.reading() as reader:
            if reader.wrote_file(path, content):
                return
        registry.write(lambda writer: writer.record_file(path, content))
    except (MailroomError, UnicodeEncodeError):
        module.warn(
            f"The registry could not record that {path} was written by this task, so later tasks will not remove"
            " it: remove it yourself when it is no longer needed."
        )


def _warn_about_leftover(module: Task, path: str, why: str) -> None:
    module.warn(f"The password file {path} was left as it is ({why}): remove it yourself if nothing needs it.")


def _warn_about_previous_file(module: Task, application: FileTarget, settings: FileChange, password_file: str) -> None:
    """Warn about a password file that only the settings refer to: its path is not trusted."""
    previous = _previous_password_file(application, settings)
    if previous not in ("", password_file, settings.location.sibling(_PASSWORD_FILE).path):
        path = printable(previous[:_MAX_SHOWN_LENGTH])
        module.warn(
            f"{settings.location.path} referred to another password file, which was not changed, since anybody who can"
            f" write the settings could have put its name there. Remove it yourself if nothing needs it: {path}"
        )


def _warn_about_permissions(module: Task, location: Location) -> None:
    """Warn where everybody can read the password, or replace the file that contains it."""
    status = location.status()
    if status and status.st_mode & stat.S_IROTH:
        module.warn(f"Everybody on this host can read the password in {location.path}: set mode to 0600 or 0640.")
    folder = location.folder_status().st_mode if location.has_folder else 0
    if folder & stat.S_IWOTH and not folder & stat.S_ISVTX:
        module.warn(f"Everybody on this host can write to the folder of {location.path}, and so replace that file.")
