# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Airflow with SQLite, whose API has an operator and somebody who may only look at little."""

from __future__ import annotations

import base64
import json
import os
import secrets
from pathlib import Path

from peers.programs import Program

ADMIN, OTHER = "operator", "onlooker"
_SENDS = """
import sys
from airflow.providers.smtp.hooks.smtp import SmtpHook

with SmtpHook(sys.argv[1]) as hook:
    hook.send_email_smtp(to=sys.argv[2], subject=sys.argv[3], html_content="Told by Airflow.")
"""


class Airflow(Program):
    """Started as soon as it is made; it trusts the authorities of `ca_file` for mail servers."""

    def __init__(self, ca_file: Path) -> None:
        super().__init__("airflow")
        self.password = secrets.token_urlsafe(18)
        self._ca_file = ca_file
        self._key = base64.urlsafe_b64encode(os.urandom(32)).decode()
        try:
            passwords = {ADMIN: self.password, OTHER: self.password}
            (self.folder / "passwords.json").write_text(json.dumps(passwords), encoding="utf-8")
            self.run("airflow", "db", "migrate")
            self.spawn("airflow", "api-server", "--workers", "1", "--host", "127.0.0.1", "--port", str(self.port))
        except BaseException:
            self.close()
            raise

    def environment(self) -> dict[str, str]:
        return {
            **super().environment(),
            "AIRFLOW_HOME": str(self.folder),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
            "AIRFLOW__CORE__FERNET_KEY": self._key,
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{ADMIN}:op,{OTHER}:viewer",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(self.folder / "passwords.json"),
            "AIRFLOW__API_AUTH__JWT_SECRET": self._key,
            # Whoever sends here reads connections from the database, as the server does.
            "_AIRFLOW_PROCESS_CONTEXT": "server",
            "SSL_CERT_FILE": str(self._ca_file),
        }

    def send(self, connection: str, to: str, subject: str) -> None:
        """Send a mail as a task of a workflow does."""
        self.run("python", "-c", _SENDS, connection, to, subject)
