"""The forms of names that Istio accepts.

Stage: validate (pure). Source: istio/istio pkg/config/validation/agent, ValidateFQDN, ValidateWildcardDomain.
"""

from __future__ import annotations

import re

from gitmesh.istio.hosts import is_ip

_LABEL = re.compile(r"[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?", re.ASCII)
_WILDCARD_LABEL = re.compile(r"\*|(?:\*-?)?[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?", re.ASCII)


def is_label(text: str) -> bool:
    """Say whether the text is a DNS-1123 label; Istio allows upper case."""
    return len(text) <= 63 and _LABEL.fullmatch(text) is not None


def is_fqdn(text: str) -> bool:
    """Say whether the text is a host name without a wildcard."""
    return _is_domain(text, text.split(".")[0], _LABEL)


def is_wildcard_domain(text: str) -> bool:
    """Say whether the text is a host name whose first label may be a wildcard."""
    return text == "*" or _is_domain(text, text.split(".")[0], _WILDCARD_LABEL)


def is_host(text: str) -> bool:
    """Say whether the text is what a VirtualService may list: a host name, a wildcard, or an address."""
    return is_wildcard_domain(text) or is_ip(text)


def _is_domain(text: str, first: str, pattern: re.Pattern[str]) -> bool:
    if not text or len(text) > 255 or len(first) > 63 or not pattern.fullmatch(first):
        return False
    rest = text.split(".")[1:]
    if rest and not rest[-1]:
        rest = rest[:-1]  # a trailing dot
    if not all(is_label(label) for label in rest):
        return False
    return not (rest[-1] if rest else first).isdecimal()
