"""The formats of text that an API server checks.

Stage: validate (pure). Source: kubernetes.io, "Extend the Kubernetes API with CustomResourceDefinitions",
list of formats under "Validation"; others are ignored.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Callable, Mapping
from datetime import date, datetime

from gitmesh.validate.cel_addresses import read_cidr, read_ip
from gitmesh.validate.cel_urls import read_url

_PREFIX = "k8s-"
_EMAIL = re.compile(r"[^\s@]+@[^\s@]+")
_HOST = re.compile(
    r"(?=.{1,255}$)[A-Za-z0-9_](?:[-A-Za-z0-9_]{0,62})(?:\.[A-Za-z0-9_][-A-Za-z0-9_]{0,62})*\.?"
)
_MAC = re.compile(
    r"(?:[0-9A-Fa-f]{2}([:-])(?:[0-9A-Fa-f]{2}\1){4,6}[0-9A-Fa-f]{2}|(?:[0-9A-Fa-f]{4}\.){2,3}[0-9A-Fa-f]{4})"
)
_UUID = re.compile(r"[0-9A-Fa-f]{8}-?[0-9A-Fa-f]{4}-?[0-9A-Fa-f]{4}-?[0-9A-Fa-f]{4}-?[0-9A-Fa-f]{12}")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_TIME = re.compile(r"(\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2})(?:\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})", re.ASCII)
_UNIT = r"(?:ns|nano|us|µs|micro|ms|milli|s|sec|second|m|min|minute|h|hr|hour|d|day|w|wk|week)s?"
_DURATION = re.compile(rf"[+-]?(?:(?:\d+(?:\.\d*)?|\.\d+)\s*{_UNIT}\s*)+|[+-]?0")


def _is_ipv4(text: str) -> bool:
    found = read_ip(text)
    return found is not None and found.version == 4


def _is_ipv6(text: str) -> bool:
    found = read_ip(text)
    return found is not None and found.version == 6


def _is_base64(text: str) -> bool:
    try:
        b64decode(text.replace("\r", "").replace("\n", ""), validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def _is_date(text: str) -> bool:
    if not _DATE.fullmatch(text):
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _is_date_time(text: str) -> bool:
    found = _TIME.fullmatch(text)
    if not found:
        return False
    try:
        datetime.fromisoformat(found[1].replace("t", "T").replace(" ", "T") + found[2].upper())
    except ValueError:
        return False
    return True


FORMATS: Mapping[str, Callable[[str], bool]] = {
    "uri": lambda text: read_url(text) is not None,
    "email": lambda text: _EMAIL.fullmatch(text) is not None,
    "hostname": lambda text: _HOST.fullmatch(text) is not None,
    "ipv4": _is_ipv4,
    "ipv6": _is_ipv6,
    "cidr": lambda text: read_cidr(text) is not None,
    "mac": lambda text: _MAC.fullmatch(text) is not None,
    "uuid": lambda text: _UUID.fullmatch(text) is not None,
    "byte": _is_base64,
    "date": _is_date,
    "date-time": _is_date_time,
    "datetime": _is_date_time,
    "duration": lambda text: _DURATION.fullmatch(text) is not None,
}


def format_name(name: str) -> str:
    """Return the name under which a format is registered: to JSON Schema some names mean other things."""
    return _PREFIX + name


def shown_name(name: str) -> str:
    """Return the name that the CRD uses."""
    return name.removeprefix(_PREFIX)
