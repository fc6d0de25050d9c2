"""Which kinds are served now: the built-in ones and one for each CustomResourceDefinition.

Stage: playground.
"""

from __future__ import annotations

from collections.abc import Iterable

from gitmesh.playground.apiserver.kinds import ServedKind

# Source: kubernetes.io, version priority: v1 before v1beta1 before v1alpha3.
_STABILITY = {"alpha": 0, "beta": 1, "": 2}


def version_rank(version: str) -> tuple[int, int, int]:
    """Return a sort key that puts the preferred version first."""
    for word in ("alpha", "beta"):
        major, found, minor = version.removeprefix("v").partition(word)
        if found:
            return (-_STABILITY[word], -int(major or 0), -int(minor or 0))
    major = version.removeprefix("v")
    return (-_STABILITY[""], -(int(major) if major.isdigit() else 0), 0)


class Registry:
    """Served kinds by group and plural. `generation` grows with each change: documents are kept by it."""

    def __init__(self, kinds: Iterable[ServedKind] = ()) -> None:
        self._kinds: dict[tuple[str, str], ServedKind] = {}
        self.generation = 0
        for kind in kinds:
            self.add(kind)

    def add(self, kind: ServedKind) -> None:
        """Serve a kind, in place of an earlier definition of it."""
        self._kinds[kind.group, kind.plural] = kind
        self.generation += 1

    def remove(self, group: str, plural: str) -> None:
        """Stop serving a kind."""
        self._kinds.pop((group, plural), None)
        self.generation += 1

    def find(self, group: str, version: str, plural: str) -> ServedKind | None:
        """Return the kind that this path names, if that version of it is served."""
        kind = self._kinds.get((group, plural))
        return kind if kind and kind.version(version) else None

    def by_kind(self, group: str, kind: str) -> ServedKind | None:
        """Return a kind by its name."""
        return next((k for k in self._kinds.values() if k.group == group and k.kind == kind), None)

    def by_resource(self, resource: str) -> ServedKind | None:
        """Return a kind by its storage name, `virtualservices.networking.istio.io`."""
        plural, _, group = resource.partition(".")
        return self._kinds.get((group, plural))

    def all(self) -> list[ServedKind]:
        """Return every kind, in order of group and plural."""
        return [self._kinds[key] for key in sorted(self._kinds)]

    def groups(self) -> dict[str, list[str]]:
        """Return group -> its versions, the preferred one first. The core group is empty text."""
        found: dict[str, set[str]] = {}
        for kind in self._kinds.values():
            found.setdefault(kind.group, set()).update(v.name for v in kind.versions)
        return {group: sorted(found[group], key=version_rank) for group in sorted(found)}

    def served_in(self, group: str, version: str) -> list[ServedKind]:
        """Return the kinds of one group and version."""
        return [k for k in self.all() if k.group == group and k.version(version)]
