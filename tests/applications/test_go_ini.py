# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings for Gitea and Grafana, read by the Go package that these use."""

from __future__ import annotations

import subprocess
from pathlib import Path

from hostile_values import HOSTILE

from ansible_collections.mailroom.core.plugins.module_utils._target.formats import ini

GO = """package main

import (
    "fmt"
    "os"
    "strconv"

    "gopkg.in/ini.v1"
)

func main() {
    file, err := ini.Load(os.Args[1])
    if err != nil {
        panic(err)
    }
    count, _ := strconv.Atoi(os.Args[2])
    for i := 0; i < count; i++ {
        fmt.Printf("%s\\x00", file.Section("s").Key("k"+strconv.Itoa(i)).String())
    }
    fmt.Printf("%s\\x00", file.Section("s").Key("other").String())
}
"""


def test_go_ini_reads_what_was_quoted(tmp_path: Path) -> None:
    """Gitea and Grafana read their settings with this package."""
    values = [value for value in HOSTILE if not ini.go_problem(value)]
    (tmp_path / "main.go").write_text(GO, encoding="utf-8")
    lines = ini.go_lines({"s": {f"k{number}": value for number, value in enumerate(values)}})
    path = tmp_path / "app.ini"
    path.write_text("[s]\nk0 = old\nother = kept\n" + "\n".join(lines), encoding="utf-8")
    environment = {"PATH": "/usr/bin:/bin", "GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "HOME": str(tmp_path)}
    command = ["go", "run", str(tmp_path / "main.go"), str(path), str(len(values))]
    done = subprocess.run(command, capture_output=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode().split("\0")[:-1] == [*values, "kept"]
