"""Who brought a file to where it is, in any history, with any merges: against what the words say."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from gitmesh.fetch.changes import History
from gitmesh.fetch.origins import brought

# A history is a list of commits, oldest first: each has parents among those before it, and one file.
COMMITS = st.lists(
    st.tuples(st.lists(st.integers(0, 30), max_size=3), st.integers(0, 2)), min_size=2, max_size=14
)


def a_history(
    drawn: list[tuple[list[int], int]], accepted: int
) -> tuple[str, str, History, dict[str, int], dict[str, frozenset[str]]]:
    """Return tip, accepted commit, what is beyond it, and the content and ancestors of each commit."""
    content: dict[str, int] = {}
    parents: dict[str, tuple[str, ...]] = {}
    ancestors: dict[str, frozenset[str]] = {}
    for number, (chosen, text) in enumerate(drawn):
        name = f"c{number}"
        before = tuple(dict.fromkeys(f"c{index % number}" for index in chosen)) if number else ()
        content[name], parents[name] = text, before
        ancestors[name] = frozenset({name}).union(*(ancestors[parent] for parent in before))
    tip, base = f"c{len(drawn) - 1}", f"c{accepted % (len(drawn) - 1)}"
    beyond = [name for name in reversed(content) if name in ancestors[tip] - ancestors[base]]
    return tip, base, History({name: parents[name] for name in beyond}, whole=True), content, ancestors


@settings(max_examples=300, deadline=None)
@given(drawn=COMMITS, accepted=st.integers(0, 30))
def test_a_file_that_changed_has_an_origin_that_has_it_and_whose_parents_have_not(
    drawn: list[tuple[list[int], int]], accepted: int
):
    tip, base, past, content, ancestors = a_history(drawn, accepted)
    differing = {
        (commit, parent): frozenset({"f"} if content[commit] != content[parent] else ())
        for commit, parents in past.parents.items()
        for parent in parents
    }
    found = brought(tip, "f", past, differing)
    if tip not in past.parents:
        assert found.origins == frozenset(), "nothing is beyond what was accepted"
        return
    assert found.origins
    for commit in found.origins | found.merges:
        assert content[commit] == content[tip]
        assert commit not in ancestors[base], "who was accepted before answers for nothing new"
    for commit in found.origins:
        inside = [parent for parent in past.parents[commit] if parent in past.parents]
        assert all(content[parent] != content[tip] for parent in inside)
    for commit in found.merges:
        assert len(past.parents[commit]) > 1
        assert content[past.parents[commit][0]] != content[tip]
