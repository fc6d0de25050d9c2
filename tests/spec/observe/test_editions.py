"""An edition never changes, and knows in what it differs from those shortly before it."""

from __future__ import annotations

import random

import pytest

from gitmesh.model.edition import KEYS_MAX, STEPS_MAX, Edition, changed_between, next_edition


def editions(*states: dict[str, int]) -> list[Edition[str, int]]:
    """Return the states as editions of one mapping."""
    was = dict[str, int]()
    made: list[Edition[str, int]] = []
    for state in states:
        changed = {key for key in state.keys() | was.keys() if state.get(key) != was.get(key)}
        made.append(Edition(state, made[-1] if made else None, changed))
        was = state
    return made


def test_what_changed_between_two_is_told_over_several_steps():
    first, second, third = editions({"a": 1, "b": 1}, {"a": 1, "b": 2}, {"b": 2, "c": 1})
    assert changed_between(first, second) == {"b"}
    assert changed_between(second, third) == {"a", "c"}
    assert changed_between(first, third) == {"a", "b", "c"}
    assert changed_between(third, third) == frozenset()


def test_it_is_not_known_backwards_or_of_two_mappings():
    first, second = editions({"a": 1}, {"a": 2})
    (other,) = editions({"a": 1})
    assert changed_between(second, first) is None
    assert changed_between(other, second) is None
    assert changed_between({"a": 1}, second) is None
    assert changed_between(first, {"a": 2}) is None


def test_of_two_that_were_made_of_the_same_one_nothing_is_known():
    base = Edition({"a": 1, "b": 1})
    one, other = Edition({"a": 2, "b": 1}, base, {"a"}), Edition({"a": 1, "b": 2}, base, {"b"})
    assert changed_between(one, other) is None
    assert changed_between(base, other) == {"b"}


def test_the_next_edition_is_made_of_what_changed():
    base = Edition({"a": 1, "b": 1, "c": 1})
    made = next_edition(base, {"b", "c", "d"}, {"b": 2, "d": 2})
    assert made == {"a": 1, "b": 2, "d": 2}
    assert changed_between(base, made) == {"b", "c", "d"}


def test_of_two_that_are_far_apart_it_is_not_known():
    made = editions(*({"a": number} for number in range(STEPS_MAX + 2)))
    assert changed_between(made[1], made[-1]) == {"a"}
    assert changed_between(made[0], made[-1]) is None


def test_where_very_many_changed_it_is_not_kept_which():
    many = {str(number): 1 for number in range(KEYS_MAX + 1)}
    before, after, later = editions({}, many, {**many, "0": 2})
    assert changed_between(before, after) is None
    assert changed_between(before, later) is None
    assert changed_between(after, later) == {"0"}


@pytest.mark.parametrize("seed", range(10))
def test_whatever_changes_is_among_what_is_told(seed: int):
    chance = random.Random(seed)
    states = [{key: chance.randrange(3) for key in "abcdef" if chance.random() < 0.7} for _ in range(50)]
    made = editions(*states)
    for earlier in range(50):
        for later in range(earlier, 50):
            told = changed_between(made[earlier], made[later])
            one, other = states[earlier], states[later]
            changed = {key for key in one.keys() | other.keys() if one.get(key) != other.get(key)}
            assert (told is None) == (later - earlier > STEPS_MAX)
            assert told is None or changed <= {*told}


def test_an_edition_cannot_be_changed():
    (edition,) = editions({"a": 1})
    with pytest.raises(TypeError):
        edition["a"] = 2
    with pytest.raises(TypeError):
        del edition["a"]
    assert edition == {"a": 1}
