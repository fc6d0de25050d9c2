"""Questions about the whole set, with their answers kept: what a rule asked says what its findings rest on.

Stage: validate (pure). A finding still holds when its object is the same and each of its questions has the
same answer, so that a commit is judged again only where it reaches.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

Question = tuple[str, tuple[Hashable, ...]]
P = ParamSpec("P")
R = TypeVar("R")
W = TypeVar("W", bound="Asked")


class Asked:
    """Base of what can be asked. `asked` collects the questions since it was last emptied."""

    def __init__(self) -> None:
        self.asked: set[Question] = set()
        self.answers: dict[Question, Any] = {}

    def changed(self, before: Mapping[Question, Any]) -> frozenset[Question]:
        """Return the questions that have another answer now than before."""
        return frozenset(question for question, answer in before.items() if self._again(question) != answer)

    def _again(self, question: Question) -> Any:
        name, arguments = question
        return getattr(self, name)(*arguments)


def question(answer: Callable[Concatenate[W, P], R]) -> Callable[Concatenate[W, P], R]:
    """Make a method a question. Its arguments must be hashable, and its answer immutable."""
    name = answer.__name__

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
