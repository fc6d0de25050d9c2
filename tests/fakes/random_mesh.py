"""Random valid traffic configuration and requests, from one seed: what people write, and what they do to it.

Names are few, so that objects meet: several VirtualServices for one host, wildcards over services, delegates,
Sidecars, exportTo, rules for some callers only.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

from fakes.mesh_objects import istio

Body = dict[str, Any]

NAMESPACES = ("default", "shop")
SERVICES: dict[tuple[str, str], list[int]] = {
    ("reviews", "default"): [9080],
    ("ratings", "default"): [80, 8080],
    ("details", "default"): [80],
    ("cart", "shop"): [80],
    ("reviews", "shop"): [9080, 80],
}
EXACT_HOSTS = (
    "reviews",
    "reviews.default.svc.cluster.local",
    "ratings",
    "details",
    "cart",
    "cart.shop.svc.cluster.local",
    "reviews.shop.svc.cluster.local",
    "api.example.com",
    "a.wild.test",
    "lit.test",
    "deep.lit.test",
)
WILD_HOSTS = (
    "*.default.svc.cluster.local",
    "*.svc.cluster.local",
    "*.example.com",
    "*.wild.test",
    "*.lit.test",
    "*.test",
)
PATHS = (
    "/",
    "/a",
    "/a/",
    "/a/b",
    "/A/b",
    "/ab",
    "/api/v1/items",
    "/api/v1/../v2/items",
    "/%61/b",
    "/a%2Fb",
    "//a",
    "/a/./b",
    "/a/b/..",
    "/ratings/7",
)
PATH_WANTED = (
    {"exact": "/a"},
    {"exact": "/a/b"},
    {"prefix": "/"},
    {"prefix": "/a"},
    {"prefix": "/a/"},
    {"prefix": "/api/v1"},
    {"prefix": "/A"},
    {"regex": "/a.*"},
    {"regex": ".*"},
    {"regex": "/(api|ratings)/[a-z0-9]+.*"},
    {"regex": "/a%2Fb|//a"},
)
VALUES = ("jason", "Jason", "jas", "", "bob", "a b", "jason,bob")
WANTED = (
    {"exact": "jason"},
    {"prefix": "jas"},
    {"regex": "[a-z]+"},
    {"regex": ".*"},
    {"regex": "*"},
    {"exact": ""},
    {},
)
METHODS = ("GET", "POST", "DELETE")
LABELS = ({}, {"app": "web"}, {"app": "web", "version": "v2"}, {"app": "jobs"})


@dataclass(frozen=True)
class Asked:
    """One request of one caller."""

    caller: str
    method: str
    url: str
    headers: tuple[tuple[str, str], ...]


class RandomMesh:
    """One world. The same seed makes the same one."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    def maybe(self, chance: float) -> bool:
        return self._random.random() < chance

    def pick(self, values: Any) -> Any:
        return self._random.choice(list(values))

    def objects(self) -> list[Body]:
        found = [self.virtual_service(f"vs-{number}") for number in range(self._random.randint(2, 7))]
        found += [self.delegate(f"part-{number}") for number in range(2)]
        found += [self.gateway(f"web-{number}") for number in range(2) if self.maybe(0.8)]
        if self.maybe(0.4):
            found.append(self.service_entry())
        if self.maybe(0.3):
            found += [self.sidecar(f"sidecar-{number}") for number in range(self._random.randint(1, 2))]
        return found

    def metadata(self) -> Body:
        meta: Body = {"namespace": self.pick(NAMESPACES)}
        if self.maybe(0.7):
            meta["creationTimestamp"] = f"2025-01-0{self._random.randint(1, 4)}T00:00:00Z"
        return meta

    def export_to(self, spec: Body) -> Body:
        if self.maybe(0.3):
            spec["exportTo"] = self.pick((["."], ["*"], ["shop"], ["default"], [".", "shop"]))
        return spec

    def virtual_service(self, name: str) -> Body:
        hosts = [self.pick(EXACT_HOSTS if self.maybe(0.7) else WILD_HOSTS)]
        if self.maybe(0.3):
            hosts = sorted({*hosts, self.pick(EXACT_HOSTS)})
        spec: Body = {"hosts": hosts, "http": [self.rule() for _ in range(self._random.randint(1, 4))]}
        if self.maybe(0.4):
            spec["gateways"] = self.pick(
                (["web-0", "mesh"], ["default/web-0"], ["shop/web-1", "web-0"], ["mesh"])
            )
        return istio("VirtualService", name, self.export_to(spec), **self.metadata())

    def delegate(self, name: str) -> Body:
        rules = [self.rule(root=False) for _ in range(self._random.randint(1, 3))]
        return istio("VirtualService", name, self.export_to({"http": rules}), namespace=self.pick(NAMESPACES))

    def rule(self, *, root: bool = True) -> Body:
        rule: Body = {}
        if self.maybe(0.4):
            rule["name"] = self.pick(("one", "two"))
        if self.maybe(0.8):
            rule["match"] = [self.match() for _ in range(self._random.randint(1, 3))]
        if root and self.maybe(0.15):
            rule["delegate"] = {
                "name": self.pick(("part-0", "part-1", "gone")),
                "namespace": self.pick(NAMESPACES),
            }
            return {**rule, **self.extras()}
        return {**rule, **self.action()}

    def action(self) -> Body:
        kind = self._random.random()
        if kind < 0.1:
            code = self.pick((301, 302, 308))
            return {"redirect": {"uri": "/moved", "redirectCode": code, **self.fault()}, **self.fault()}
        if kind < 0.2:
            return {"directResponse": {"status": self.pick((200, 418, 503))}}
        count = self.pick((1, 1, 2, 3))
        entries = [self.destination() for _ in range(count)]
        if count > 1:
            for entry in entries:
                entry["weight"] = self.pick((0, 1, 20, 80))
            entries[0]["weight"] = self.pick((1, 50))
        return {"route": entries, **self.extras()}

    def destination(self) -> Body:
        host = self.pick(
            ("reviews.default.svc.cluster.local", "ratings.default.svc.cluster.local", "reviews")
        )
        found: Body = {"host": host}
        if self.maybe(0.6):
            found["subset"] = self.pick(("v1", "v2"))
        if self.maybe(0.3):
            found["port"] = {"number": self.pick((80, 9080))}
        return {"destination": found}

    def extras(self) -> Body:
        found: Body = {}
        if self.maybe(0.3):
            found["timeout"] = self.pick(("2s", "500ms", "1m"))
        if self.maybe(0.3):
            found["retries"] = self.pick(
                (
                    {"attempts": 3, "perTryTimeout": "1s"},
                    {"attempts": 0},
                    {"attempts": 1, "retryOn": "5xx,503"},
                )
            )
        if self.maybe(0.2):
            found["rewrite"] = self.pick(({"uri": "/new"}, {"authority": "other.test"}))
        if self.maybe(0.2):
            found["mirror"] = {"host": "ratings"}
            found["mirrorPercentage"] = {"value": self.pick((0, 12.5, 100))}
        return {**found, **self.fault()}

    def fault(self) -> Body:
        if not self.maybe(0.15):
            return {}
        return {"fault": {"abort": {"httpStatus": 503, "percentage": {"value": self.pick((0.5, 100))}}}}

    def match(self) -> Body:
        match: Body = {}
        if self.maybe(0.6):
            match["uri"] = dict(self.pick(PATH_WANTED))
            if self.maybe(0.2):
                match["ignoreUriCase"] = True
        for field, chance in (("headers", 0.3), ("withoutHeaders", 0.15), ("queryParams", 0.2)):
            if self.maybe(chance):
                names = ("end-user", "X-Env") if field != "queryParams" else ("v", "debug")
                match[field] = {self.pick(names): dict(self.pick(WANTED)) for _ in range(self.pick((1, 2)))}
        if self.maybe(0.2):
            match["method"] = self.pick(({"exact": "GET"}, {"regex": "GET|POST"}, {"prefix": "P"}))
        if self.maybe(0.1):
            match["authority"] = self.pick(
                ({"prefix": "reviews"}, {"exact": "reviews:9080"}, {"regex": ".*:80.*"})
            )
        if self.maybe(0.05):
            match["scheme"] = {"exact": self.pick(("http", "https"))}
        if self.maybe(0.15):
            match["port"] = self.pick((80, 8080, 9080))
        if self.maybe(0.2):
            match["sourceLabels"] = self.pick(({"app": "web"}, {"version": "v2"}, {"app": "jobs"}))
        if self.maybe(0.1):
            match["sourceNamespace"] = self.pick(NAMESPACES)
        if self.maybe(0.15):
            match["gateways"] = self.pick((["mesh"], ["web-0"], ["shop/web-1", "mesh"]))
        if self.maybe(0.1):
            match["name"] = self.pick(("first", "second"))
        return match

    def gateway(self, name: str) -> Body:
        hosts = (["*"], ["*.test", "*.example.com"], ["shop/*"], ["./*.test", "api.example.com"])
        servers = [
            {"port": {"number": port, "name": f"http-{port}", "protocol": "HTTP"}, "hosts": self.pick(hosts)}
            for port in (80, 8080)
            if port == 80 or self.maybe(0.3)
        ]
        if self.maybe(0.1):
            servers[0]["tls"] = {"httpsRedirect": True}
        spec = {"selector": {"istio": "ingressgateway"}, "servers": servers}
        return istio("Gateway", name, spec, **self.metadata())

    def service_entry(self) -> Body:
        spec = {
            "hosts": self._random.sample(("api.example.com", "*.wild.test", "*.example.com"), 2),
            "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}],
            "location": "MESH_EXTERNAL",
            "resolution": "NONE",
        }
        return istio("ServiceEntry", "outside", self.export_to(spec), namespace=self.pick(NAMESPACES))

    def sidecar(self, name: str) -> Body:
        hosts = (
            ["./*"],
            ["*/*"],
            ["default/*", "shop/cart.shop.svc.cluster.local"],
            ["*/reviews.default.svc.cluster.local"],
            ["~/*"],
        )
        spec: Body = {"egress": [{"hosts": self.pick(hosts)}]}
        if self.maybe(0.3):
            port = {"number": 80, "name": "http", "protocol": "HTTP"}
            spec["egress"].insert(0, {"port": port, "hosts": self.pick(hosts)})
        if self.maybe(0.5):
            spec["workloadSelector"] = {"labels": {"app": self.pick(("web", "jobs"))}}
        if self.maybe(0.5):
            spec["outboundTrafficPolicy"] = {"mode": self.pick(("REGISTRY_ONLY", "ALLOW_ANY"))}
        namespace = self.pick((*NAMESPACES, "istio-system"))
        if namespace == "istio-system":
            spec.pop("workloadSelector", None)
        return istio("Sidecar", name, spec, namespace=namespace)

    def asked(self, caller: str) -> Asked:
        headers = []
        for name in ("end-user", "x-env"):
            if self.maybe(0.4):
                headers.append((self.pick((name, name.title())), self.pick(VALUES)))
        query = self.pick(("", "", "?v=jason", "?v=&debug=1", "?debug", "?v=x&v=jason", "?V=jason"))
        url = f"http://{self.host()}{self.pick(PATHS)}{query}"
        return Asked(caller, self.pick(METHODS), url, tuple(headers))

    def host(self) -> str:
        name, namespace = self.pick(SERVICES)
        choices = (
            name,
            f"{name}.{namespace}",
            f"{name}.{namespace}.svc",
            f"{name}.{namespace}.svc.cluster.local",
            f"{name}.{namespace}.svc.cluster.local.",
            name.upper(),
            "10.0.0.9",
            self.pick(("api.example.com", "other.example.com", "a.wild.test", "b.wild.test", "wild.test")),
            self.pick(("lit.test", "deep.lit.test", "x.lit.test", "nobody.test", "nowhere.invalid")),
        )
        port = self.pick(("", ":80", ":9080", *(f":{number}" for number in SERVICES[name, namespace])))
        return f"{self.pick(choices)}{port}"
