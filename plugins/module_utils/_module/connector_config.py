# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The body of the module connector_config: writes the mail settings of an application."""

from __future__ import annotations

import os
import shlex
import shutil
import stat
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

from .._argspec import ArgumentSpec
from .._connector import checks
from .._connector.diff import CHANGED, STORED
from .._connector.records import ApplicationRecord, settings_digest
from .._connector.redaction import Redaction
from .._connector.resolved import resolve_connector
from .._connector.secret import Secret
from .._errors import ConnectorsFailed, DeclarationError, MailroomError, Problem, printable
from .._registry.registry import Registry
from .._target.interface import MAY_BE_LEFT_OUT, Account, FileTarget, account_of
from .._target.targets import FILE_TARGETS, option_specs
from .attributes import PRIVATE_MODE, read_attribute_options
from .files import Access, FileChange, FileContent, read_file, write_files
from .options import parse_options
from .recording import Recording, drop_records, forget_application, record_application
from .safe_path import Location, is_writable_only_by, locate, trusted_users
from .shared_options import (
    host_option,
    open_registry,
    recorded_host,
    registry_files,
    registry_options,
    stamp,
)
from .stored import open_secrets, select_connector, unsupported_error
from .task import Task, run

_PASSWORD_FILE = "mailroom_password"
_MAX_SHOWN_LENGTH = 200
_MAX_SAID_LENGTH = 500
_PLACEHOLDER = "placeholder"


def argument_spec() -> ArgumentSpec:
    """One application, or a list of them with the same options each."""
    options = application_spec().options
    optional = {name: {**option, "required": False} for name, option in options.items()}
    alone = [("applications", name) for name, option in options.items() if name != "host" and "default" not in option]
    several = {"applications": {"type": "list", "elements": "dict"}}
    return ArgumentSpec({**optional, **several}, mutually_exclusive=alone).merge(registry_options())


def application_spec() -> ArgumentSpec:
    options = {
        "leave_out": {"type": "list", "elements": "str", "choices": list(MAY_BE_LEFT_OUT)},
        "password_file": {"type": "path", "no_log": False},
        **option_specs(),
    }
    return ArgumentSpec(
        {
            "connector": {"type": "str"},
            "purpose": {"type": "str"},
            "tenant": {"type": "str"},
            "app": {"type": "str", "choices": list(FILE_TARGETS), "required": True},
            "path": {"type": "path", "required": True},
            "owner": {"type": "str"},
            "group": {"type": "str"},
            "mode": {"type": "raw"},
            "backup": {"type": "bool", "default": False},
            "follow": {"type": "bool", "default": False},
            "validate": {"type": "str"},
            "options": {"type": "dict", "options": options},
            "state": {"type": "str", "choices": ["present", "absent", "forgotten"], "default": "present"},
            **host_option(),
        },
        mutually_exclusive=[("connector", "purpose")],
        required_by={"tenant": ("purpose",)},
        required_if=[("state", "present", ("connector", "purpose"), True)],
    )


def run_module() -> None:
    run(Task(argument_spec()), _connector_config)


def _connector_config(module: Task) -> dict[str, Any]:
    entries = module.params["applications"]
    if entries is None:
        shared = registry_options().options
        entry = {name: value for name, value in module.written.items() if name not in (*shared, "applications")}
        parsed, problems = _parse_application(entry, "")
        if problems:
            raise DeclarationError(problems)
        module.params.update(parsed)
        return _configure(module)
    applications = []
    problems = [] if entries else [Problem("", "applications", "must not be empty")]
    for position, entry in enumerate(entries):
        parsed, found = _parse_application(entry, f"applications[{position}]")
        applications.append(parsed)
        problems += found
    if problems:
        raise DeclarationError(problems)
    return _configure_all(module, applications)


def _parse_application(entry: Mapping[str, Any], where: str) -> tuple[dict[str, Any], list[Problem]]:
    found = parse_options(application_spec(), entry)
    return found.params, [problem._replace(where=where) for problem in found.problems]


