"""The events of a YAML text, as kubectl's parser would tell them.

Stage: parse (pure). PyYAML's parser refuses a colon at the end of a plain value inside [] or {}, as in
[2001:db8::]; kubectl's takes it for a part of the value. Where that is all that is wrong, the text is read
with another character in the place of such colons, so that every place stays the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml
from yaml.events import ScalarEvent

_REFUSED = "found unexpected ':'"
# Behind a quote or a bracket the colon ends a key of JSON: {"a":[1]}.
_COLON = re.compile(r"""(?<=[^\s"'\]}]):(?=[,?\[\]{}])""")
_STAND_INS = ("\ue000", "\uf8ff", "\ue5e5")  # of the private use area: no text means anything by them


def events_of(text: str) -> Iterator[Any]:
    """Yield the events of a text up to what cannot be read. Raises the parser's error there."""
    told = 0
    parser = yaml.CSafeLoader(text)
    try:
        while (event := parser.get_event()) is not None:
            told += 1
            yield event
    except yaml.MarkedYAMLError as error:
        stand_in = next((char for char in _STAND_INS if char not in text), "")
        if error.problem != _REFUSED or not stand_in:
            raise
    else:
        return
    yield from _with_colons(_COLON.sub(stand_in, text), stand_in, told)


def _with_colons(text: str, stand_in: str, told: int) -> Iterator[Any]:
    """Yield the events after those that were told already, which have no such colon."""
    parser = yaml.CSafeLoader(text)
    number = 0
    while (event := parser.get_event()) is not None:
        number += 1
        if number > told:
            if type(event) is ScalarEvent and stand_in in event.value:
                event.value = event.value.replace(stand_in, ":")
            yield event
