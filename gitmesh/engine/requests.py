"""What people ask of rollouts: by the spec of a TrafficRollout, or by annotations, for those who use kubectl.

Stage: engine (shell). An annotation is one request: it is written into the spec, and then taken away. What
stops or goes back does not wait for that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gitmesh.decide.requests import asking, leaving, meant
from gitmesh.engine.memory import WALKED, News, SourceMemory
from gitmesh.engine.ports import Ports
from gitmesh.engine.report import PassReport
from gitmesh.engine.rollouts import NOTHING_ASKED, load_records, object_key, read_intent, rollout_key
from gitmesh.kube.errors import ClusterError
from gitmesh.model.intent import ALL, RolloutIntent, Verb, patch_of
from gitmesh.model.kinds import TRAFFIC_ROLLOUT, TRAFFIC_SOURCE, kind_of
from gitmesh.model.resource import Resource, ResourceKey
from gitmesh.model.rollout import Phase, RolloutRecord
from gitmesh.model.source import OWNER_ANNOTATION
from gitmesh.observe.live import LiveState

NOT_ASKED = frozenset({"", "false", "no", "off", "0"})
NO_REASON = frozenset({"", "true", "yes", "on", "1", "now", "full"})
_FREEZE = "freeze:"  # how the value of an annotation names a freeze that is overruled, before its reason
_WITHOUT_WAITING = (Verb.PAUSE, Verb.ROLL_BACK)


@dataclass(frozen=True, slots=True)
class Request:
    """One annotation: on which object, and what it says."""

    verb: Verb
    about: Resource
    value: str
    by: str

    @property
    def why(self) -> str:
        """The reason that was given as its value, if it is one."""
        words = self.value
        if self.verb is Verb.OVERRULE:
            words = " ".join(word for word in self.value.split() if not word.startswith(_FREEZE))
        return "" if words.strip().lower() in NO_REASON else words

    @property
    def freezes(self) -> tuple[str, ...]:
        """The freezes that are named by it."""
        words = self.value.split() if self.verb is Verb.OVERRULE else ()
        return tuple(word.removeprefix(_FREEZE) for word in words if word.startswith(_FREEZE))

    @property
    def is_full(self) -> bool:
        """True when every step that is left is meant."""
        return self.value.strip().lower() in ("full", ALL)


def requests_of(key: ResourceKey, live: LiveState) -> list[Request]:
    """Return what annotations ask of the rollout of a VirtualService, the strongest last."""
    if key not in live.asked and rollout_key(key) not in live.asked:
        return []
    return sorted(_annotated(key, live), key=lambda request: list(Verb).index(request.verb))


def _annotated(key: ResourceKey, live: LiveState) -> Iterator[Request]:
    for about in (live.resources.get(key), live.rollouts.get(rollout_key(key))):
        for verb, value in _verbs(about):
            assert about is not None
            yield Request(verb, about, value, live.changed_by(about.key))


def _verbs(about: Resource | None) -> Iterator[tuple[Verb, str]]:
    annotations = about.annotations if about else {}
    if not any(name.startswith("gitmesh.dev/") for name in annotations):
        return
    for verb in Verb:
        value = annotations.get(verb.annotation, "")
        if value.strip().lower() not in NOT_ASKED:
            yield verb, value


def intent_of(key: ResourceKey, record: RolloutRecord | None, live: LiveState) -> RolloutIntent:
    """Return what people ask for now. What stops, and what goes back, counts before it was written down."""
    rollout = live.rollouts.get(rollout_key(key))
    intent = read_intent(rollout)
    if intent is not NOTHING_ASKED and intent != NOTHING_ASKED:
        intent = intent.attributed(live.changed_by(rollout_key(key)))
    for request in requests_of(key, live):
        if request.verb is Verb.PAUSE:
            intent = intent.asking(request.by, request.why, suspend=True)
        elif request.verb is Verb.ROLL_BACK and record is not None and leaving(record):
            intent = intent.asking(request.by, request.why, roll_back=leaving(record))
    return intent


def asked_back(key: ResourceKey, live: Callable[[ResourceKey], Resource | None]) -> ResourceKey | None:
    """Return the source of a rollout that has just been asked to go back; None when it has not.

    `key` is that of what has changed: a TrafficRollout, or an object that may have one. `live` looks one up:
    every change of every object comes by here, so there is no snapshot.
    """
    if key.kind not in (TRAFFIC_ROLLOUT.kind, *WALKED):
        return None
    about = object_key(key) if key.kind == TRAFFIC_ROLLOUT.kind else key
    rollout = live(rollout_key(about))
    if rollout is None:
        return None
    status: Mapping[str, Any] = rollout.body.get("status") or {}
    content = _leaving(status)
    asked = any(verb is Verb.ROLL_BACK for found in (live(about), rollout) for verb, _ in _verbs(found))
    if not content or not (asked or read_intent(rollout).roll_back == content):
        return None
    namespace, _, name = str(status.get("source", "")).partition("/")
    return TRAFFIC_SOURCE.key(namespace, name)


def _leaving(status: Mapping[str, Any]) -> str:
    """Return the content that a rollback takes away now, by the status of a TrafficRollout.

    As `decide.requests.leaving` does, without reading all of it: every change of every object comes by here.
    """
    phase = status.get("phase")
    if phase == Phase.SUCCEEDED.value:
        return str((status.get("stable") or {}).get("hash", "")) if status.get("previous") else ""
    return "" if phase == Phase.ROLLED_BACK.value else str(status.get("canaryHash", ""))


async def take_requests(source: str, memory: SourceMemory, ports: Ports, report: PassReport) -> None:
    """Turn annotations into the specs of TrafficRollouts, and take them away."""
    live = ports.live.snapshot()
    records = load_records(memory, live, source)
    asked = {object_key(key) if key.kind == TRAFFIC_ROLLOUT.kind else key for key in live.asked}
    for key in sorted(asked & live.resources.keys()):
        if key.kind not in WALKED or live.resources[key].annotations.get(OWNER_ANNOTATION) != source:
            continue
        requests = requests_of(key, live)
        goes_back = any(request.verb is Verb.ROLL_BACK for request in requests)
        for request in requests:
            overruled = goes_back and request.verb in (Verb.PROMOTE, Verb.RETRY, Verb.OVERRULE)
            try:
                await _take(request, key, records, memory, ports, overruled=overruled)
            except ClusterError as error:
                report.failed(error)


async def _take(
    request: Request,
    key: ResourceKey,
    records: Mapping[ResourceKey, RolloutRecord],
    memory: SourceMemory,
    ports: Ports,
    *,
    overruled: bool,
) -> None:
    """Carry one request out, and have it asked once. A pause is written before its annotation goes, so that
    it is never lost; what moves forward is written after, so that it is never done twice."""
    rollout = rollout_key(key)
    patches: dict[ResourceKey, Mapping[str, Any]] = {}
    record = records.get(key)
    done = overruled or (request.verb is Verb.ROLL_BACK and record and record.phase is Phase.ROLLED_BACK)
    if record is None:
        _refuse(request, "has no rollout: no policy selects it", memory)
    elif not done:  # else that was done already, without waiting for this
        patches = _asked_of(request, meant(request.verb, key, record, records), records, memory, ports)
    ports.log.info("asked by annotation", rollout=str(key), verb=request.verb.value, by=request.by)
    away = {"metadata": {"annotations": {request.verb.annotation: None}}}
    if request.about.key == rollout:
        own = patches.pop(rollout, None)
        await _patch(rollout, {**away, **({"spec": own} if own else {})}, ports)
    elif request.verb in _WITHOUT_WAITING:
        await _write(patches, ports)
        patches = {}
        await _patch(request.about.key, away, ports)
    else:
        await _patch(request.about.key, away, ports)
    await _write(patches, ports)


def _asked_of(
    request: Request,
    keys: Iterable[ResourceKey],
    records: Mapping[ResourceKey, RolloutRecord],
    memory: SourceMemory,
    ports: Ports,
) -> dict[ResourceKey, Mapping[str, Any]]:
    """Return what changes in the spec of each TrafficRollout; nothing at all when one makes no sense."""
    live, patches = ports.live.snapshot(), {}
    for key in keys:
        intent = read_intent(live.rollouts.get(rollout_key(key)))
        asked = asking(
            intent,
            request.verb,
            records[key],
            by=request.by,
            why=request.why,
            now=ports.clock.now(),
            full=request.is_full,
            freezes=request.freezes,
        )
        if not isinstance(asked, RolloutIntent):
            _refuse(request, asked, memory)
            return {}
        if changes := patch_of(intent, asked):
            patches[rollout_key(key)] = changes
    return patches


def _refuse(request: Request, why: str, memory: SourceMemory) -> None:
    text = f"asked to {request.verb.value}{f' by {request.by}' if request.by else ''}: it {why}"
    memory.news.append(News(request.about, "Warning", "RequestRefused", text))


async def _write(patches: Mapping[ResourceKey, Mapping[str, Any]], ports: Ports) -> None:
    for key, changes in patches.items():
        await _patch(key, {"spec": changes}, ports)


async def _patch(key: ResourceKey, patch: Mapping[str, Any], ports: Ports) -> None:
    stored = await ports.cluster.merge_patch(kind_of(key), key.namespace, key.name, patch)
    ports.live.absorb(stored)