def _configure_all(module: Task, applications: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Configure one application after the other. One that fails does not keep the others from it."""
    shared, diffs, failures = module.params, [], []
    results: list[dict[str, Any]] = []
    for application in applications:
        module.params = {**shared, **application, "host": application["host"] or shared["host"]}
        result = {"app": application["app"], "path": application["path"], "changed": False}
        try:
            result.update(_configure(module))
            diffs += result.pop("diff")
        except MailroomError as error:
            result.update(failed=True, msg=str(error))
            failures.append(f"{application['app']} {printable(application['path'])}: {error}")
        results.append(result)
    changed = any(result["changed"] for result in results)
    returned = {"changed": changed, "diff": diffs, "results": results}
    if failures:
        counted = f"{len(failures)} of {len(results)} applications could not be configured:"
        message = "\n- ".join((counted, *failures)) if len(results) > 1 else failures[0]
        raise ConnectorsFailed(message, returned)
    return returned


def _configure(module: Task) -> dict[str, Any]:
    options = module.params["options"] or {}
    application = FILE_TARGETS[module.params["app"]].variant(options)
    _check_paths(module.params)
    record_key = (application.name, recorded_host(module), os.path.normpath(module.params["path"]))
    if module.params["state"] == "forgotten":
        is_known = drop_records(module, open_registry(module), [record_key])
        return {"changed": is_known, "connector": None, "path": record_key[2], "diff": []}
    wanted = read_attribute_options(module)
    with ExitStack() as opened:
        settings, password, password_file = _locate_files(module, opened, application)
        _check_locations(module, application, settings, password)
        registry = open_registry(module) if module.params["state"] == "present" else None
        chosen = _choose(module, registry, application, password_file, record_key) if registry else None
        account = chosen.account if chosen else None
        change = _settings_change(module, application, settings, account, wanted.owner)
        _validate(module, application, change, chosen)
        needed = password if account and account.password else None
        changes = [change]
        if needed and account:
            # The password file comes first, so that the settings never refer to a missing file.
            changes.insert(0, _password_change(application, needed, account, wanted.owner))
        for location in _unused_locations(change, password, needed, _previous_password_file(application, change)):
            changes += _plan_removal(module, registry, application, location, wanted.owner)
        written = write_files(module, changes, wanted, change if module.params["backup"] else None)
        _warn_about_previous_file(module, application, change, password_file)
        if not module.check_mode:
            without_mark = [each for each in changes if each is not change or not application.has_mark]
            if registry and chosen:
                files = _files_to_record(application, without_mark)
                recording = Recording(chosen.record, chosen.secrets, files, has_changed=written["changed"])
                record_application(module, registry, recording)
            else:
                removed = [each.location.path for each in without_mark if each.after is None]
                forget_application(module, *record_key, removed_files=removed)
        if chosen and chosen.secrets:
            _warn_about_permissions(module, password or settings)
    result = {"connector": account.name if account else None, "path": settings.path, **written}
    return {**result, **_hints(application, settings.path)}


def _hints(application: FileTarget, path: str) -> dict[str, Any]:
    """How the application checks its settings, and the service that reads them."""
    hints: dict[str, Any] = {}
    if application.check:
        hints["check"] = [each.format(path=path) for each in application.check]
    if application.service:
        hints["service"] = {"name": application.service, "state": application.reload}
    return hints


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
    if not application.keeps_password_apart(params["options"] or {}):
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
    is_needed = application.needs_file and module.params["state"] == "present"
    if is_needed and settings.has_folder and settings.status() is None:
        problems.append(Problem("", "path", f"does not exist: {application.name} must be configured there first"))
    if problems:
        raise DeclarationError(problems)


@dataclass(frozen=True)
class _Chosen:
    """A connector for the application, and what is recorded of that."""

    account: Account
    masked: Account
    """The same account with placeholders for its secrets."""
    secrets: Mapping[str, Secret]
    record: ApplicationRecord


def _choose(
    module: Task, registry: Registry, application: FileTarget, password_file: str, record_key: tuple[str, str, str]
) -> _Chosen:
    """What the application gets of the connector, or all that it cannot express of it."""
    options = module.params["options"] or {}
    with registry.reading() as reader:
        connector, purpose, is_default = select_connector(module, registry, reader)
        resolved = resolve_connector(connector)
        refused = application.unusable(resolved, options)
        if refused:
            raise unsupported_error(connector, [refused])
        secrets = open_secrets(reader, connector, application.secret_paths(resolved, options))
        reads = application.read_paths(resolved, options)
        digest = settings_digest(connector, reads, is_default=is_default)
        record = ApplicationRecord(*record_key, connector.name, purpose, reads, digest, stamp(module))
    account, masked = (
        replace(
            account_of(resolve_connector(connector, each), application, options, password_file), is_default=is_default
        )
        for each in (secrets, dict.fromkeys(secrets, Secret(_PLACEHOLDER)))
    )
    findings = list(application.unsupported(account))
    if findings:
        raise unsupported_error(connector, findings)
    return _Chosen(account, masked, secrets, record)


def _settings_change(
    module: Task, application: FileTarget, location: Location, account: Account | None, owner: int | None
) -> FileChange:
    before = read_file(location, owner)
    text = before.text if before else ""
    if account and "\0" in text and not application.owns_file:
        raise DeclarationError([Problem("", "path", "contains NUL characters, so it is not a text file")])
    after: str | None = application.render(text, account) if account else application.clear(text)
    if not after and (application.owns_file or before is None or (text and not application.needs_file)):
        after = None
    if not account and before and not application.has_mark and _is_managed(module, None, application, location, before):
        after = None
    # What was not written for an account is somebody else's, and so are its owner and mode.
    holds_secret = application.owns_file or not application.keeps_password_apart(module.params["options"] or {})
    access: Access = "unchanged"
    if account and holds_secret:
        access = "private" if application.owns_file else "restricted"
    return FileChange(location, before, after, application.difference(text, after or ""), access)


def _validate(module: Task, application: FileTarget, change: FileChange, chosen: _Chosen | None) -> None:
    """Have the program that the task names check new settings before they replace anything, or raise what it says.

    It reads a copy under the same name in a private folder, which is rendered with placeholders for our secrets.
    """
    command = module.params["validate"]
    if command is None:
        return
    try:
        words = shlex.split(command)
    except ValueError:
        words = []
    if not words or not any("%s" in word for word in words):
        allowed = "must be a command with %s in it, which stands for the path of the new settings"
        raise DeclarationError([Problem("", "validate", allowed)])
    if not change.differs or change.after is None:
        return
    before = change.before.text if change.before else ""
    text = application.render(before, chosen.masked) if chosen else change.after
    redacted = Redaction(chosen.secrets.values() if chosen else ())
    folder = tempfile.mkdtemp(dir=module.tmpdir)
    try:
        path = os.path.join(folder, os.path.basename(change.location.path))
        with open(path, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            os.fchmod(file.fileno(), PRIVATE_MODE)
            file.write(text)
        given = [word.replace("%s", path) for word in words]
        status, out, err = module.run_command(given, handle_exceptions=False)  # type: ignore[no-untyped-call]
    except OSError as error:
        reason = f"the command of validate cannot be run: {words[0]}: {error.strerror}"
        if module.check_mode:
            # An earlier task may install it.
            module.warn(f"{change.location.path} was not validated, {reason}")
            return
        raise MailroomError(f"{change.location.path} was not changed: {reason}") from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if status:
        # It may know the secrets from elsewhere, such as the password file.
        said = redacted(" ".join((err or out).replace(path, change.location.path).split()))
        raise MailroomError(
            f"{change.location.path} was not changed: the command of validate refuses it: {said[:_MAX_SAID_LENGTH]}"
        )


def _password_change(application: FileTarget, location: Location, account: Account, owner: int | None) -> FileChange:
    before = read_file(location, owner)
    after = application.password_text(account)
    mark = application.password_mark
    if before and after and before.text.removeprefix(mark) == after.removeprefix(mark):
        # An earlier version wrote no marker, and adding it would change nothing for the application.
        after = before.text
    return FileChange(location, before, after, (f"{STORED}\n" if before else "", f"{CHANGED}\n"), "private")


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
    return [FileChange(location, before, None, (f"{STORED}\n", ""), "private")]


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


def _files_to_record(application: FileTarget, changes: Iterable[FileChange]) -> dict[str, Secret | None]:
    """The files without a marker, with what this module wrote; None for one that it removed."""
    return {
        each.location.path: None if each.after is None else Secret(each.after)
        for each in changes
        if each.after is None or not _has_marker(application, each.after)
    }


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
    # Check mode sees the mode before the task; without the option, the task will have kept everybody else out.
    is_final = not module.check_mode or module.params["mode"] is not None
    if is_final and status and status.st_mode & stat.S_IROTH:
        module.warn(f"Everybody on this host can read the password in {location.path}: set mode to 0600 or 0640.")
    folder = location.folder_status().st_mode if location.has_folder else 0
    if folder & stat.S_IWOTH and not folder & stat.S_ISVTX:
        module.warn(f"Everybody on this host can write to the folder of {location.path}, and so replace that file.")
