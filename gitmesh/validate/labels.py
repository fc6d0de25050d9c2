"""Labels of workloads and the selectors that pick by them.

Stage: validate (pure). Source: istio/istio pkg/config/labels, Instance.Validate, and pkg/config/validation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gitmesh.istio.models.common import LabelSelector
from gitmesh.model.diagnostic import Diagnostic
from gitmesh.validate.names import is_label_key, is_label_value
from gitmesh.validate.subject import Path, Subject, dotted

_SHOWN = 80


def check_labels(subject: Subject, labels: Mapping[str, str], path: Path) -> Iterator[Diagnostic]:
    """Yield the labels that no workload can have."""
    for key, value in labels.items():
        if not is_label_key(key):
            message = f"{key[:_SHOWN]!r} cannot be the key of a label"
            hint = "a name of letters, digits, -, _ and ., at most 63; a DNS prefix and / may come before it"
            yield subject.finding("GM112", message, (*path, key), hint=hint, wants_key=True)
        if not is_label_value(value):
            message = f"{value[:_SHOWN]!r} cannot be the value of a label"
            hint = "letters, digits, -, _ and ., which begins and ends with a letter or digit"
            yield subject.finding("GM112", message, (*path, key), hint=hint)


def check_selector(subject: Subject, selector: LabelSelector, path: Path) -> Iterator[Diagnostic]:
    """Yield what is wrong with the selector of a Sidecar or ServiceEntry."""
    if not selector.labels:
        yield empty_selector(subject, path)
    for key in selector.labels:
        if not key or "*" in key:
            message = f"the key {key[:_SHOWN]!r} of the selector is empty or has a wildcard"
            yield subject.finding("GM112", message, (*path, "labels", key), wants_key=True)


def empty_selector(subject: Subject, path: Path) -> Diagnostic:
    """Return the finding about a selector that selects by nothing."""
    message = f"{dotted(path)} has no labels, so it selects every workload of the namespace"
    return subject.finding("GM142", message, path, hint="add labels, or remove it", wants_key=True)
