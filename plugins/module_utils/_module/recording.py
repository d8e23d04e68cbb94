# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Records in the registry which application was given a connector. A registry that cannot be written is a warning."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .._connector.records import ApplicationRecord
from .._connector.secret import Secret
from .._errors import MailroomError
from .._registry.registry import Reader, Registry
from .shared_options import open_registry
from .task import Task

if TYPE_CHECKING:
    # Who writes nothing need not wait for it to be compiled.
    from .._registry.writer import Writer


@dataclass(frozen=True)
class Recording:
    """What is to be recorded of one write."""

    application: ApplicationRecord
    secrets: Mapping[str, Secret] | None
    """Those that the application was given, by their paths; None where they are not known."""
    files: Mapping[str, Secret | None] = field(default_factory=dict)
    """The files that were written with it, and None for each that was removed."""
    has_changed: bool = True
    """Whether anything was written. Otherwise what is recorded already stays, with its time and author."""


def record_application(module: Task, registry: Registry, recording: Recording) -> None:
    """Record what an application was given, as far as it is not recorded already."""
    files = recording.files
    try:
        with registry.reading() as reader:
            files = {path: each for path, each in files.items() if not (each and reader.wrote_file(path, each))}
            is_due = recording.has_changed or not _is_recorded(reader, recording)
        if files or is_due:
            registry.write(lambda writer: _record(writer, recording, files))
    except (MailroomError, UnicodeEncodeError) as error:
        application = recording.application
        lost = [path for path, content in files.items() if content]
        for path in lost:
            module.warn(
                f"The registry could not record that {path} was written by this task, so later tasks will not remove"
                f" it: remove it yourself when it is no longer needed. Nor does connector_info say that"
                f" {application.app} uses connector {application.connector}."
            )
        if not lost:
            module.warn(
                f"The registry could not record that {application.app} at {application.place} uses connector"
                f" {application.connector}, so connector_info does not say so: {error}"
            )


def _is_recorded(reader: Reader, recording: Recording) -> bool:
    found, given = reader.application(*recording.application.key), recording.application
    return (
        found is not None
        and (found.connector, found.purpose, found.reads) == (given.connector, given.purpose, given.reads)
        and (found.settings, found.destination) == (given.settings, given.destination)
        and reader.has_secrets(found, recording.secrets or {})
    )


def _record(writer: Writer, recording: Recording, files: Mapping[str, Secret | None]) -> None:
    _record_files(writer, files)
    writer.record_application(recording.application, recording.secrets)


def forget_application(module: Task, app: str, host: str, place: str, removed_files: Collection[str] = ()) -> None:
    """Drop the record of an application whose settings were removed, and of the files that were removed with it."""
    is_known = False

    def forget(writer: Writer) -> None:
        _record_files(writer, dict.fromkeys(removed_files))
        writer.forget_application(app, host, place)

    try:
        registry = open_registry(module)
        if not registry.exists():
            return
        with registry.reading() as reader:
            is_known = reader.application(app, host, place) is not None
        if is_known or removed_files:
            registry.write(forget)
    except MailroomError as error:
        # The record of a file that was removed has no effect.
        if is_known:
            module.warn(
                f"The registry could not record that {app} at {place} has no settings any more, so connector_info goes"
                f" on to list it; have it forgotten with state=forgotten: {error}"
            )


def drop_records(module: Task, registry: Registry, keys: Collection[tuple[str, str, str]]) -> bool:
    """Drop the records of applications that do not exist any more, and say whether there were any."""
    with registry.reading() as reader:
        known = [key for key in keys if reader.application(*key)]

    def forget(writer: Writer) -> None:
        for key in known:
            writer.forget_application(*key)

    if known and module.check_mode:
        registry.check_writable()
    elif known:
        registry.write(forget)
    return bool(known)


def _record_files(writer: Writer, files: Mapping[str, Secret | None]) -> None:
    for path, content in files.items():
        if content:
            writer.record_file(path, content)
        else:
            writer.forget_file(path)
