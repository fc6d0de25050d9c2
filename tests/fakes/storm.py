"""A mesh that changes at random, and always serves the same few requests, whatever it looks like meanwhile.

Each state is valid by itself, and in each of them every request of the load has an upstream that answers. So
any request that fails has been lost between two states.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Any

from fakes.certificates import Authority, Pair, tls_secret
from fakes.mesh_objects import istio, pod, service, to, virtual_service

Body = dict[str, Any]

VERSIONS = ("v1", "v2", "v3")
STAMP = "x-state"  # a response header by which an answer tells the state that it is from
SHOP, MONGO_PORT = "shop.test", 27017


@dataclass(frozen=True)
class Places:
    """Where the upstreams are."""

    web: tuple[str, ...]  # an address for each version
    web_port: int
    mongo: str
    mongo_port: int
    caller: str


@dataclass
class State:
    """What changes. Every value of every field is fine with every other."""

    number: int = 0
    versions: tuple[str, ...] = ("v1",)
    rules: int = 0
    balancer: str = "ROUND_ROBIN"
    outliers: bool = False
    rule_namespace: str = "default"
    for_callers: bool = False
    sidecar: tuple[str, ...] = ()
    registry_only: bool = False
    team: str = "a"
    certificate: int = 0
    servers: int = 0
    gateway_port: bool = False
    others: frozenset[int] = frozenset()
    mongo_rule: bool = False
    exported: bool = True
    extra_pod: bool = False
    seed: int = field(default=0, repr=False)


class Storm:
    """Plays states from one seed."""

    def __init__(self, seed: int, places: Places) -> None:
        self._chance = Random(seed)
        self._places = places
        authority = Authority()
        self.authority = authority
        self._pairs: list[Pair] = [authority.issue(SHOP, f"*.{SHOP}") for _ in range(3)]
        self.state = State()

    def change(self) -> State:
        """Change a few things at once."""
        chance, state = self._chance, self.state
        state.number += 1
        state.seed = chance.randrange(1 << 30)
        for _ in range(chance.choice((1, 1, 2, 3))):
            match chance.randrange(14):
                case 0 | 1:
                    state.versions = tuple(sorted(chance.sample(VERSIONS, chance.randint(1, 3))))
                case 2:
                    state.rules = chance.randint(0, 4)
                case 3:
                    state.balancer = chance.choice(("ROUND_ROBIN", "LEAST_REQUEST", "RANDOM"))
                    state.outliers = chance.random() < 0.5
                case 4:
                    state.rule_namespace = chance.choice(("default", "istio-system"))
                case 5:
                    state.for_callers = not state.for_callers
                case 6:
                    state.sidecar = chance.choice(
                        ((), ("*/*",), ("./*",), ("./*", "istio-system/*"), ("default/*",))
                    )
                    state.registry_only = chance.random() < 0.5
                case 7:
                    state.team = chance.choice("abc")
                case 8:
                    state.certificate = chance.randrange(3)
                case 9:
                    state.servers = chance.randint(0, 3)
                case 10:
                    state.gateway_port = not state.gateway_port
                case 11:
                    state.others = frozenset(chance.sample(range(6), chance.randint(0, 4)))
                case 12:
                    state.mongo_rule = not state.mongo_rule
                case 13:
                    state.exported = not state.exported
                    state.extra_pod = not state.extra_pod
        return state

    def bodies(self) -> list[Body]:
        """Return the objects of the state."""
        found = [*self._services(), *self._reviews(), *self._gateway(), *self._mongo(), *self._others()]
        if self.state.sidecar:
            policy = {"mode": "REGISTRY_ONLY" if self.state.registry_only else "ALLOW_ANY"}
            spec: Body = {
                "egress": [{"hosts": list(self.state.sidecar)}],
                "outboundTrafficPolicy": policy,
            }
            if self.state.team == "b":
                spec["workloadSelector"] = {"labels": {"app": "productpage"}}
            found.append(istio("Sidecar", "limits", spec))
        return found

    def _services(self) -> list[Body]:
        places, found = self._places, []
        for version, address in zip(VERSIONS, places.web, strict=True):
            # A version without a subset keeps its Pod now and then: the whole service has it then.
            if version in self.state.versions or self.state.extra_pod:
                found.append(pod("reviews", version, address, port=places.web_port))
        reviews = service("reviews", 9080)
        reviews["spec"]["ports"][0]["targetPort"] = places.web_port
        caller = pod("productpage", "v1", places.caller)
        caller["metadata"]["labels"]["team"] = self.state.team
        return [*found, reviews, caller]

    def _reviews(self) -> list[Body]:
        state, chance = self.state, Random(self.state.seed)
        subsets = [{"name": version, "labels": {"version": version}} for version in state.versions]
        policy: Body = {"loadBalancer": {"simple": state.balancer}}
        if state.outliers:
            policy["outlierDetection"] = {"consecutive5xxErrors": 1000}
        spec: Body = {
            "host": "reviews.default.svc.cluster.local",
            "subsets": subsets,
            "trafficPolicy": policy,
        }
        rule = istio("DestinationRule", "reviews", spec)
        rule["metadata"]["namespace"] = state.rule_namespace
        export_to = {} if state.exported else {"exportTo": [".", "istio-system"]}
        stamp = {"response": {"set": {STAMP: str(state.number)}}}
        rules = [
            {
                "match": [
                    {"uri": {"prefix": f"/p{chance.randrange(5)}"}},
                    {"headers": {"a": {"exact": "b"}}},
                ],
                "route": self._route(chance),
                "rewrite": {"uri": f"/rewritten{n}"},
                "headers": stamp,
            }
            for n in range(state.rules)
        ]
        if state.for_callers:
            match = [{"sourceLabels": {"team": "a"}}, {"sourceLabels": {"team": "b"}}]
            rules.append({"match": match, "route": self._route(chance), "headers": stamp})
        rules.append({"route": self._route(chance), "headers": stamp})
        return [rule, virtual_service("reviews", *rules, **export_to)]

    def _route(self, chance: Random) -> list[Body]:
        versions = self.state.versions
        if len(versions) == 1:
            return [to("reviews", versions[0])]
        return [to("reviews", version, weight=chance.randint(1, 100)) for version in versions]

    def _gateway(self) -> list[Body]:
        hosts = [SHOP, *(f"{n}.{SHOP}" for n in range(self.state.servers))]
        servers: list[Body] = [
            {"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": hosts},
            {
                "port": {"number": 443, "name": "https", "protocol": "HTTPS"},
                "hosts": hosts if self.state.team == "a" else [SHOP],
                "tls": {"mode": "SIMPLE", "credentialName": "shop"},
            },
        ]
        if self.state.gateway_port:
            port = {"number": 31400, "name": "tcp", "protocol": "TCP"}
            servers.append({"port": port, "hosts": ["*"]})
        gateway = istio("Gateway", "shop", {"selector": {"istio": "ingressgateway"}, "servers": servers})
        stamp = {"response": {"set": {STAMP: str(self.state.number)}}}
        route = self._route(Random(self.state.seed + 1))
        rules = virtual_service("shop", {"route": route, "headers": stamp}, hosts=hosts, gateways=["shop"])
        return [gateway, rules, tls_secret("shop", self._pairs[self.state.certificate])]

    def _mongo(self) -> list[Body]:
        mongo = service("mongo", MONGO_PORT)
        mongo["spec"]["ports"] = [{"name": "tcp", "port": MONGO_PORT, "targetPort": self._places.mongo_port}]
        found = [mongo, pod("mongo", "v1", self._places.mongo)]
        if self.state.mongo_rule:
            tcp = [{"route": [{"destination": {"host": "mongo"}}]}]
            found.append(istio("VirtualService", "mongo", {"hosts": ["mongo"], "tcp": tcp}))
        return found

    def _others(self) -> list[Body]:
        found = []
        for number in self.state.others:
            name = f"other-{number}"
            body = service(name, 80)
            if number % 2:
                body["spec"]["ports"] = [{"name": "tcp", "port": 6000 + number}]
            if number == 2:
                ports = [{"number": 80, "name": "http", "protocol": "HTTP"}]
                body = istio(
                    "ServiceEntry",
                    name,
                    {
                        "hosts": ["ext.test"],
                        "ports": ports,
                        "resolution": "STATIC",
                        "endpoints": [{"address": self._places.web[0]}],
                    },
                )
            found.append(body)
            if number % 2 == 0:
                found.append(virtual_service(name, {"redirect": {"uri": f"/{self.state.number}"}}))
        return found
