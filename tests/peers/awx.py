# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""AWX's API, as far as one needs it to set up jobs: objects in memory, checked as AWX checks them."""

from __future__ import annotations

import copy
import dataclasses
import itertools
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from peers import awx_schema as schema
from peers.awx_schema import Fields, Refused, insist
from peers.https import HttpsServer, Request, Response, Route, as_json

ENCRYPTED = "$encrypted$"
PRODUCT = {"X-API-Product-Name": "AWX", "X-API-Product-Version": "24.6.1"}
PLAYBOOK = re.compile(r"^\s*-?\s*(hosts|(ansible\.builtin\.)?import_playbook):", re.MULTILINE)
MACHINE = [
    {"id": name, "label": name, "type": "string", "secret": name == "ssh_key_data"}
    for name in ("username", "ssh_key_data", "become_method")
]


@dataclasses.dataclass
class Stored:
    """An object, with its secrets as they were given."""

    kind: str
    id: int
    fields: Fields
    attached: dict[str, list[int]] = dataclasses.field(default_factory=dict)
    survey: Fields = dataclasses.field(default_factory=dict)


class Awx(HttpsServer):
    """Holds the objects of one AWX; all of its projects are checkouts of the same folder."""

    def __init__(self, checkout: Path) -> None:
        super().__init__(None)
        self.token = secrets.token_urlsafe(24)
        self.objects: dict[int, Stored] = {}
        self._checkout = checkout
        self._ids = itertools.count(1)
        self._checks: Mapping[str, Callable[[Fields], None]] = {
            "credential_types": schema.check_credential_type,
            "credentials": self._check_credential,
            "notification_templates": schema.check_notification,
            "inventory_sources": self._check_inventory_source,
            "job_templates": self._check_job_template,
            "schedules": self._check_schedule,
        }
        managed = {**schema.KINDS["credential_types"], "managed": True}
        self._store("credential_types", {**managed, "name": "Machine", "inputs": {"fields": MACHINE}})
        galaxy = self._store("credential_types", {**managed, "name": "Ansible Galaxy API Token"})
        self._add("credentials", {"name": "Ansible Galaxy", "credential_type": galaxy.id})

    def routes(self) -> tuple[Route, ...]:
        one = r"/api/v2/(\w+)/(\d+)/"
        return (
            Route("list", "GET", r"/api/v2/(\w+)/", self._list),
            Route("create", "POST", r"/api/v2/(\w+)/", self._create),
            Route("read", "GET", one, self._read_one),
            Route("change", "PATCH", one, self._change),
            Route("read_survey", "GET", rf"{one}survey_spec/", self._read_survey),
            Route("write_survey", "POST", rf"{one}survey_spec/", self._write_survey),
            Route("list_attached", "GET", rf"{one}(\w+)/", self._list_attached),
            Route("attach", "POST", rf"{one}(\w+)/", self._attach),
        )

    def refused_at_once(self, request: Request) -> Response | None:
        return None if request.bearer == self.token else as_json({"detail": "Invalid token."}, 401)

    def all_of(self, kind: str) -> dict[str, Stored]:
        """The objects of a kind, by their names."""
        return {one.fields["name"]: one for one in self.objects.values() if one.kind == kind}

    def attached(self, one: Stored, relation: str) -> set[str]:
        """The names of what is attached to an object."""
        return {self.objects[number].fields["name"] for number in one.attached.get(relation, [])}

    def _list(self, request: Request, kind: str) -> Response:
        kinds = schema.UNIFIED_JOB_TEMPLATES if kind == "unified_job_templates" else (kind,)
        return self._answer_list(one for one in self.objects.values() if one.kind in kinds and _fits(one, request))

    def _answer_list(self, found: Iterable[Stored]) -> Response:
        results = [self._shown(one) for one in found]
        return as_json({"count": len(results), "next": None, "results": results}, headers=PRODUCT)

    def _create(self, request: Request, kind: str) -> Response:
        if kind not in schema.KINDS:
            return self.unknown(request)
        try:
            one = self._add(kind, request.json)
        except Refused as refused:
            return as_json({"__all__": [str(refused)]}, 400, PRODUCT)
        shown = self._shown(one)
        if kind == "projects":
            update = self._add("project_updates", {"name": one.fields["name"], "project": one.id})
            shown["summary_fields"] = {"current_update": {"id": update.id}}
        return as_json(shown, 201, PRODUCT)

    def _read_one(self, request: Request, kind: str, number: str) -> Response:
        one = self.objects[int(number)]
        if kind == "project_updates":
            one.fields["status"] = "running" if one.fields["status"] == "pending" else "successful"
        return as_json(self._shown(one), headers=PRODUCT)

    def _change(self, request: Request, kind: str, number: str) -> Response:
        one = self.objects[int(number)]
        try:
            one.fields = self._checked(kind, request.json, one.fields)
        except Refused as refused:
            return as_json({"__all__": str(refused)}, 400, PRODUCT)
        return as_json(self._shown(one), headers=PRODUCT)

    def _read_survey(self, request: Request, kind: str, number: str) -> Response:
        return as_json(self.objects[int(number)].survey, headers=PRODUCT)

    def _write_survey(self, request: Request, kind: str, number: str) -> Response:
        try:
            schema.check_survey(request.json)
        except Refused as refused:
            return as_json({"error": str(refused)}, 400, PRODUCT)
        self.objects[int(number)].survey = request.json
        return as_json({}, headers=PRODUCT)

    def _list_attached(self, request: Request, kind: str, number: str, relation: str) -> Response:
        attached = self.objects[int(number)].attached.get(relation, [])
        return self._answer_list(self.objects[one] for one in attached)

    def _attach(self, request: Request, kind: str, number: str, relation: str) -> Response:
        attached = self.objects[int(number)].attached.setdefault(relation, [])
        wanted = self.objects[request.json["id"]]
        if request.json.get("disassociate"):
            attached.remove(wanted.id)
            return Response(204, headers=PRODUCT)
        try:
            self._check_attached(wanted, relation, attached)
        except Refused as refused:
            return as_json({"detail": str(refused)}, 400, PRODUCT)
        attached.append(wanted.id)
        return Response(204, headers=PRODUCT)

    def _add(self, kind: str, given: Fields) -> Stored:
        return self._store(kind, self._checked(kind, given, schema.KINDS[kind]))

    def _store(self, kind: str, fields: Fields) -> Stored:
        one = Stored(kind, next(self._ids), fields)
        self.objects[one.id] = one
        return one

    def _checked(self, kind: str, given: Fields, before: Fields) -> Fields:
        """The fields of an object after a change; AWX ignores what it does not know."""
        said = {name: value for name, value in given.items() if name in before and value is not None}
        fields = copy.deepcopy({**before, **said})
        insist(fields["name"], "name: This field may not be blank.")
        for name, number in fields.items():
            if name in schema.REFERENCES and number is not None:
                exists = number in self.objects and self.objects[number].kind == schema.REFERENCES[name]
                insist(exists, f"{name}: Invalid pk {number} - object does not exist.")
        for name in ("inputs", "notification_configuration"):
            for inner, value in fields.get(name, {}).items():
                fields[name][inner] = before[name][inner] if value == ENCRYPTED else value
        if kind in self._checks:
            self._checks[kind](fields)
        return fields

    def _shown(self, one: Stored) -> Fields:
        """What AWX shows of an object: no secrets."""
        url = f"/api/v2/{one.kind}/{one.id}/"
        shown = {"id": one.id, "type": one.kind.removesuffix("s"), "url": url, **copy.deepcopy(one.fields)}
        shown["summary_fields"], shown["related"] = {}, {"survey_spec": f"{url}survey_spec/"}
        hidden = [("notification_configuration", "password")]
        if one.kind == "credentials":
            hidden = [("inputs", field["id"]) for field in self._inputs_of(one.fields) if field.get("secret")]
        for name, inner in hidden:
            if shown.get(name, {}).get(inner):
                shown[name][inner] = ENCRYPTED
        return shown

    def _inputs_of(self, credential: Fields) -> list[Fields]:
        kind = self.objects[credential["credential_type"]]
        return [*kind.fields["inputs"].get("fields", [])]

    def _check_credential(self, fields: Fields) -> None:
        unknown = fields["inputs"].keys() - {field["id"] for field in self._inputs_of(fields)}
        insist(not unknown, f"inputs: Additional properties are not allowed ({sorted(unknown)} were unexpected).")

    def _check_inventory_source(self, fields: Fields) -> None:
        insist(fields["source"] == "scm" and fields["source_project"], "source_project: This field is required.")
        insist((self._checkout / fields["source_path"]).is_file(), "source_path: There is no such file.")

    def _check_job_template(self, fields: Fields) -> None:
        insist(fields["inventory"] and fields["project"], "inventory, project: These fields are required.")
        updates = [one.fields for one in self.all_of("project_updates").values()]
        fetched = any(one["project"] == fields["project"] and one["status"] == "successful" for one in updates)
        playbook = self._checkout / fields["playbook"]
        found = fetched and playbook.is_file() and PLAYBOOK.search(playbook.read_text(encoding="utf-8"))
        insist(found, "playbook: Playbook not found for project.")

    def _check_schedule(self, fields: Fields) -> None:
        schema.check_schedule(fields, self.objects[fields["unified_job_template"]].survey)

    def _check_attached(self, wanted: Stored, relation: str, attached: list[int]) -> None:
        insist(wanted.kind == schema.ATTACHED.get(relation), f"{wanted.kind} cannot be attached as {relation}.")
        if relation == "credentials":
            types = [self.objects[number].fields["credential_type"] for number in attached]
            insist(wanted.fields["credential_type"] not in types, "Cannot assign multiple credentials of one type.")


def _fits(one: Stored, request: Request) -> bool:
    """Whether an object is among those that are asked for; conditions with `or__` count as one."""
    values = {"id": one.id, **one.fields}
    either = [str(values.get(name[4:])) == wanted for name, wanted in request.query.items() if name.startswith("or__")]
    each = [str(values.get(name)) == wanted for name, wanted in request.query.items() if not name.startswith("or__")]
    return all(each) and (any(either) or not either)
