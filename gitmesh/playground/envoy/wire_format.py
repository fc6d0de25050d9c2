"""Messages in their JSON form to protocol buffers' binary form, by tables of fields.

Stage: playground (pure). Envoy reads the binary form several times faster than JSON, and what stands for one
part of a message can be kept and put beside other parts. Source: protobuf.dev, Encoding and ProtoJSON Format.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

_TYPE_PREFIX = "type.googleapis.com/"
_VARINT, _LENGTH = 0, 2  # wire types
_NANOS = 1_000_000_000
_DURATION_SECONDS_MAX = 315_576_000_000  # Source: protobuf.dev, google.protobuf.Duration
_RANGES = {"uint32": (0, 2**32 - 1), "int32": (-(2**31), 2**31 - 1), "int64": (-(2**63), 2**63 - 1)}

# A message's fields: name -> number and type. A type is `string`, `bytes`, `bool`, `Duration`, a number's, an
# enum's or a message's name; `repeated T`; `map T` from string. A wrapper (`BoolValue`) is a message whose
# JSON is its value. `Any` holds a message that names its type in `@type`.
Fields = Mapping[str, tuple[int, str]]
_Write = Callable[[Any], bytes]


class UnwritableError(ValueError):
    """A value does not fit its field, or a field is in no table."""


class WireFormat:
    """Writes the messages of some tables."""

    def __init__(
        self,
        messages: Mapping[str, Fields],
        enums: Mapping[str, Iterable[str]],
        any_types: Mapping[str, str],
    ) -> None:
        """Take the fields of each message, the names of each enum in order, and what `@type` may say."""
        self._messages = messages
        self._enums = {name: {value: n for n, value in enumerate(values)} for name, values in enums.items()}
        self._any_types = any_types
        self._writers: dict[tuple[str, str], _Write] = {}  # by message and field: writes it with its tag

    def write(self, kind: str, message: Mapping[str, Any]) -> bytes:
        """Return a message of this kind. Raises UnwritableError."""
        if not isinstance(message, Mapping):
            raise UnwritableError(f"{kind} should be a mapping, not {message!r}")
        found = []
        for name, value in message.items():
            if name == "@type":
                continue
            writer = self._writers.get((kind, name))
            if writer is None:
                writer = self._writers[kind, name] = self._field(kind, name)
            try:
                found.append(writer(value))
            except UnwritableError as error:
                raise UnwritableError(f"{name}: {error}") from error
        return b"".join(found)

    def _field(self, kind: str, name: str) -> _Write:
        fields = self._messages[kind]
        if name not in fields:
            raise UnwritableError(f"{kind} has no field {name} that can be written")
        number, type_ = fields[name]
        word, _, inner = type_.rpartition(" ")
        if word == "repeated":
            return self._repeated(number, inner)
        write, tag = self._value(inner), _tag(number, self._wire_type(inner))
        if word == "map":
            return lambda value: b"".join(
                tag + delimited(_KEY + _string(key) + _VALUE + write(item)) for key, item in value.items()
            )
        return lambda value: tag + write(value)

    def _repeated(self, number: int, inner: str) -> _Write:
        write = self._value(inner)
        if self._wire_type(inner) == _VARINT:  # numbers are packed
            tag = _tag(number, _LENGTH)
            return lambda values: tag + delimited(b"".join(map(write, values)))
        tag = _tag(number, _LENGTH)
        return lambda values: b"".join(tag + write(value) for value in values)

    def _wire_type(self, type_: str) -> int:
        return _VARINT if type_ in _RANGES or type_ == "bool" or type_ in self._enums else _LENGTH

    def _value(self, type_: str) -> _Write:
        """Return what writes a value of a type, without its tag."""
        if type_ in _SCALARS:
            return _SCALARS[type_]
        if type_ in _RANGES:
            return _whole_number(type_)
        if type_ in self._enums:
            numbers = self._enums[type_]
            return lambda value: varint(_chosen(numbers, value, type_))
        if type_ == "Any":
            return self._any
        return lambda value: delimited(self.write(type_, value))

    def _any(self, message: Mapping[str, Any]) -> bytes:
        url = message.get("@type", "")
        kind = self._any_types.get(url.removeprefix(_TYPE_PREFIX))
        if kind is None:
            raise UnwritableError(f"a message of the type {url!r} cannot be written")
        return delimited(any_of(url, self.write(kind, message)))


def any_of(url: str, content: bytes) -> bytes:
    """Return a `google.protobuf.Any` of a message that is written already."""
    return _KEY + _string(url) + _VALUE + delimited(content)


def field_of(number: int, content: bytes) -> bytes:
    """Return a text or message, which is written already, as a field of another message."""
    return _tag(number, _LENGTH) + delimited(content)


def varint(number: int) -> bytes:
    """Return a whole number of at most 64 bits; of a negative one the two's complement."""
    number &= 2**64 - 1
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    found.append(number)
    return bytes(found)


