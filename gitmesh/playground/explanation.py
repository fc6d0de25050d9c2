"""What Envoy says about a request, and what GitMesh's own matching says: the answer and its reasons.

Stage: playground (pure).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gitmesh.istio.matching.answer import Answer
from gitmesh.istio.matching.outcome import Forward, NoRoute, Outside, Redirect, Respond, Share
from gitmesh.playground.envoy.probe import ProbeAnswer
from gitmesh.playground.translate.fields import render_path
from gitmesh.playground.translate.naming import cluster_name


@dataclass(frozen=True, slots=True)
class Explanation:
    """One request, explained. `envoy` is None where no listener of Envoy would take it at all.

    `differences` is empty where both agree; else the reasons are not to be trusted.
    """

    answer: Answer
    envoy: ProbeAnswer | None
    differences: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()


def explanation(answer: Answer, envoy: ProbeAnswer | None, assumed: tuple[str, ...] = ()) -> Explanation:
    """Put both together."""
    return Explanation(answer, envoy, tuple(differences(answer, envoy)) if envoy else (), assumed)


def differences(answer: Answer, envoy: ProbeAnswer) -> Iterator[str]:
    """Yield in what Envoy's answer is another one."""
    place = f"{answer.taken.match_key.namespace}/{answer.taken.match_key.name}" if answer.taken else ""
    rule = render_path(answer.taken.match_path) if answer.taken else ""
    if (place, rule) != (envoy.source, envoy.rule):
        yield f"Envoy takes it by {envoy.source} {envoy.rule}" if envoy.source else "Envoy has no rule for it"
    match answer.action.outcome:
        case Forward(shares):
            wanted = [cluster_of(share) for share in shares]
            # Of a cluster that does not exist Envoy says nothing.
            if envoy.cluster and without_variant(envoy.cluster) not in wanted:
                yield f"Envoy sends it to {envoy.cluster}"
        case NoRoute():
            if envoy.found:
                yield f"Envoy has a route for it, to {envoy.cluster or envoy.status}"
        case Outside(blocked):
            if envoy.host != ("block_all" if blocked else "allow_any"):
                yield f"Envoy knows the host, as {envoy.host}"
        case Redirect(status) | Respond(status):
            if envoy.status != status:
                yield f"Envoy answers {envoy.status}"


def cluster_of(share: Share) -> str:
    """Return the name of the cluster behind a destination."""
    where = share.destination
    return cluster_name(where.host, where.port, where.subset)


def without_variant(cluster: str) -> str:
    """Return a cluster's name as people know it."""
    return cluster.partition("@")[0]
