"""Running route tests without an Envoy, as often as a revision changes.

Stage: validate (pure). Where nothing has changed nothing is run again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from gitmesh.istio.hosts import covers
from gitmesh.istio.matching.request import Caller, Request
from gitmesh.model.context import NOTHING_KNOWN, Context
from gitmesh.model.resource import ResourceKey, ResourceSet
from gitmesh.model.route_test import ALL_CASES_MAX, Expect
from gitmesh.validate.route_tests.callers import Unknown, caller_of
from gitmesh.validate.route_tests.judge import Miss, judge
from gitmesh.validate.route_tests.observed import Observed
from gitmesh.validate.route_tests.predict import is_undecided, predict
from gitmesh.validate.route_tests.reading import Case, Document, read_documents
from gitmesh.validate.route_tests.world import Asked, World, meant_by, world_of


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """One case that was run; `skipped` says why it was not. Without misses it passed.

    `rests_on_cluster`: it fails only because of Services that are known of a cluster.
    """

    case: Case
    caller: Caller | Unknown | None = None
    observed: Observed | None = None
    misses: tuple[Miss, ...] = ()
    skipped: str = ""
    rests_on_cluster: bool = False
    hosts: frozenset[str] = frozenset()  # whose rules may take the request

    @property
    def failed(self) -> bool:
        """Say whether something does not hold."""
        return bool(self.misses)


@dataclass(frozen=True, slots=True, eq=False)
class Tested:
    """All route tests of a revision. `world` is None where there are none.

    `has_run` says whether the cases were run, or only read.
    """

    documents: Mapping[ResourceKey, Document] = field(default_factory=dict)
    world: World | None = None
    results: tuple[Result, ...] = ()
    has_run: bool = False

    @property
    def stand_ins(self) -> Mapping[str, tuple[int, ...]]:
        """The Services that were made up, with their ports."""
        return self.world.stand_ins if self.world else {}

    @property
    def cases(self) -> Iterator[Case]:
        """Every case that is run, in the order of documents; there is a limit."""
        every = (case for document in self.documents.values() for case in document.cases)
        return (case for case, _ in zip(every, range(ALL_CASES_MAX), strict=False))


NOTHING_TESTED = Tested()


def read_route_tests(
    resources: ResourceSet,
    others: ResourceSet,
    *,
    context: Context = NOTHING_KNOWN,
    previous: Tested = NOTHING_TESTED,
) -> Tested:
    """Read the route tests of a revision, and the world that they are about; run nothing."""
    documents = read_documents(resources, previous.documents)
    if not documents:
        return NOTHING_TESTED
    asked: Asked = frozenset(_asked(documents.values()))
    world = world_of(resources, others, context, asked, previous.world)
    if world is previous.world and list(documents.items()) == list(previous.documents.items()):
        return previous
    return Tested(documents, world)


def run_route_tests(tested: Tested, previous: Tested = NOTHING_TESTED) -> Tested:
    """Run every case; `previous` is an earlier run."""
    if tested.world is None or tested.has_run:
        return tested
    known = {id(result.case): result for result in still_true(previous, tested.world)}
    runner = Runner(tested.world)
    results = tuple(known.get(id(case)) or runner.run(case) for case in tested.cases)
    return Tested(tested.documents, tested.world, results, has_run=True)


def still_true(previous: Tested, world: World) -> Iterator[Result]:
    """Yield the results that the changes since then cannot have touched.

    A VirtualService has a say only for its hosts. What other objects change is not followed.
    """
    moved = world.hosts_moved_since(previous.world) if previous.world else None
    if moved is not None:
        for result in previous.results:
            if not any(_concerns(host, result.hosts) for host in moved):
                yield result


def _concerns(host: str, hosts: frozenset[str]) -> bool:
    return host in hosts or any(covers(host, one) or covers(one, host) for one in hosts)


def _asked(documents: Iterable[Document]) -> Iterator[tuple[str, int, str]]:
    for document in documents:
        for case in document.cases:
            if case.request is not None:
                namespace = case.sender.namespace or case.namespace
                yield case.request.host, case.request.port, namespace


_UNDECIDED = "only a proxy can tell: it answers a browser's question by itself"


class Runner:
    """Runs cases in one world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._alone: World | None = None  # without what is known of a cluster

    def run(self, case: Case) -> Result:
        """Run one case."""
        if case.request is None:
            return Result(case, skipped=case.problem)
        caller = caller_of(case.sender, case.namespace, self._world)
        if isinstance(caller, Unknown):
            return Result(case, caller, skipped=caller.message)
        answer = self._world.traffic.answer(case.request, caller)
        hosts = frozenset((*meant_by(case.request.host, caller.namespace), case.request.host, answer.host))
        if is_undecided(answer):
            return Result(case, caller, skipped=_UNDECIDED, hosts=hosts)
        observed = predict(answer, asked_headers(case.expect), case.namespace)
        misses = judge(case.expect, observed, case.namespace)
        rests = bool(misses) and self._passes_alone(case, case.request, caller)
        return Result(case, caller, observed, misses, rests_on_cluster=rests, hosts=hosts)

    def _passes_alone(self, case: Case, request: Request, caller: Caller) -> bool:
        """Say whether a case passes by the files alone: a cluster changes without a commit."""
        if not self._world.context or self._world.is_sure:
            return False
        if self._alone is None:
            self._alone = self._world.without_cluster()
        answer = self._alone.traffic.answer(request, caller)
        observed = predict(answer, asked_headers(case.expect), case.namespace)
        return not is_undecided(answer) and not judge(case.expect, observed, case.namespace)


def asked_headers(expect: Expect) -> Iterator[str]:
    """Yield the headers that are asked for, as `requestHeaders.x` and `responseHeaders.x`."""
    yield from (f"requestHeaders.{name.lower()}" for name in expect.request_headers)
    yield from (f"responseHeaders.{name.lower()}" for name in expect.response_headers)
