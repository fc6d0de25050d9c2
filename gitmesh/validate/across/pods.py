"""Pods, and which selectors take them.

Stage: validate (pure).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import NamedTuple

from gitmesh.model.context import ContextPod, ContextService
from gitmesh.validate.across.lenient import Labels, is_selected

SELECTED_MAX = 50


class PodName(NamedTuple):
    """Namespace and name of a Pod."""

    namespace: str
    name: str


class Pods:
    """Pods by each of their labels."""

    def __init__(self, live: Iterable[ContextPod] | None) -> None:
        self._all: dict[PodName, ContextPod] = {}
        self._by_label: dict[tuple[str, str], list[ContextPod]] = defaultdict(list)
        self._services: dict[tuple[str, tuple[str, str]], list[ContextService]] = defaultdict(list)
        self._workloads: list[Mapping[str, str]] = []
        self._complete = live is not None
        self._namespaces: set[str] = set()
        for pod in live or ():
            self.add(pod)

    def add(self, pod: ContextPod) -> None:
        """Add a Pod of the cluster or of the files."""
        self._all[PodName(pod.namespace, pod.name)] = pod
        self._namespaces.add(pod.namespace)
        for label in pod.labels.items():
            self._by_label[label].append(pod)

    def add_workload(self, labels: Labels) -> None:
        """Add an endpoint that is no Pod."""
        self._workloads.append(dict(labels))

    def add_services(self, services: Iterable[ContextService]) -> None:
        """Add Services, whose selectors take Pods of their own namespace."""
        selecting = [service for service in services if service.selector]
        found = Counter((one.namespace, label) for one in selecting for label in one.selector.items())
        for service in selecting:
            # Under its rarest label: often one label is that of a whole application.
            labels = ((service.namespace, label) for label in service.selector.items())
            self._services[min(labels, key=lambda label: (found[label], label))].append(service)

    def are_known(self, namespace: str) -> bool:
        """Say whether the Pods of a namespace (of any one, when empty) are known."""
        return self._complete or (namespace in self._namespaces if namespace else bool(self._namespaces))

    def selected(self, selector: Labels, namespace: str) -> tuple[PodName, ...]:
        """Return the first Pods that a selector takes; of all namespaces when `namespace` is empty."""
        found = (PodName(pod.namespace, pod.name) for pod in self._matching(selector, namespace))
        return tuple(sorted(islice(found, SELECTED_MAX)))

    def _matching(self, selector: Labels, namespace: str) -> Iterator[ContextPod]:
        candidates: Iterable[ContextPod] = self._all.values()
        if selector:
            rarest: list[ContextPod] = min((self._by_label.get(label, []) for label in selector), key=len)
            candidates = rarest
        for pod in candidates:
            if namespace in ("", pod.namespace) and is_selected(selector, pod.labels):
                yield pod

    def take(self, labels: Labels) -> bool:
        """Say whether any Pod or WorkloadEntry, in whatever namespace, has these labels."""
        if next(self._matching(labels, ""), None) is not None:
            return True
        return any(is_selected(labels, workload) for workload in self._workloads)

    def labels_of(self, name: PodName) -> Mapping[str, str]:
        """Return the labels of a Pod."""
        pod = self._all.get(name)
        return pod.labels if pod else {}

    def service_ports(self, selector: Labels) -> frozenset[int] | None:
        """Return ports and target ports of the Services for the Pods that a selector takes.

        None when the ports of one of them are not known.
        """
        found: set[int] = set()
        for pod in islice(self._matching(selector, ""), SELECTED_MAX):
            for service in self.services_of(pod.namespace, pod.labels):
                if service.ports is None:
                    return None
                for port in service.ports:
                    named = pod.ports.get(port.target, 0) if isinstance(port.target, str) else port.target
                    found.update((port.number, named or port.number))
        return frozenset(found)

    def services_of(self, namespace: str, labels: Mapping[str, str]) -> Iterator[ContextService]:
        """Yield the Services that select a Pod with these labels."""
        for label in labels.items():
            for service in self._services.get((namespace, label), ()):
                if all(labels.get(name) == value for name, value in service.selector.items()):
                    yield service
