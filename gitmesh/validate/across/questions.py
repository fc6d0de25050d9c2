"""Questions about the whole set, with their answers kept: what a rule asked says what its findings rest on.

Stage: validate (pure). A finding still holds when its object is the same and each of its questions has the
same answer, so that a commit is judged again only where it reaches.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

Question = tuple[str, tuple[Hashable, ...]]
P = ParamSpec("P")
R = TypeVar("R")
W = TypeVar("W", bound="Asked")

# For each question: how it is answered, and from which types of facts.
_ANSWERS: dict[str, tuple[Callable[..., Any], frozenset[type]]] = {}
_FORGOTTEN_MIN = 10_000


class Asked:
    """Base of what can be asked. `asked` collects the questions since it was last emptied."""

    def __init__(self) -> None:
        self.asked: set[Question] = set()
        # By the name of the question, and by its arguments.
        self.answers: dict[str, dict[tuple[Hashable, ...], Any]] = {name: {} for name in _ANSWERS}
        self._kept = 0

    def changed(self, before: Asked, types: Collection[type]) -> frozenset[Question]:
        """Return the questions that have another answer now than before.

        `types`: those of facts that are not as before; the answers that rest on others are taken over.
        """
        changed: set[Question] = set()
        self._kept = before._kept
        for name, known in before.answers.items():
            answer, read = _ANSWERS[name]
            if read.isdisjoint(types):
                self.answers[name] = dict(known)
                continue
            now = self.answers[name] = {arguments: answer(self, *arguments) for arguments in known}
            changed.update((name, arguments) for arguments, old in known.items() if now[arguments] != old)
        return frozenset(changed)

    def forget(self, asked: Iterable[Collection[Question]]) -> None:
        """Let go of the answers that nothing rests on any more, once they are as many as the others."""
        count = sum(len(known) for known in self.answers.values())
        self._kept = self._kept or count  # in the first run everything was asked for
        if count < 2 * self._kept + _FORGOTTEN_MIN:
            return
        kept: dict[str, dict[tuple[Hashable, ...], Any]] = {name: {} for name in _ANSWERS}
        for name, arguments in set().union(*asked):
            kept[name][arguments] = self.answers[name][arguments]
        self.answers = kept
        self._kept = sum(len(known) for known in kept.values())


def question(
    *types: type,
) -> Callable[[Callable[Concatenate[W, P], R]], Callable[Concatenate[W, P], R]]:
    """Make a method a question that is answered from facts of these types alone.

    Its arguments must be hashable, and its answer immutable. It asks no other question.
    """

    def made(answer: Callable[Concatenate[W, P], R]) -> Callable[Concatenate[W, P], R]:
        name = answer.__name__
        _ANSWERS[name] = (answer, frozenset(types))

        @wraps(answer)
        def ask(self: W, /, *args: P.args, **kwargs: P.kwargs) -> R:
            assert not kwargs, "questions take positional arguments"
            self.asked.add((name, args))
            known = self.answers[name]
            try:
                found: R = known[args]
            except KeyError:
                found = known[args] = answer(self, *args, **kwargs)
            return found

        return ask

    return made
