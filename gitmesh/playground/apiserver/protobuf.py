"""The protobuf wire format, as much of it as kubectl forces upon a server.

Stage: playground (pure). Source: protobuf.dev, Encoding.
"""

from __future__ import annotations

from collections.abc import Iterator

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def varint(number: int) -> bytes:
    """Write a number that is not negative."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def text(field: int, value: str) -> bytes:
    """Write a string field; empty text is left out, as proto3 does."""
    return message(field, value.encode()) if value else b""


def message(field: int, content: bytes) -> bytes:
    """Write an embedded message or bytes, also when it is empty."""
    return varint(field << 3 | _BYTES) + varint(len(content)) + content


def flag(field: int, value: bool) -> bytes:
    """Write a bool field; False is left out."""
    return varint(field << 3 | _VARINT) + b"\x01" if value else b""


def fields(raw: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield (field number, value): a number, or bytes for text and messages. Raises ValueError."""
    at = 0
    while at < len(raw):
        tag, at = _read_varint(raw, at)
        kind = tag & 7
        if kind == _VARINT:
            number, at = _read_varint(raw, at)
            yield tag >> 3, number
            continue
        if kind not in (_BYTES, _FIXED64, _FIXED32):
            raise ValueError(f"wire type {kind} is not known")
        if kind == _BYTES:
            length, at = _read_varint(raw, at)
        else:
            length = 8 if kind == _FIXED64 else 4
        if at + length > len(raw):
            raise ValueError("the message is cut off")
        yield tag >> 3, raw[at : at + length]
        at += length


def _read_varint(raw: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        if at >= len(raw) or shift > 63:
            raise ValueError("a number is cut off")
        byte = raw[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
        shift += 7
