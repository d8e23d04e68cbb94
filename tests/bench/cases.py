# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is measured, each beside what one would do instead."""

from __future__ import annotations

import json
import shutil
import typing as t
from pathlib import Path

import declared
from scene import Scene
from timing import Case, Further

COUNT = 1000
COPIES = 100
SIZES = (100, 10_000, 100_000)
TIMES = 11
APPLICATIONS = 20


def ping(scene: Scene) -> Case:
    """What every task costs."""
    playbook = scene.playbook("ping", "ansible.builtin.ping", {})
    return Case("ansible.builtin.ping", lambda number: scene.play(playbook))


def many(scene: Scene) -> list[Case]:
    """1000 connectors in one task."""
    everything = scene.declare("everything", declared.entries(COUNT))
    same, fresh, touched = (scene.registry(name) for name in ("same", "fresh", "touched"))
    nothing = scene.playbook("nothing", "takes_connectors", {"registry": str(same), "connectors": everything})
    unchanged = _connectors(scene, "unchanged", same, everything)
    created = _connectors(scene, "created", fresh, everything)
    changed = _connectors(scene, "changed", touched, scene.declare("changing", declared.entries(COUNT)))
    for registry in (same, touched):
        scene.fill(registry, COUNT)
    return [
        Case(f"{COUNT} entries, a module that does nothing", lambda number: scene.play(nothing)),
        Case(f"{COUNT} connectors unchanged", lambda number: scene.play(unchanged), target=1.25),
        Case(
            f"{COUNT} connectors created",
            lambda number: scene.play(created),
            prepare=lambda number: scene.forget(fresh),
            target=1.6,
        ),
        Case(
            f"one changed among {COUNT}",
            lambda number: scene.play(changed),
            prepare=lambda number: scene.declare("changing", _one_changed(number)),
        ),
    ]


def from_vars_file(scene: Scene) -> list[Case]:
    """The same where Ansible reads the connectors from a file of variables, which costs it more than they do."""
    file = scene.folder / "vars.json"
    file.write_text(json.dumps({"declared_connectors": declared.entries(COUNT)}))
    only_ping = scene.playbook("ping_vars", "ansible.builtin.ping", {}, vars_files=[str(file)])
    options = {"registry": str(scene.registry("same")), "connectors": "{{ declared_connectors }}"}
    module = scene.playbook("unchanged_vars", "mailroom.core.connectors", options, vars_files=[str(file)])
    return [
        Case("ping beside a vars file of them", lambda number: scene.play(only_ping)),
        Case(f"{COUNT} unchanged from that vars file", lambda number: scene.play(module)),
    ]


def one(scene: Scene) -> list[Case]:
    """One connector changed in registries of growing size."""
    cases = []
    for size in SIZES:
        registry = scene.registry(f"registry of {size}")
        scene.fill(registry, size)
        options = {"registry": str(registry), "name": "mail_team000042", "description": "Round {{ round }}"}
        playbook = scene.playbook(f"one_in_{size}", "mailroom.core.connector", options)
        cases.append(Case(f"one connector changed in {size:,}".replace(",", " "), _in_rounds(scene, playbook)))
    return cases


def further(scene: Scene) -> list[Further]:
    """One task more of each module, when nothing changes; that of ping first."""
    registry = scene.registry("further")
    scene.fill(registry, 3)
    first = declared.entry(0)
    tasks: dict[str, dict[str, t.Any]] = {
        "connector_info": {},
        "connector_purpose": {"purpose": "alerts", "connector": first["name"]},
        "connector": first,
        "connectors": {"connectors": declared.entries(3)},
    }
    bind = scene.playbook("bind", "mailroom.core.connector_purpose", {**_in(registry), **tasks["connector_purpose"]})
    scene.play(bind)
    ours = [
        _further(scene, f"mailroom.core.{name}", {**_in(registry), **options}, 1.2) for name, options in tasks.items()
    ]
    return [_further(scene, "ansible.builtin.ping", {}), *ours]


def _further(scene: Scene, module: str, options: dict[str, t.Any], target: float | None = None) -> Further:
    single, repeated = (scene.playbook(f"{module}_{times}", module, options, times) for times in (1, TIMES))
    return Further(
        f"a further {module}",
        Case(module, lambda number: scene.play(single)),
        Case(f"{TIMES} of {module}", lambda number: scene.play(repeated)),
        TIMES,
        target,
    )


def _in(registry: Path) -> dict[str, t.Any]:
    return {"registry": str(registry)}


def applications(scene: Scene) -> list[Case]:
    """The role applications with one entry, and with 20."""
    registry, folder = scene.registry("applications"), scene.folder / "applications"
    scene.fill(registry, 1)
    options = {"leave_out": ["from_name", "reply_to"]}
    entry = {"app": "msmtp", "connector": declared.entry(0)["name"], "options": options}
    cases = []
    for count in (1, APPLICATIONS):
        apps = [{**entry, "path": f"{folder}/{number}"} for number in range(count)]
        variables = {"mailroom_registry": str(registry), "mailroom_apps": apps}
        playbook = scene.role(f"applications_{count}", "mailroom.core.applications", variables)
        cases.append(
            Case(
                f"mailroom_apps with {count}, written",
                lambda number, playbook=playbook: scene.play(playbook),
                prepare=lambda number: _empty(folder),
            )
        )
    cases[-1].target = 3
    return cases


def instead(scene: Scene) -> list[Case]:
    """What one would do instead: a settings file for each connector, written in a loop."""
    folder = scene.folder / "files"
    options = {
        "dest": f"{folder}/{{{{ item.name }}}}.json",
        "content": "{{ item | to_nice_json }}",
        "mode": "0600",
    }
    entries = scene.declare("hundred", declared.entries(COPIES))
    label = {"loop": entries, "loop_control": {"label": "{{ item.name }}"}}
    playbook = scene.playbook("copies", "ansible.builtin.copy", options, **label)
    return [
        Case(
            f"loop of {COPIES} ansible.builtin.copy, created",
            lambda number: scene.play(playbook),
            prepare=lambda number: _empty(folder),
            rounds=1,
        )
    ]


def _in_rounds(scene: Scene, playbook: Path) -> t.Callable[[int], None]:
    return lambda number: scene.play(playbook, round=number)


def _connectors(scene: Scene, name: str, registry: Path, expression: str) -> Path:
    return scene.playbook(name, "mailroom.core.connectors", {"registry": str(registry), "connectors": expression})


def _one_changed(number: int) -> list[declared.Entry]:
    entries = declared.entries(COUNT)
    entries[COUNT // 2]["description"] = f"Round {number}"
    return entries


def _empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
