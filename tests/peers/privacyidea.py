# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real privacyIDEA with SQLite, an administrator, and another one who may not see SMTP servers."""

from __future__ import annotations

import secrets

from peers.programs import Program

ADMIN, OTHER = "admin", "other"
_SERVER = """
import sys

from privacyidea.app import create_app
from privacyidea.lib.auth import create_db_admin
from privacyidea.lib.policy import set_policy
from privacyidea.models import db

app = create_app(config_name="production", config_file={config!r}, silent=True, initialize_hsm=True)
with app.app_context():
    db.create_all()
    for name in ({admin!r}, {other!r}):
        create_db_admin(name, password={password!r})
    set_policy("all", scope="admin", action="smtpserver_read, smtpserver_write", adminuser={admin!r})
    set_policy("few", scope="admin", action="enable", adminuser={other!r})
app.run(host="127.0.0.1", port={port})
"""
_KEYS = """
import os
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

key = rsa.generate_private_key(65537, 2048)
pem, raw = serialization.Encoding.PEM, serialization.NoEncryption()
open("private.pem", "wb").write(key.private_bytes(pem, serialization.PrivateFormat.TraditionalOpenSSL, raw))
open("public.pem", "wb").write(key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo))
open("enckey", "wb").write(os.urandom(96))
"""


class PrivacyIdea(Program):
    """Started as soon as it is made."""

    def __init__(self) -> None:
        super().__init__("privacyidea")
        self.password = secrets.token_urlsafe(18)
        try:
            settings = {
                "SQLALCHEMY_DATABASE_URI": f"sqlite:///{self.folder}/privacyidea.sqlite",
                "SECRET_KEY": secrets.token_urlsafe(18),
                "PI_PEPPER": secrets.token_urlsafe(18),
                "PI_ENCFILE": f"{self.folder}/enckey",
                "PI_AUDIT_KEY_PRIVATE": f"{self.folder}/private.pem",
                "PI_AUDIT_KEY_PUBLIC": f"{self.folder}/public.pem",
                "PI_LOGFILE": f"{self.folder}/log",
            }
            config = self.folder / "pi.cfg"
            config.write_text("".join(f"{name} = {value!r}\n" for name, value in settings.items()), encoding="utf-8")
            given = {"config": str(config), "admin": ADMIN, "other": OTHER, "password": self.password}
            (self.folder / "server.py").write_text(_SERVER.format(port=self.port, **given), encoding="utf-8")
            self.run("python", "-c", _KEYS)
            self.spawn("python", "server.py")
        except BaseException:
            self.close()
            raise