def delimited(content: bytes) -> bytes:
    """Return content behind its length."""
    return varint(len(content)) + content


def _tag(number: int, wire_type: int) -> bytes:
    return varint(number << 3 | wire_type)


_KEY, _VALUE = _tag(1, _LENGTH), _tag(2, _LENGTH)  # of a map's entry, and of Any


def _string(value: Any) -> bytes:
    if not isinstance(value, str):
        raise UnwritableError(f"should be text, not {value!r}")
    try:
        return delimited(value.encode())
    except UnicodeEncodeError as error:
        raise UnwritableError(f"is no text in UTF-8: {value!r}") from error


def _bytes(value: Any) -> bytes:
    # Both alphabets are read, and padding may be left out.
    try:
        text = str(value).replace("-", "+").replace("_", "/").rstrip("=")
        return delimited(base64.b64decode(text + "=" * (-len(text) % 4), validate=True))
    except binascii.Error as error:
        raise UnwritableError(f"is not Base64: {value!r}") from error


def _bool(value: Any) -> bytes:
    if not isinstance(value, bool):
        raise UnwritableError(f"should be true or false, not {value!r}")
    return varint(value)


def _whole_number(type_: str) -> _Write:
    low, high = _RANGES[type_]

    def write(value: Any) -> bytes:
        try:
            number = int(value)
        except (TypeError, ValueError) as error:
            raise UnwritableError(f"should be a whole number, not {value!r}") from error
        if not low <= number <= high or isinstance(value, bool | float):
            raise UnwritableError(f"is no {type_}: {value!r}")
        return varint(number)

    return write


def _wrapper(write: _Write) -> _Write:
    return lambda value: delimited(_ONE + write(value))


_ONE, _TWO = _tag(1, _VARINT), _tag(2, _VARINT)


def _duration(value: Any) -> bytes:
    try:
        seconds = Decimal(str(value).removesuffix("s"))
    except InvalidOperation as error:
        raise UnwritableError(f"is no duration: {value!r}") from error
    if not str(value).endswith("s") or not abs(seconds) <= _DURATION_SECONDS_MAX:
        raise UnwritableError(f"is no duration: {value!r}")
    whole = int(seconds)
    return delimited(_ONE + varint(whole) + _TWO + varint(int((seconds - whole) * _NANOS)))


def _words(value: Any) -> bytes:
    """Write a `google.protobuf.Struct` that holds texts only: its values are messages, with texts in 3."""
    entries = (_KEY + _string(k) + field_of(2, _tag(3, _LENGTH) + _string(v)) for k, v in value.items())
    return delimited(b"".join(field_of(1, entry) for entry in entries))


_SCALARS: Mapping[str, _Write] = {
    "string": _string,
    "bytes": _bytes,
    "bool": _bool,
    "Duration": _duration,
    "Struct": _words,
    "BoolValue": _wrapper(_bool),
    "UInt32Value": _wrapper(_whole_number("uint32")),
}


def _chosen(numbers: Mapping[str, int], value: Any, type_: str) -> int:
    if value not in numbers:
        raise UnwritableError(f"is no {type_}: {value!r}")
    return numbers[value]
