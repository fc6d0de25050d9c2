"""The forms of names, labels and addresses that Istio accepts.

Stage: validate (pure). Source: istio/istio pkg/config/validation/agent and pkg/config/labels.
"""

from __future__ import annotations

import ipaddress
import re

from gitmesh.istio.hosts import is_ip

UNIX = "unix://"
_LABEL_TEXT = r"[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?"
_LABEL = re.compile(_LABEL_TEXT, re.ASCII)
_WILDCARD_LABEL = re.compile(rf"\*|(?:\*-?)?{_LABEL_TEXT}", re.ASCII)
_QUALIFIED = re.compile(r"(?:[A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]", re.ASCII)
_NUMBER = re.compile(r"[0-9]+", re.ASCII)
_LABEL_CHARS_MAX = 63
_DOMAIN_CHARS_MAX = 255
_KEY_PREFIX_CHARS_MAX = 253


def is_label(text: str) -> bool:
    """Say whether the text is a DNS-1123 label; Istio allows upper case."""
    return len(text) <= _LABEL_CHARS_MAX and _LABEL.fullmatch(text) is not None


def is_fqdn(text: str) -> bool:
    """Say whether the text is a host name without a wildcard."""
    return 0 < len(text) <= _DOMAIN_CHARS_MAX and _are_labels(text)


def is_wildcard_domain(text: str) -> bool:
    """Say whether the text is a host name whose first label may be a wildcard."""
    first, dot, rest = text.partition(".")
    if not text or len(text) > _DOMAIN_CHARS_MAX or len(first) > _LABEL_CHARS_MAX:
        return False
    return _WILDCARD_LABEL.fullmatch(first) is not None and (not dot or _are_labels(rest))


def is_host(text: str) -> bool:
    """Say whether the text is what a VirtualService may list: a host name, a wildcard, or an address."""
    return is_wildcard_domain(text) or is_ip(text)


def has_partial_wildcard(host: str) -> bool:
    """Say whether a wildcard stands for a part of a label, as in `*foo.com`."""
    return "*" in host and host != "*" and not host.startswith("*.")


def is_subnet(text: str) -> bool:
    """Say whether the text is an address, or a network such as 10.0.0.0/8."""
    address, slash, bits = text.partition("/")
    if not slash:
        return is_ip(text)
    if not _NUMBER.fullmatch(bits) or (len(bits) > 1 and bits[0] == "0"):
        return False
    try:
        return int(bits) <= ipaddress.ip_address(address).max_prefixlen and "%" not in address
    except ValueError:
        return False


def is_socket_path(path: str) -> bool:
    """Say whether what follows `unix://` is an absolute path to a file, or an abstract name."""
    return path.startswith("@") or (path.startswith("/") and not path.endswith("/"))


def is_label_key(key: str) -> bool:
    """Say whether the text is a key of a label: an optional DNS prefix and a name of at most 63."""
    prefix, slash, name = key.rpartition("/")
    if slash and not (
        0 < len(prefix) <= _KEY_PREFIX_CHARS_MAX and all(_LABEL.fullmatch(part) for part in prefix.split("."))
    ):
        return False
    return len(name) <= _LABEL_CHARS_MAX and _QUALIFIED.fullmatch(name) is not None


def is_label_value(value: str) -> bool:
    """Say whether the text is a value of a label; it may be empty."""
    return not value or _QUALIFIED.fullmatch(value) is not None


def _are_labels(text: str) -> bool:
    labels = text.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        return False  # it looks like an address
    if not labels[-1]:
        labels.pop()  # a trailing dot
    return all(is_label(label) for label in labels)
