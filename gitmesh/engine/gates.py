"""Gates of steps: expressions are evaluated in a pass, hooks are asked beside it.

Stage: decide (called by the pass and by the daemon).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import anyio

from gitmesh.decide.gates import gate_of, opened_by_hand
from gitmesh.decide.verdict import WORST_FIRST
from gitmesh.engine.memory import Memory, Moved
from gitmesh.engine.ports import Ports
from gitmesh.engine.scope import scope
from gitmesh.model.resource import ResourceKey
from gitmesh.model.rollout import GateAnswer, Hold, RolloutIntent, RolloutRecord
from gitmesh.model.steps import HttpGate
from gitmesh.validate.cel import Budget, Failed, Problem, Program, language
from gitmesh.validate.steps import GATE_VARIABLES

_PATIENCE = timedelta(seconds=1)  # beyond a hook's own timeout, before it counts as hanging


def answer_of(
    key: ResourceKey,
    record: RolloutRecord,
    intent: RolloutIntent,
    answers: Mapping[ResourceKey, GateAnswer],
    now: datetime,
) -> GateAnswer | None:
    """Return what the gate of a rollout's step says now, as far as that is known without asking anybody."""
    if by_hand := opened_by_hand(record, intent, now):
        return by_hand
    gate = gate_of(record)
    if gate is None:
        return None
    return evaluated(gate.cel, key, record, now) if gate.cel else answers.get(key)


def evaluated(expression: str, key: ResourceKey, record: RolloutRecord, now: datetime) -> GateAnswer:
    """Evaluate an expression over the last evidence. What is not true is closed."""

    def answer(is_open: bool, reason: str) -> GateAnswer:
        step, content = record.step, record.canary_hash
        return GateAnswer(step=step, content=content, is_open=is_open, reason=reason, at=now)

    program = compiled(expression)
    if isinstance(program, Problem):
        return answer(False, f"its expression cannot be used: {program.reason}")
    bound = language(*GATE_VARIABLES).bind(
        {"evidence": evidence_of(record), "rollout": rollout_of(key, record)}
    )
    found = bound if isinstance(bound, Failed) else program.evaluate(bound, Budget())
    if isinstance(found, Failed):
        return answer(False, found.reason)
    shown = " ".join(expression.split())[:160]
    return answer(found is True, f"{shown} is {'true' if found is True else 'not true'}")


@lru_cache(maxsize=256)
def compiled(expression: str) -> Program | Problem:
    """Compile the expression of a gate, once."""
    return language(*GATE_VARIABLES).compile(expression)


def evidence_of(record: RolloutRecord) -> dict[str, Any]:
    """Return the last evidence by metric, as expressions see it: of several targets the worst.

    A metric called error-rate is evidence.error_rate there.
    """
    found: dict[str, Any] = {}
    items = record.verdict.evidence if record.verdict else ()
    for item in sorted(items, key=lambda one: WORST_FIRST.index(one.outcome), reverse=True):
        found[item.metric.replace("-", "_")] = item.as_json()
    return found


def rollout_of(key: ResourceKey, record: RolloutRecord) -> dict[str, Any]:
    """Return what expressions and hooks are told of a rollout."""
    return {
        "namespace": key.namespace,
        "name": key.name,
        "source": record.source,
        "policy": record.policy,
        "revision": record.revision,
        "phase": record.phase.value,
        "step": record.step,
        "steps": record.steps,
        "progress": record.progress,
        "weights": record.weights,
    }


@dataclass(frozen=True, slots=True)
class Question:
    """One hook to ask about one rollout."""

    source: ResourceKey
    key: ResourceKey  # of the VirtualService
    record: RolloutRecord
    hook: HttpGate


class Gatekeeper:
    """Asks hooks and leaves their answers in memory for the next pass; each rollout by itself."""

    def __init__(self, ports: Ports, memory: Memory) -> None:
        self._ports = ports
        self._memory = memory
        self._asking: set[tuple[ResourceKey, ResourceKey]] = set()
        self._wanted: dict[tuple[ResourceKey, ResourceKey], Question] = {}

    def forget(self) -> None:
        """Begin anew."""
        self._asking.clear()
        self._wanted.clear()

    def want(self, source: ResourceKey, moved: Iterable[Moved]) -> bool:
        """Take note of which rollouts of a source wait for a hook; say whether one is to be asked."""
        memory, items = self._memory.of(source), list(moved)
        memory.answers = {m.key: memory.answers[m.key] for m in items if m.key in memory.answers}
        self._wanted = {name: asked for name, asked in self._wanted.items() if name[0] != source}
        for item in items:
            gate = gate_of(item.after)
            if isinstance(item.decision, Hold) and item.decision.asks and gate and gate.http:
                self._wanted[source, item.key] = Question(source, item.key, item.after, gate.http)
        return bool(self._wanted.keys() - self._asking)

    def take(self) -> list[Question]:
        """Return what is to be asked now. It counts as being asked until `ask` is done with it."""
        due = [question for name, question in self._wanted.items() if name not in self._asking]
        self._wanted.clear()
        self._asking.update((question.source, question.key) for question in due)
        return due

    async def ask(self, question: Question) -> None:
        """Ask one hook. What goes wrong leaves the gate closed, and is told."""
        name = f"{question.source.namespace}/{question.source.name}"
        key, revision = str(question.key), question.record.revision
        with scope(self._ports, "gate", stage="decide", source=name, rollout=key, revision=revision):
            await self._ask(question)

    async def _ask(self, question: Question) -> None:
        record = question.record
        try:
            is_open, reason = await self._answer(question)
        finally:
            self._asking.discard((question.source, question.key))
        self._memory.of(question.source).answers[question.key] = GateAnswer(
            step=record.step,
            content=record.canary_hash,
            is_open=is_open,
            reason=reason,
            at=self._ports.clock.now(),
        )
        self._ports.log.info("gate asked", open=is_open, reason=reason)

    async def _answer(self, question: Question) -> tuple[bool, str]:
        hooks, hook, record = self._ports.hooks, question.hook, question.record
        if hooks is None:
            return False, "this daemon asks no hooks"
        told = {**rollout_of(question.key, record), "evidence": evidence_of(record)}
        try:
            with anyio.fail_after((hook.timeout + _PATIENCE).total_seconds()):
                return await hooks.ask(hook.url, hook.timeout, told)
        except TimeoutError:
            return False, "the hook gave no answer in time"
        except Exception as error:  # one hook must never stop the others
            self._ports.log.exception("hook failed unexpectedly", stage="decide", rollout=str(question.key))
            return False, f"{type(error).__name__}: {error}"[:200]
