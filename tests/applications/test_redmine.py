# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Redmine sends its own test mail with what connector_config writes for it."""

from __future__ import annotations

import secrets
import shutil
import sqlite3
from pathlib import Path

from peers.ca import CertificateZoo
from servers.test_applications import App, assert_it_sends, program
from servers.test_connector_config import ALICE, BOB, Application, application, new_subject

__all__ = ["application"]

REDMINE = Path("/usr/share/redmine")


class Redmine:
    """A copy of Debian's, with a database, settings and an administrator of its own."""

    def __init__(self, folder: Path, title: str) -> None:
        self.folder = folder / "redmine"
        # What Debian links to is the system's own instance.
        shutil.copytree(
            REDMINE, self.folder, ignore=shutil.ignore_patterns("instances", "Gemfile.lock", "database.yml")
        )
        self.instance = self.folder / "instances" / "test"
        for name in ("config", "tmp", "log", "files"):
            (self.instance / name).mkdir(parents=True)
        (self.instance / "config" / "secret_key.txt").write_text(secrets.token_hex(64), encoding="utf-8")
        self.database = folder / "redmine.sqlite"
        location = f"production:\n  adapter: sqlite3\n  database: {self.database}\n"
        for place in (self.folder, self.instance):
            (place / "config" / "database.yml").write_text(location, encoding="utf-8")
        self.rake("db:migrate")
        with sqlite3.connect(self.database) as database:
            database.execute("UPDATE email_addresses SET address = ?", [BOB])
            settings = [("mail_from", ALICE), ("app_title", title)]
            database.executemany("INSERT INTO settings (name, value) VALUES (?, ?)", settings)

    def rake(self, *words: str) -> str:
        environment = {"HOME": str(self.folder), "RAILS_ENV": "production", "REDMINE_INSTANCE": "test"}
        return program("rake", "--rakefile", str(self.folder / "Rakefile"), *words, **environment)


def test_redmine_sends(application: Application, zoo: CertificateZoo) -> None:
    title = new_subject()
    redmine = Redmine(application.folder, title)
    path = redmine.instance / "config" / "configuration.yml"
    app = App("redmine", path, {"leave_out": ["from_address"]}, header=("X-Redmine-Site", title))
    assert_it_sends(application, zoo, app, lambda _subject: redmine.rake("redmine:email:test[admin]"))
