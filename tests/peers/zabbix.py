# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Zabbix of Debian: its server, its frontend in PHP's own web server, and a PostgreSQL for both."""

from __future__ import annotations

import gzip
import json
import secrets
import shutil
import subprocess
import types
import urllib.request
from pathlib import Path
from typing import Any, Self

from peers.net import PeerFailed, wait_until_open
from peers.postgresql import DATABASE, SUPERUSER, Daemon, Postgres, program

FRONTEND = Path("/usr/share/zabbix")
SCHEMA = Path("/usr/share/zabbix-server-pgsql")
ADMIN, OTHER = "operator", "onlooker"
_SUPER_ADMIN_ROLE, _USER_ROLE = "3", "1"
_SERVER = """\
ListenIP=127.0.0.1
ListenPort={port}
DBHost=127.0.0.1
DBPort={database.port}
DBName={name}
DBUser={user}
DBPassword={database.password}
LogFile={folder}/server.log
PidFile={folder}/server.pid
SocketDir={folder}
AllowRoot=1
SSLCALocation={folder}/authorities
StartPollers=1
StartPollersUnreachable=1
StartPingers=0
StartDiscoverers=0
StartTrappers=2
StartAlerters=1
"""
_CONFIGURATION = """<?php
$DB['TYPE'] = 'POSTGRESQL';
$DB['SERVER'] = '127.0.0.1';
$DB['PORT'] = '{database.port}';
$DB['DATABASE'] = '{name}';
$DB['USER'] = '{user}';
$DB['PASSWORD'] = '{database.password}';
$DB['SCHEMA'] = '';
$DB['ENCRYPTION'] = false;
$DB['DOUBLE_IEEE754'] = true;
$ZBX_SERVER = '127.0.0.1';
$ZBX_SERVER_PORT = '{port}';
$ZBX_SERVER_NAME = '';
$IMAGE_FORMAT_DEFAULT = IMAGE_FORMAT_PNG;
"""


class Zabbix:
    """Started as soon as it is made; `url` is its frontend, `port` its server; its users have one password."""

    def __init__(self, ca_file: Path) -> None:
        self._ca_file = ca_file
        self.password = secrets.token_urlsafe(18)
        self.database = Postgres()
        self._server = Daemon()
        self._frontend = Daemon()
        self.port = self._server.port
        self.url = f"http://127.0.0.1:{self._frontend.port}"
        try:
            self._load()
            self._start()
            self._add_user(ADMIN, _SUPER_ADMIN_ROLE)
            self._add_user(OTHER, _USER_ROLE)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        self.close()

    @property
    def log(self) -> str:
        """What the server and the frontend have logged."""
        logs = [self._server.folder / "server.log", self._server.log, self._frontend.log]
        return "".join(path.read_text(encoding="utf-8", errors="replace") for path in logs if path.exists())

    def _load(self) -> None:
        for name in ("schema", "images", "data"):
            archive = SCHEMA / f"{name}.sql.gz"
            if not archive.exists():
                raise PeerFailed(
                    "Zabbix is not installed: it is in Debian's packages zabbix-server-pgsql and php-pgsql"
                )
            where = f"--host={self.database.folder} --port={self.database.port} --username={SUPERUSER}".split()
            options = ["--quiet", "--set=ON_ERROR_STOP=1"]
            subprocess.run(
                [program("psql"), *where, *options, f"--dbname={DATABASE}"],
                input=gzip.decompress(archive.read_bytes()),
                stdout=subprocess.DEVNULL,
                check=True,
            )

    def _start(self) -> None:
        given = {"database": self.database, "name": DATABASE, "user": SUPERUSER, "port": self.port}
        folder = self._server.folder
        authorities = folder / "authorities"
        authorities.mkdir()
        shutil.copy(self._ca_file, authorities / "ca.pem")
        config = self._server.write("server.conf", _SERVER.format(folder=folder, **given))
        self._server.spawn(shutil.which("zabbix_server", path="/usr/sbin") or "zabbix_server", "-f", "-c", str(config))
        # Debian's frontend has one place for its configuration, so a copy is told another one.
        www = self._frontend.folder / "www"
        shutil.copytree(FRONTEND, www, ignore=shutil.ignore_patterns("assets", "fonts", "js", "locale"))
        configuration = self._frontend.write("zabbix.conf.php", _CONFIGURATION.format(**given))
        finder = www / "include" / "classes" / "core" / "CConfigFile.php"
        text = finder.read_text(encoding="utf-8")
        finder.write_text(text.replace("/etc/zabbix/zabbix.conf.php", str(configuration)), encoding="utf-8")
        address = self.url.removeprefix("http://")
        settings = {"post_max_size": "16M", "max_execution_time": "300", "max_input_time": "300"}
        options = [word for name, value in settings.items() for word in ("-d", f"{name}={value}")]
        self._frontend.spawn("php", *options, "-S", address, "-t", str(www))
        self._frontend.wait_until(lambda: wait_until_open(self._frontend.port, 0.1))
        self._server.wait_until(lambda: wait_until_open(self.port, 0.1))

    def call(self, method: str, params: Any, token: str | None = None) -> Any:
        """A call of its API, past the collection."""
        body = {"jsonrpc": "2.0", "id": 1, "auth": token, "method": method, "params": params}
        headers = {"Content-Type": "application/json-rpc"}
        request = urllib.request.Request(f"{self.url}/api_jsonrpc.php", json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            found = json.load(answer)
        if "error" in found:
            raise PeerFailed(f"{method}: {found['error']}")
        return found["result"]

    def _add_user(self, name: str, role: str) -> None:
        user = {"username": name, "passwd": self.password, "roleid": role, "usrgrps": [{"usrgrpid": "7"}]}
        self.call("user.create", user, str(self.call("user.login", {"username": "Admin", "password": "zabbix"})))

    def close(self) -> None:
        for each in (self._frontend, self._server, self.database):
            each.close()
