"""Selectors pick objects as kubectl's -l and --field-selector promise."""

from __future__ import annotations

from typing import Any

import pytest

from gitmesh.playground.apiserver.objects.selectors import (
    SelectorError,
    parse_field_selector,
    parse_label_selector,
)

BODY: dict[str, Any] = {
    "metadata": {
        "name": "reviews",
        "namespace": "default",
        "labels": {"app": "reviews", "version": "v2", "example.com/tier": "", "weight": "50", "in": "x"},
    },
    "spec": {"paused": True, "count": 3, "text": "a,b=c\\"},
    "involvedObject": {"kind": "VirtualService", "uid": "u"},
}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "app",
        "app=reviews",
        "app==reviews",
        " app = reviews , version = v2 ",
        "app!=ratings",
        "missing!=x",
        "version in (v1, v2)",
        "version in (v2)",
        "version notin (v1,v3)",
        "missing notin (v1)",
        "!missing",
        "! missing",
        "example.com/tier=",
        "example.com/tier",
        "weight>49,weight<51",
        "in=x",
        "in in (x),app in (a,reviews),!other",
    ],
)
def test_a_label_selector_that_matches(text: str) -> None:
    assert parse_label_selector(text)(BODY)


@pytest.mark.parametrize(
    "text",
    [
        "missing",
        "app=ratings",
        "app=reviews,version=v1",
        "app!=reviews",
        "version in (v1,v3)",
        "missing in (v1)",
        "version notin (v1,v2)",
        "!app",
        "missing=",
        "weight>50",
        "version>1",
        "missing<1",
    ],
)
def test_a_label_selector_that_does_not_match(text: str) -> None:
    assert not parse_label_selector(text)(BODY)


def test_an_object_without_labels_matches_only_what_asks_for_absence() -> None:
    for body in ({}, {"metadata": {}}, {"metadata": {"labels": None}}):
        assert parse_label_selector("!app,app!=x,app notin (y)")(body)
        assert not parse_label_selector("app")(body)


@pytest.mark.parametrize(
    "text",
    ["app=a=b", "a b", "=x", "app in", "app in ()", "app in (a", "app of (a)", "-app", "app=-x", "a/b/c",
     "app,", ",", "weight>x", "app=" + "x" * 64, "!", "UPPER.com/x"],
)  # fmt: skip
def test_a_label_selector_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(SelectorError, match="unable to parse requirement"):
        parse_label_selector(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "metadata.name=reviews",
        "metadata.name==reviews,metadata.namespace=default",
        "metadata.name!=ratings",
        "involvedObject.kind=VirtualService,involvedObject.uid=u",
        "status.phase=",
        "status.phase!=Running",
        "spec.paused=true",
        "spec.count=3",
        r"spec.text=a\,b\=c\\",
        "metadata.name.deeper=",
    ],
)
def test_a_field_selector_that_matches(text: str) -> None:
    assert parse_field_selector(text)(BODY)


@pytest.mark.parametrize(
    "text", ["metadata.name=x", "metadata.name!=reviews", "metadata.name=reviews,a=b", "a=b"]
)
def test_a_field_selector_that_does_not_match(text: str) -> None:
    assert not parse_field_selector(text)(BODY)


@pytest.mark.parametrize("text", ["metadata.name", "a=b=c", "=x", r"a=\b", "a in (b)", "a=b\\"])
def test_a_field_selector_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(SelectorError, match="invalid selector"):
        parse_field_selector(text)
