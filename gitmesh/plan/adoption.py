"""Taking over objects that exist already: whether it may be done, from whom, and what comes along.

Stage: plan (pure). See docs/applying.md and docs/decisions/0017.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gitmesh.model.field_managers import FieldManager
from gitmesh.model.plan import Refusal, Takeover
from gitmesh.model.resource import Resource
from gitmesh.model.source import ADOPT_ANNOTATION, OWNER_ANNOTATION, TrafficSourceSpec
from gitmesh.plan.opponents import tool_of

Marks = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Tool:
    """One tool that keeps objects as it wants them, and how it is told to let one go.

    `owner` says by labels and annotations which of its own objects an object belongs to; empty: to none.
    `lets_go` says whether the marks tell the tool to leave the object alone. `mark` makes it the tool's.
    """

    name: str
    mark: str
    owner: Callable[[Marks, Marks], str]
    lets_go: Callable[[Marks], bool]
    advice: str


# Source: fluxcd.io, Kustomization API, "Controlling the apply behavior of resources".
FLUX_LABELS = "kustomize.toolkit.fluxcd.io"
FLUX_HELM_LABELS = "helm.toolkit.fluxcd.io"
# Source: argo-cd.readthedocs.io, "Resource Tracking" and "Sync Options".
ARGO_TRACKING = "argocd.argoproj.io/tracking-id"
ARGO_OPTIONS = "argocd.argoproj.io/sync-options"
# Source: helm.sh, docs, "Tell Helm Not To Uninstall a Resource"; helm/helm pkg/action/validate.go.
HELM_RELEASE = "meta.helm.sh/release-name"
HELM_POLICY = "helm.sh/resource-policy"


def _flux(prefix: str, kind: str) -> Callable[[Marks, Marks], str]:
    def owner(labels: Marks, annotations: Marks) -> str:
        name = labels.get(f"{prefix}/name", "")
        return f"{kind} {labels.get(f'{prefix}/namespace', '')}/{name}" if name else ""

    return owner


def _argo(labels: Marks, annotations: Marks) -> str:
    name = annotations.get(ARGO_TRACKING, "").partition(":")[0]
    return f"Application {name}" if name else ""


def _helm(labels: Marks, annotations: Marks) -> str:
    name = annotations.get(HELM_RELEASE, "")
    return f"release {name}" if name else ""


_TOOLS = (
    _Tool(
        "Flux",
        f"label {FLUX_LABELS}/name",
        _flux(FLUX_LABELS, "Kustomization"),
        lambda marks: (
            "disabled" in (marks.get(f"{FLUX_LABELS}/reconcile"), marks.get(f"{FLUX_LABELS}/prune"))
        ),
        f"annotate it in the repository of Flux with {FLUX_LABELS}/prune: disabled, let Flux apply that, and "
        "then remove it there",
    ),
    _Tool(
        "Flux",
        f"label {FLUX_HELM_LABELS}/name",
        _flux(FLUX_HELM_LABELS, "HelmRelease"),
        lambda marks: marks.get(HELM_POLICY) == "keep",
        f"annotate it in the chart with {HELM_POLICY}: keep, let Flux apply that, and then remove it there",
    ),
    _Tool(
        "Argo CD",
        f"annotation {ARGO_TRACKING}",
        _argo,
        lambda marks: bool(
            {"Prune=false", "Delete=false"} & {o.strip() for o in marks.get(ARGO_OPTIONS, "").split(",")}
        ),
        f"annotate it in the repository of the Application with {ARGO_OPTIONS}: Prune=false, let Argo CD "
        "sync that, and then remove it there",
    ),
    _Tool(
        "Helm",
        f"annotation {HELM_RELEASE}",
        _helm,
        lambda marks: marks.get(HELM_POLICY) == "keep",
        f"annotate it in the chart with {HELM_POLICY}: keep, upgrade the release, and then remove it there",
    ),
)

# Who writes configuration: what they set and Git does not have goes. What else people and controllers have
# added to labels and annotations is theirs and stays.
_APPLIERS = ("kubectl-client-side-apply", "kubectl-last-applied", "kubectl-create", "kubectl-replace")


def is_wanted(resource: Resource, spec: TrafficSourceSpec) -> bool:
    """Say whether adoption was asked for: on the object, as Git has it, else for the whole source."""
    own = resource.annotations.get(ADOPT_ANNOTATION, "")
    return own == "enabled" if own in ("enabled", "disabled") else spec.adopt


def refusal(
    resource: Resource, live: Resource, managers: tuple[FieldManager, ...], spec: TrafficSourceSpec
) -> Refusal | None:
    """Return why a live object, not ours, must not be adopted; None when it may. `resource` is Git's."""
    owner = live.annotations.get(OWNER_ANNOTATION, "")
    if owner:
        hint = "keep it in one of the two repositories, or remove that annotation to hand it over"
        return Refusal(f"it belongs to TrafficSource {owner} ({OWNER_ANNOTATION})", hint, live.key)
    kept = _kept_by(live, managers)
    if not is_wanted(resource, spec):
        hint = (
            f"to take it over, annotate it in Git with {ADOPT_ANNOTATION}: enabled (or set spec.adopt: true)"
        )
        hint = f"{kept.hint}; {hint}" if kept else f"{hint}, or rename it in Git"
        by = f"{_written_by(managers)}{f'; {kept.reason}' if kept else ''}"
        return Refusal(f"it exists already and does not come from this source{by}", hint, live.key)
    if controller := _controller_of(live):
        reason = f"it belongs to {controller}, which will write it again"
        return Refusal(reason, f"delete {controller}, or rename the object in Git", live.key)
    return kept


def _kept_by(live: Resource, managers: tuple[FieldManager, ...]) -> Refusal | None:
    """Return the tool that would write a live object again, as a refusal; None when there is none."""
    for tool in _TOOLS:
        of = tool.owner(live.labels, live.annotations)
        if of and not tool.lets_go(live.annotations):
            hint = f"{tool.advice}; if {tool.name} is gone, remove the {tool.mark} from the live object"
            return Refusal(f"{tool.name} manages it still ({of}{_last(managers, tool.name)})", hint, live.key)
    return None


def takeover(managers: tuple[FieldManager, ...]) -> Takeover:
    """Return what becomes ours on adoption: all of the spec, and what appliers set of the metadata."""
    names = sorted({m.name for m in managers})
    return Takeover(
        spec=tuple(names),
        metadata=tuple(
            manager
            for manager in names
            if manager in _APPLIERS
            or tool_of(manager)
            or any(m.name == manager and m.operation == "Apply" for m in managers)
        ),
    )


def _controller_of(live: Resource) -> str:
    owners = live.metadata.get("ownerReferences")
    for owner in owners if isinstance(owners, list) else ():
        if isinstance(owner, Mapping) and owner.get("controller"):
            return f"{owner.get('kind', '')} {owner.get('name', '')}"
    return ""


def _written_by(managers: tuple[FieldManager, ...]) -> str:
    written = [manager for manager in managers if any(path[:1] == ("f:spec",) for path in manager.fields)]
    if not written:
        return ""
    last = max(written, key=lambda manager: manager.time)
    return f", written by {last.name}" + (f" at {last.time}" if last.time else "")


def _last(managers: tuple[FieldManager, ...], tool: str) -> str:
    times = [manager.time for manager in managers if tool_of(manager.name) == tool and manager.time]
    return f", which wrote at {max(times)}" if times else ""
