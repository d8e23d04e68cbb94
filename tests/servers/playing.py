# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs modules, each in a process of its own that is forked from one in which everything is imported."""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib
import io
import json
import os
import shutil
import socket
import socketserver
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest import mock

from ansible.module_utils import basic
from peers.users import USERS
from task_modules import module_for

MODULES = "ansible_collections.mailroom.core.plugins.modules"
LIBRARIES = ("cryptography.fernet", "cryptography.x509", "email.generator", "imapclient", "msal", "psycopg")
SECONDS = 120


def run(module: str, options: Mapping[str, Any], check: bool = False, **environment: str) -> dict[str, Any]:
    """What a module prints; with `verify`, the one that the action plugin chooses.

    With `environment` it runs in a new Python, which reads these variables as it starts.
    """
    name = f"{MODULES}.{module_for(module, options)}"
    arguments = json.dumps({"ANSIBLE_MODULE_ARGS": {**options, "_ansible_check_mode": check}})
    stdout, stderr = _in_new_python(name, arguments, environment) if environment else _in_fork(name, arguments)
    assert stderr == ""
    printed: dict[str, Any] = json.loads(stdout)
    # Since 2.22 this tells the controller what to hide.
    printed.pop("_ansible_new_secrets", None)
    assert not any(user.password in json.dumps(printed) for user in USERS.values())
    return printed


def prepare(module: str, options: Mapping[str, Any]) -> None:
    """Has a module do in this process, in a third of the time, what a test only builds on."""
    stdout, stderr = _in_this_process(f"{MODULES}.{module}", json.dumps({"ANSIBLE_MODULE_ARGS": options}))
    assert stderr == ""
    printed = json.loads(stdout)
    assert not printed.get("failed"), printed["msg"]


def _in_this_process(name: str, arguments: str) -> tuple[str, str]:
    stdout, stderr = io.StringIO(), io.StringIO()
    stdin = io.TextIOWrapper(io.BytesIO(arguments.encode()), encoding="utf-8")
    with (
        mock.patch.multiple(sys, argv=[name], stdin=stdin),
        mock.patch.object(basic, "_ANSIBLE_ARGS", None),
        contextlib.redirect_stdout(stdout),
        contextlib.redirect_stderr(stderr),
    ):
        try:
            importlib.import_module(name).main()
        except SystemExit:
            pass
        except Exception:  # noqa: BLE001 - what an interpreter would print
            traceback.print_exc()
    return stdout.getvalue(), stderr.getvalue()


def _in_new_python(name: str, arguments: str, environment: Mapping[str, str]) -> tuple[str, str]:
    done = subprocess.run(
        [sys.executable, "-m", name],
        input=arguments,
        env={**os.environ, "PYTHONPATH": os.environ["ANSIBLE_COLLECTIONS_PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    return done.stdout, done.stderr


def _in_fork(name: str, arguments: str) -> tuple[str, str]:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(SECONDS)
        connection.connect(_forking_server())
        connection.sendall(json.dumps([name, arguments, dict(os.environ)]).encode() + b"\n")
        stdout, stderr = json.load(connection.makefile("rb"))
        return stdout, stderr


@functools.cache
def _forking_server() -> str:
    """Where the process listens that forks; it is started when the first module runs."""
    # Short, because the name of a socket has to be.
    folder = tempfile.mkdtemp(prefix="mailroom-", dir="/tmp")
    path = os.pathsep.join([str(Path(__file__).resolve().parents[1]), os.environ["ANSIBLE_COLLECTIONS_PATH"]])
    process = subprocess.Popen(
        [sys.executable, "-m", "servers.playing", f"{folder}/socket"],
        env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )

    def stop() -> None:
        process.terminate()
        process.wait()
        shutil.rmtree(folder)

    atexit.register(stop)
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    return f"{folder}/socket"


class _Play(socketserver.StreamRequestHandler):
    """Runs one module in the process that was forked for it."""

    def handle(self) -> None:
        name, arguments, environment = json.loads(self.rfile.readline())
        os.environ.clear()
        os.environ.update(environment)
        self.wfile.write(json.dumps(_in_this_process(name, arguments)).encode())


class _ForkingServer(socketserver.ForkingMixIn, socketserver.UnixStreamServer):
    request_queue_size = 100
    max_children = 100
    tests = os.getppid()

    def service_actions(self) -> None:
        """Ends with the tests, even where these were killed."""
        super().service_actions()
        if os.getppid() != self.tests:
            sys.exit()


def _name_of(path: Path) -> str:
    places = path.relative_to(Path(__file__).resolve().parents[2]).with_suffix("").parts
    return ".".join(("ansible_collections.mailroom.core", *places)).removesuffix(".__init__")


def main() -> None:
    """Imports everything, and listens."""
    folder = Path(__file__).resolve().parents[2] / "plugins"
    files = [path for part in ("modules", "module_utils") for path in sorted((folder / part).rglob("*.py"))]
    for name in (*LIBRARIES, *map(_name_of, files)):
        importlib.import_module(name)
    # What is there now is not looked through for garbage in each fork, which would copy it.
    gc.collect()
    gc.freeze()
    with _ForkingServer(sys.argv[1], _Play) as server:
        print("ready", flush=True)  # noqa: T201 - the tests wait for it
        server.serve_forever()


if __name__ == "__main__":
    main()
