"""Whatever the label values are, and whatever a hostile endpoint sends."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gitmesh.observe.exposition import MalformedError, labels, samples

NAME = "istio_requests_total"
LABEL_NAMES = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True)
VALUES = st.text(st.characters(codec="utf-8"), max_size=30)


def escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


@given(st.dictionaries(LABEL_NAMES, VALUES, max_size=5), st.integers(0, 2**53), st.booleans())
def test_every_label_value_comes_back_as_it_was(
    known: dict[str, str], count: int, trailing_comma: bool
) -> None:
    text = ",".join(f'{name}="{escaped(value)}"' for name, value in known.items())
    text += "," if known and trailing_comma else ""
    body = f"other{{}} 1\n{NAME}{{{text}}} {count} 1700000000\n# end".encode()
    (sample,) = samples(body, {NAME})
    assert labels(sample.raw_labels) == known
    assert sample.value == count


@given(st.binary(max_size=200))
def test_hostile_bytes_are_malformed_or_read_and_nothing_else(rest: bytes) -> None:
    try:
        for sample in samples(NAME.encode() + rest, {NAME}):
            labels(sample.raw_labels)
            assert sample.value >= 0
    except MalformedError:
        pass


@given(st.text('{}"\\,=ab 1\t', max_size=60))
def test_text_that_is_nearly_right_is_malformed_or_read(rest: str) -> None:
    test_hostile_bytes_are_malformed_or_read_and_nothing_else.hypothesis.inner_test(rest.encode())  # type: ignore[attr-defined]
