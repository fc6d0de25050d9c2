"""How a text is compared: by equality, by prefix, or by a regular expression of RE2.

Stage: validate (pure). Source: istio/istio pkg/config/validation, validateStringMatch.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from gitmesh.istio.models.common import StringMatch
from gitmesh.model.diagnostic import Diagnostic
from gitmesh.validate.subject import Path, Subject, dotted

REGEX_BYTES_MAX = 1024


def check_string_match(
    subject: Subject, match: StringMatch, path: Path, *, empty_prefix: bool = False
) -> Iterator[Diagnostic]:
    """Yield what is wrong with a match; `empty_prefix`: Envoy allows one here."""
    if match.prefix == "" and not empty_prefix:
        yield subject.finding("GM108", f"{dotted(path)}.prefix is empty", (*path, "prefix"))
    if match.regex is not None:
        yield from check_regex(subject, match.regex, (*path, "regex"))


def check_regex(subject: Subject, regex: str, path: Path) -> Iterator[Diagnostic]:
    """Yield why Envoy could not use this regular expression."""
    if not regex:
        yield subject.finding("GM108", f"{dotted(path)} is empty", path)
    elif len(regex.encode(errors="replace")) > REGEX_BYTES_MAX:
        message = f"{dotted(path)} is longer than {REGEX_BYTES_MAX} bytes"
        yield subject.finding("GM108", message, path)
    elif reason := regex_problem(regex):
        message = f"{dotted(path)} is not a regular expression of RE2: {reason}"
        hint = "RE2 has neither look-around nor back references" if "perl" in reason else ""
        yield subject.finding("GM108", message, path, hint=hint or "use RE2 syntax, as Envoy does")


@lru_cache(maxsize=1024)
def regex_problem(regex: str) -> str:
    """Say why RE2 refuses the expression; empty when it compiles."""
    import re2  # a library that no other command needs

    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    try:
        re2.compile(regex, options)
    except re2.error as error:
        reason = error.args[0] if error.args else ""
        text = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        return text[:120] or "it does not compile"
    except (UnicodeEncodeError, ValueError):
        return "it is not valid UTF-8"
    return ""
