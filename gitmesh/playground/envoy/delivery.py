"""Handing files to Envoy, and waiting until it has taken or refused them.

Stage: playground (effect).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass

from gitmesh.engine.clock import Clock
from gitmesh.playground.envoy.admin import Admin
from gitmesh.playground.envoy.answers import PATTERN, Answers, read_answers
from gitmesh.playground.envoy.errors import EnvoyError, Rejected
from gitmesh.playground.envoy.files import CLUSTERS, LISTENERS, Files, Subscription
from gitmesh.playground.envoy.process import EnvoyProcess, Line
from gitmesh.playground.translate.naming import Envoy

_ACKNOWLEDGE_SECONDS_MAX = 10.0
# A cluster with a name to resolve waits for the name server, perhaps in vain; nothing else waits for it.
_CLUSTERS_WARM_SECONDS_MAX = 2.0
_REASON_SECONDS_MAX = 0.5
_REASON_PREFIX = "Filesystem config update rejected: "
_POLL_SECONDS = (0.001, 0.02)


@dataclass(frozen=True, slots=True)
class _Content:
    version: str
    resources: Sequence[Envoy]


_NOTHING = _Content("", ())


@dataclass(frozen=True, slots=True)
class Sent:
    """Files that were written, and how Envoy stood before: `lives`, lines, and answers."""

    contents: Mapping[Subscription, _Content]
    before: Answers
    lives: int
    last_line: int


class Delivery:
    """Knows what each file holds, and what Envoy has taken of it."""

    def __init__(self, files: Files, admin: Admin, process: EnvoyProcess, clock: Clock) -> None:
        self._files = files
        self._admin = admin
        self._process = process
        self._clock = clock
        self._versions = 0
        self._written: dict[Subscription, _Content] = {}
        self._served: dict[Subscription, _Content] = {}
        # How Envoy stood, in which life, when it had taken all that was sent: so it stands until more is.
        self._settled: tuple[int, Answers] | None = None

    def lay_out(self, subscription: Subscription, resources: Iterable[Envoy]) -> None:
        """Write what Envoy does not follow, or not yet, and so does not answer for."""
        content = list(resources)
        if self._is_new(subscription, content):
            self._served[subscription] = self._write(subscription, content)

    def resources(self, subscription: Subscription) -> list[Envoy]:
        """Return all that Envoy may have of this: what it took, and then what it may just be taking."""
        served = self._served.get(subscription, _NOTHING)
        written = self._written.get(subscription, _NOTHING)
        return [*served.resources, *(() if written is served else written.resources)]

    def files(self) -> list[Subscription]:
        """Return the subscriptions that have a file."""
        return list(self._written)

    async def publish(
        self, wanted: Mapping[Subscription, Sequence[Envoy]], *, if_followed: bool = False
    ) -> None:
        """Write what is new, and return when Envoy has taken all of it. Raises Rejected, EnvoyError.

        `if_followed`: it may be that Envoy does not follow it any more, and does not answer.
        """
        await self.taken(await self.send(wanted), if_followed=if_followed)

    async def send(self, wanted: Mapping[Subscription, Sequence[Envoy]]) -> Sent:
        """Write what is new, without waiting for Envoy; `taken` waits."""
        fresh = {place: resources for place, resources in wanted.items() if self._is_new(place, resources)}
        before = await self._before(fresh)
        self._settled = None if fresh else self._settled
        lives, line = self._process.lives, self._process.last_line
        contents = {place: self._write(place, resources) for place, resources in fresh.items()}
        return Sent(contents, before, lives, line)

    async def taken(self, sent: Sent, *, if_followed: bool = False) -> None:
        """Return when Envoy has taken all that was sent.

        What it refuses is replaced by what it took before, and Rejected raised for the first of it.
        """
        waiting = set(sent.contents)
        refused: list[Subscription] = []
        last = sent.before
        deadline = self._clock.monotonic() + _ACKNOWLEDGE_SECONDS_MAX
        pause, longest = _POLL_SECONDS
        while waiting:
            if await self._has_taken(waiting, sent):
                self._served.update((place, sent.contents[place]) for place in waiting)
                break
            answers = last = await self.answers()
            for place in sorted(waiting):
                if answers.of(place).version == sent.contents[place].version:
                    if self._is_in_force(place, sent, answers, deadline):
                        self._served[place] = sent.contents[place]
                        waiting.discard(place)
                elif if_followed and not answers.of(place).version:
                    waiting.discard(place)
                elif answers.of(place).refused > self._refused_before(place, sent):
                    refused.append(place)
                    waiting.discard(place)
            if waiting:
                if self._clock.monotonic() > deadline:
                    names = ", ".join(map(str, sorted(waiting)))
                    raise EnvoyError(f"Envoy has not taken the {names} within {_ACKNOWLEDGE_SECONDS_MAX:g} s")
                await self._clock.sleep(pause)
                pause = min(pause * 2, longest)
        if refused:
            reason = await self.reason(sent.last_line)
            for place in refused:
                self._put_back(place)
            raise Rejected(str(refused[0]), reason)
        if sent.contents and sent.lives == self._process.lives:
            self._settled = (sent.lives, last)

    def forget(self, subscription: Subscription) -> None:
        """Remove a file that nothing in Envoy follows any more."""
        self._files.remove(subscription)
        self._written.pop(subscription, None)
        self._served.pop(subscription, None)

    async def answers(self, *, versions_only: bool = False) -> Answers:
        """Return what Envoy says about its subscriptions; nothing while it is away."""
        try:
            return read_answers(await self._admin.stats(PATTERN, texts_only=versions_only))
        except EnvoyError:
            return Answers({})

    async def _before(self, fresh: Collection[Subscription]) -> Answers:
        """Return how Envoy stands, without asking where that is known."""
        if not fresh:
            return Answers({})
        if self._settled is not None:
            lives, known = self._settled
            if lives == self._process.lives and LISTENERS not in fresh and all(map(known.knows, fresh)):
                return known
        return await self.answers()

    async def _has_taken(self, waiting: Set[Subscription], sent: Sent) -> bool:
        """Say whether everything is in force, by a cheaper question; no means that more must be asked."""
        if not waiting.isdisjoint((CLUSTERS, LISTENERS)):
            return False
        answers = await self.answers(versions_only=True)
        return all(answers.of(place).version == sent.contents[place].version for place in waiting)

    def _is_new(self, place: Subscription, resources: Sequence[Envoy]) -> bool:
        written, served = self._written.get(place), self._served.get(place)
        if written is None:
            return True
        # A file that was written, and then not waited for, is written again: only so an answer comes.
        return written is not served or list(written.resources) != list(resources)

    def _write(self, place: Subscription, resources: Sequence[Envoy]) -> _Content:
        self._versions += 1
        content = _Content(str(self._versions), list(resources))
        self._files.publish(place, content.version, content.resources)
        self._written[place] = content
        return content

    def _put_back(self, place: Subscription) -> None:
        """Write what was served before: an Envoy that comes back must not begin with what it refused."""
        last = self._served.get(place)
        if last is None:
            self.forget(place)
        else:
            self._files.publish(place, last.version, last.resources)
            self._written[place] = last

    def _refused_before(self, place: Subscription, sent: Sent) -> int:
        return sent.before.of(place).refused if self._process.lives == sent.lives else 0

    def _is_in_force(self, place: Subscription, sent: Sent, answers: Answers, deadline: float) -> bool:
        """Say whether what Envoy has taken also takes requests: some of it warms up first."""
        if place == LISTENERS:
            if answers.listeners_warming or self._process.lives != sent.lives:
                return not answers.listeners_warming
            created = answers.listeners_created - sent.before.listeners_created
            return created >= self._fresh_listeners(sent.contents[place])
        if place == CLUSTERS:
            waited = self._clock.monotonic() - (deadline - _ACKNOWLEDGE_SECONDS_MAX)
            return not answers.clusters_warming or waited > _CLUSTERS_WARM_SECONDS_MAX
        return True

    def _fresh_listeners(self, content: _Content) -> int:
        before = {item["name"]: item for item in self._served.get(LISTENERS, _NOTHING).resources}
        return sum(before.get(item["name"]) != item for item in content.resources)

    async def reason(self, seen: int) -> str:
        """Return why Envoy refused something, from what it wrote after line `seen`."""
        line = await self._process.line_after(seen, _tells_why, seconds=_REASON_SECONDS_MAX)
        return line.text.removeprefix(_REASON_PREFIX) if line else "no reason given"


def _tells_why(line: Line) -> bool:
    return "rejected" in line.text or "cannot bind" in line.text or line.text.startswith("Error adding")
