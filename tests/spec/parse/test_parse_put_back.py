"""One object of a file is put back to an earlier version of it; not a byte of anything else changes."""

from __future__ import annotations

import pytest

from gitmesh.istio.canonical import spec_hash
from gitmesh.model.config import ParseLimits
from gitmesh.model.kinds import VIRTUAL_SERVICE
from gitmesh.parse.put_back import Reader, put_back

READER = Reader("default", ParseLimits())
REVIEWS = VIRTUAL_SERVICE.key("default", "reviews")
PATH = "mesh/routes.yaml"

HEAD = """\
# ours
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}   # who
"""
STABLE = """\
spec:
  hosts: [reviews]
  http:
    - route:   # everything on v1
        - {destination: {host: reviews, subset: v1}}
"""
CANARY = """\
spec:
  hosts:
    - reviews
  http:
    - route:
        - {destination: {host: reviews, subset: v2}}
      timeout: 3s
"""
RATINGS = (HEAD + STABLE).replace("reviews", "ratings")


def back(now: str, then: str, path: str = PATH) -> str | None:
    content = put_back(path, now.encode(), then.encode(), REVIEWS, READER)
    return None if content is None else content.decode()


def test_a_file_of_one_object_is_as_it_was():
    assert back(HEAD + CANARY, HEAD + STABLE) == HEAD + STABLE


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_other_documents_stay_as_they_are(line_end: str):
    other = RATINGS.replace("v1", "v3")
    now = "---\n".join([other, HEAD + CANARY, RATINGS])
    then = "---\n".join([HEAD + STABLE, RATINGS])
    expected = "---\n".join([other, HEAD + STABLE, RATINGS])
    now, then, expected = (text.replace("\n", line_end) for text in (now, then, expected))
    assert back(now, then) == expected


def test_what_was_changed_beside_the_spec_stays():
    labelled = HEAD.replace("{name: reviews}", "{name: reviews, labels: {team: shop}}")
    assert back(labelled + CANARY, HEAD + STABLE) == labelled + STABLE


def test_the_order_of_the_fields_does_not_matter():
    kind = "apiVersion: networking.istio.io/v1\nkind: VirtualService\n"
    metadata = "metadata:\n  name: reviews\n  namespace: default\n"
    assert back(kind + CANARY + metadata, metadata + kind + STABLE) == kind + STABLE + metadata


@pytest.mark.parametrize("end", ["", "\n", "\n...\n", "\n# the end\n"])
def test_a_text_without_a_line_end_is_put_before_others_all_the_same(end: str):
    now = f"{HEAD}{CANARY}---\n{RATINGS}"
    assert back(now, (HEAD + STABLE).rstrip("\n") + end) is not None


def test_an_anchor_outside_of_the_spec_is_brought_along_with_its_document():
    then = (
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\n"
        "metadata: {name: &name reviews}\nspec: {hosts: [*name], http: [{route: "
        "[{destination: {host: *name, subset: v1}}]}]}\n"
    )
    assert back(HEAD + CANARY, then) == "# ours\n" + then


def test_json_files_are_edited_too():
    def document(subset: str, hosts: str) -> str:
        return (
            '{\n\t"apiVersion": "networking.istio.io/v1", "kind": "VirtualService",\n'
            f'\t"spec": {{"hosts": {hosts}, "http": [{{"route": [{{"destination": '
            f'{{"host": "reviews", "subset": "{subset}"}}}}]}}]}},\n'
            '\t"metadata": {"name": "reviews"}\n}\n'
        )

    now, then = document("v2", '[ "reviews" ]'), document("v1", '["reviews"]')
    assert back(now, then, "routes.json") == then


@pytest.mark.parametrize(
    ("now", "then"),
    [
        (RATINGS, HEAD + STABLE),
        (HEAD + CANARY, RATINGS),
        ("a: [", HEAD + STABLE),
        (HEAD + CANARY, "a: ["),
        ("", ""),
    ],
    ids=["not in the file", "not in the version before", "broken", "broken before", "empty"],
)
def test_where_it_does_not_stand_in_both_nothing_is_done(now: str, then: str):
    assert back(now, then) is None


def test_an_element_of_a_list_is_left_to_people():
    items = HEAD.replace("# ours\n", "") + CANARY
    indented = "".join(f"    {line}\n" for line in items.splitlines())
    listed = f"apiVersion: v1\nkind: List\nitems:\n  -\n{indented}"
    assert READER.read(PATH, listed.encode()).resources.get(REVIEWS) is not None
    assert back(listed, HEAD + STABLE) is None


def test_a_text_in_another_encoding_is_left_to_people():
    assert put_back(PATH, (HEAD + CANARY).encode("utf-16"), (HEAD + STABLE).encode(), REVIEWS, READER) is None


def test_a_version_is_recognised_by_its_spec():
    content = (HEAD + STABLE).encode()
    stable = spec_hash(READER.read(PATH, content).resources[REVIEWS].spec)
    assert READER.holds(PATH, content, REVIEWS, stable)
    assert not READER.holds(PATH, (HEAD + CANARY).encode(), REVIEWS, stable)
    assert not READER.holds(PATH, b"a: [", REVIEWS, stable)
