"""A finding stands where its field stands, in whatever form the object is written. One typing error in the
name of a field is found exactly there, while everything else is judged as before."""

from __future__ import annotations

import copy
import json
from collections import Counter
from pathlib import Path
from typing import Any

import yaml
from fakes.examined import findings
from hypothesis import given, settings
from hypothesis import strategies as st

from gitmesh.istio.kinds import MODELS
from gitmesh.model.diagnostic import Diagnostic, Severity
from gitmesh.model.spelling import closest
from gitmesh.validate.catalogue import CATALOGUE
from gitmesh.validate.fields import fields_at

HERE = Path(__file__).parent
GOOD = list(yaml.safe_load_all((HERE.parent / "spec/validate/istio_examples.yaml").read_text()))
WRONG = [
    body
    for rule in CATALOGUE.values()
    if rule.code.startswith(("GM1", "GM4")) and rule.file == "example.yaml"
    for body in yaml.safe_load_all(rule.wrong)
    if isinstance(body, dict) and body.get("kind") in MODELS and isinstance(body.get("spec"), dict)
]
BODIES = st.sampled_from([*GOOD, *WRONG])
ODD = st.sampled_from(
    [None, True, 0, -1, 99999, 1.5, "", "*", "a b", "0s", "~/x", [], {}, [None], {"a": "b"}, "é"]
)


class _Shared(yaml.SafeDumper):
    """Writes equal values once, with an anchor, and aliases from then on."""

    def ignore_aliases(self, data: Any) -> bool:
        return not isinstance(data, dict | list) or not data


class _Spread(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def shared(value: Any, known: dict[str, Any]) -> Any:
    """Return an equal value in which equal parts are the same object."""
    if isinstance(value, dict):
        result: Any = {name: shared(child, known) for name, child in value.items()}
    elif isinstance(value, list):
        result = [shared(child, known) for child in value]
    else:
        return value
    return known.setdefault(json.dumps(result), result)


BESIDE = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "WorkloadEntry",
    "metadata": {"name": "beside"},
    "spec": {"address": "192.0.2.1"},
}


def as_list(body: Any) -> Any:
    return {
        "apiVersion": "v1",
        "kind": "List",
        "items": [BESIDE, {"kind": "List", "apiVersion": "v1", "items": [body]}],
    }


FORMS = {
    "block.yaml": lambda b: yaml.dump(b, Dumper=_Spread, default_flow_style=False, sort_keys=False),
    "flow.yaml": lambda b: yaml.dump(b, Dumper=_Spread, default_flow_style=True, width=60, sort_keys=False),
    "quoted.yaml": lambda b: (
        "---\n# é\n" + yaml.dump(b, Dumper=_Spread, default_style='"', allow_unicode=True)
    ),
    "anchors.yaml": lambda b: yaml.dump(shared(b, {}), Dumper=_Shared, sort_keys=False),
    "list.yaml": lambda b: yaml.dump(as_list(b), Dumper=_Spread, sort_keys=False),
    "short.json": lambda b: json.dumps(b),
    "long.json": lambda b: json.dumps(b, indent="\t", ensure_ascii=False),
    "list.json": lambda b: json.dumps(as_list(b), indent=1),
}


@st.composite
def bodies(draw: st.DrawFn) -> Any:
    """An object with up to three values of its spec exchanged for odd ones."""
    body = json.loads(json.dumps(draw(BODIES)))
    for _ in range(draw(st.integers(0, 3))):
        path = draw(st.sampled_from([p for p in paths_of(body["spec"]) if p] or [("x",)]))
        holder = body["spec"]
        for part in path[:-1]:
            holder = holder[part]
        holder[path[-1]] = copy.deepcopy(draw(ODD))
    return body


def paths_of(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for name, child in inside for found in paths_of(child, (*path, name)))]


def root_of(text: str, form: str) -> yaml.Node:
    """Return the node of the object, as PyYAML's own composer has it."""
    node = yaml.compose(text.replace("\t", " ") if form.endswith("json") else text, Loader=yaml.SafeLoader)
    if form.startswith("list"):
        for number in (1, 0):
            node = {k.value: v for k, v in node.value}["items"].value[number]
    return node


def place_of(node: yaml.Node, path: tuple[str | int, ...], *, wants_key: bool) -> tuple[int, int]:
    key: yaml.Node | None = None
    for part in path:
        if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            key, node = None, node.value[part]
            continue
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        found = next(((k, v) for k, v in pairs if k.value == str(part)), None)
        if found is None:
            wants_key = key is not None
            break
        key, node = found
    empty = isinstance(node, yaml.ScalarNode) and not node.value and node.style is None
    at = key if key is not None and (wants_key or empty) else node
    return at.start_mark.line + 1, at.start_mark.column + 1


def of_object(found: tuple[Diagnostic, ...], body: Any) -> list[Diagnostic]:
    name, kind = body["metadata"]["name"], body["kind"]
    return [d for d in found if d.key is not None and (d.key.kind, d.key.name) == (kind, name)]


@settings(max_examples=60, deadline=None)
@given(bodies())
def test_every_form_of_an_object_has_the_same_findings_where_its_fields_stand(body: Any):
    told: dict[str, Counter[Any]] = {}
    for form, write in FORMS.items():
        text = write(body)
        found = of_object(findings({form: text}, known_hosts=()), body)
        if not form.startswith("list"):  # beside another object more is found
            told[form] = Counter((d.code, d.path, d.message) for d in found)
        root = root_of(text, form)
        for finding in found:
            assert finding.at is not None
            if finding.path:
                place = place_of(root, finding.path, wants_key=finding.wants_key)
                assert (finding.at.line, finding.at.column) == place, (form, finding, text)
    assert len({frozenset(counted.items()) for counted in told.values()}) == 1, told


@settings(max_examples=150, deadline=None)
@given(bodies(), st.data())
def test_a_typing_error_in_a_name_is_found_there_and_hides_nothing(body: Any, data: st.DataObject):
    model = MODELS[body["kind"]]
    spec = body["spec"]
    places = [p for p in paths_of(spec) if p and p[-1] in fields_at(model, p[:-1]) and len(str(p[-1])) > 3]
    if not places:
        return
    path = data.draw(st.sampled_from(places))
    name = str(path[-1])
    at = data.draw(st.integers(1, len(name) - 1))
    misspelt = data.draw(st.sampled_from([name[:at] + name[at + 1 :], name[:at] + "x" + name[at:]]))
    known = fields_at(model, path[:-1])
    holder = spec
    for part in path[:-1]:
        holder = holder[part]
    above = any(misspelt in fields_at(model, path[:length]) for length in range(len(path)))
    if misspelt in holder or above or closest(misspelt, known) != name:
        return
    text = FORMS["block.yaml"](body)
    before = of_object(findings({"a.yaml": text}, known_hosts=()), body)
    value = holder[name]
    renamed = {misspelt if key == name else key: child for key, child in holder.items()}
    holder.clear()
    holder.update(renamed)
    assert holder[misspelt] is value
    found = of_object(findings({"a.yaml": FORMS["block.yaml"](body)}, known_hosts=()), body)
    wrong = [d for d in found if d.code == "GM101" and d.path == ("spec", *path[:-1], misspelt)]
    assert [d.hint for d in wrong] == [f"did you mean {name}?"]
    assert wrong[0].severity is Severity.ERROR
    if any(d.code in ("GM101", "GM102", "GM103") for d in before):
        return  # of what has the wrong shape already, less is said
    codes = {d.code for d in before if d.code[:3] in ("GM1", "GM4")}
    assert codes <= {d.code for d in found}, (misspelt, before, found)
