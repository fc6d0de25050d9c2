"""A share of all requests, told by their x-request-id.

Stage: decide, plan (pure). Envoy gives a request without an id a random UUID of version 4 before it looks for
a route, and services pass it on, so that all requests of one trace are on one side.

Read are the last four digits. Of a UUID of version 4 the 13th digit is its version, which Envoy overwrites
to say why a trace is sampled, and the 17th is its variant; the first eight decide whether a trace is sampled,
and in a UUID of version 7 they are the time. The last twelve are random in both. An id that does not end in
four hexadecimal digits is on no share, and takes the stable rules.
Source: RFC 9562; Envoy, source/extensions/request_id/uuid.
"""

from __future__ import annotations

from fractions import Fraction

HEADER = "x-request-id"
DIGITS = 4
RESOLUTION: int = 16**DIGITS  # the share of one step: 0.0015 %
_HEX = "0123456789abcdef"
_ANY = "[0-9a-fA-F]"


def share_of(progress: float) -> int:
    """Return how many of the 65,536 endings take the new rules: one once begun, all at the end only."""
    if progress <= 0:
        return 0
    if progress >= 100:
        return RESOLUTION
    exact = Fraction(progress) * RESOLUTION / 100
    return min(max(1, int(exact + Fraction(1, 2))), RESOLUTION - 1)


def pattern(share: int) -> str:
    """Return the regular expression (RE2, of the whole value) of the ids whose ending is below `share`.

    A larger share takes all ids of a smaller one: whoever has the new rules keeps them while it grows.
    """
    assert 0 < share < RESOLUTION
    digits = [int(digit, 16) for digit in f"{share:0{DIGITS}x}"]
    parts = []
    for place, digit in enumerate(digits):
        if digit:
            begin = "".join(_digits(before, before + 1) for before in digits[:place])
            parts.append(begin + _digits(0, digit) + _ANY * (DIGITS - place - 1))
    return f".*({'|'.join(parts)})"


def _digits(start: int, stop: int) -> str:
    """Write the digits from `start` to before `stop`, in both cases of letters."""
    numbers, letters = _HEX[start : min(stop, 10)], _HEX[max(start, 10) : stop]
    if len(numbers) + 2 * len(letters) == 1:
        return numbers
    return f"[{_span(numbers)}{_span(letters)}{_span(letters.upper())}]"


def _span(characters: str) -> str:
    return characters if len(characters) < 3 else f"{characters[0]}-{characters[-1]}"
