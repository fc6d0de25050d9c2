"""Sidecars of one namespace.

Stage: validate (pure). Source: istio/istio pkg/config/analysis/analyzers/sidecar (IST0101, IST0110, IST0111,
IST0167).
"""

from __future__ import annotations

from collections.abc import Iterator

from gitmesh.istio.models.sidecar import SidecarSpec
from gitmesh.validate.across.found import PODS, Found, Unchecked
from gitmesh.validate.across.lenient import Labels
from gitmesh.validate.across.world import World
from gitmesh.validate.subject import Path, Subject

_SELECTOR: Path = ("spec", "workloadSelector")
_MODE = ("istio.io/dataplane-mode", "ambient")
_INJECTED = ("istio-injection", "enabled")


def check_sidecar_across(subject: Subject, spec: SidecarSpec, world: World) -> Iterator[Found]:
    """Yield Sidecars that several Pods' proxies cannot follow, or none does."""
    own, namespace = subject.resource.key, subject.namespace
    selector: Labels = tuple(sorted(spec.workload_selector.labels.items())) if spec.workload_selector else ()
    namespace_labels = world.namespace_labels(namespace)
    has_sidecars = _INJECTED in namespace_labels or "istio.io/rev" in dict(namespace_labels)
    if _MODE in namespace_labels and not has_sidecars:
        message = f"the namespace {namespace} is in ambient mode, where a Sidecar has no effect"
        yield subject.finding("GM238", message, ("metadata", "name"))
    same = [key for key in world.sidecars(namespace, selector) if key != own]
    if same and not selector:
        message = f"{same[0]} is for the whole namespace, too; proxies follow only one of them"
        hint = "give one of them a workloadSelector"
        yield subject.finding("GM215", message, ("metadata", "name"), hint=hint)
    elif selector:
        yield from _selected(subject, selector, world)


def _selected(subject: Subject, selector: Labels, world: World) -> Iterator[Found]:
    pods = world.pods_of(selector, subject.namespace)
    if not pods and world.knows_pods(subject.namespace):
        shown = ", ".join(f"{name}={value}" for name, value in selector)
        message = f"no Pod of the namespace has the labels {shown[:200]}, so nothing follows this Sidecar"
        yield subject.finding("GM211", message, _SELECTOR, wants_key=True)
    elif not pods:
        # Without Pods one thing is still sure: equal selectors take the same ones.
        same = [key for key in world.sidecars(subject.namespace, selector) if key != subject.resource.key]
        if same:
            message = f"{same[0]} has the same selector; proxies follow only one of them"
            yield subject.finding("GM216", message, _SELECTOR, hint="join them", wants_key=True)
        else:
            yield Unchecked(PODS, "GM211")
    for pod in pods:
        others = [key for key in world.sidecars_of(pod) if key != subject.resource.key]
        if others:
            message = f"{others[0]} selects {pod.name[:120]}, too; its proxy follows only one of them"
            yield subject.finding("GM216", message, _SELECTOR, hint="join them", wants_key=True)
            return
