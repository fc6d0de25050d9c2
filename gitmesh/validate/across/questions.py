"""Questions about the whole set, with their answers kept: what a rule asked says what its findings rest on.

Stage: validate (pure). A finding still holds when its object is the same and each of its questions has the
same answer, so that a commit is judged again only where it reaches.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

Question = tuple[str, tuple[Hashable, ...]]
P = ParamSpec("P")
R = TypeVar("R")
W = TypeVar("W", bound="Asked")

# For each question: how it is answered, and from which types of facts.
_ANSWERS: dict[str, tuple[Callable[..., Any], frozenset[type]]] = {}


class Asked:
    """Base of what can be asked. `asked` collects the questions since it was last emptied."""

    def __init__(self) -> None:
        self.asked: set[Question] = set()
        self.answers: dict[Question, Any] = {}

    def changed(self, before: Mapping[Question, Any], types: Collection[type]) -> frozenset[Question]:
        """Return the questions that have another answer now than before.

        `types`: those of facts that are not as before; the answers that rest on others are taken over.
        """
        touched = {name for name, (_, read) in _ANSWERS.items() if not read.isdisjoint(types)}
        changed: set[Question] = set()
        for question, old in before.items():
            name, arguments = question
            new = old
            if name in touched:
                new = _ANSWERS[name][0](self, *arguments)
                if new != old:
                    changed.add(question)
            self.answers[question] = new
        return frozenset(changed)


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
            asked = (name, args)
            self.asked.add(asked)
            try:
                found: R = self.answers[asked]
            except KeyError:
                found = self.answers[asked] = answer(self, *args, **kwargs)
            return found

        return ask

    return made
