"""Promises about whom a push concerns: who follows that repository and that ref, and nobody else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitmesh.engine.report import Source
from gitmesh.model.receivers import Receiver
from gitmesh.model.resource import resource_from_body
from gitmesh.model.source import TrafficSourceSpec, TrafficSourceStatus
from gitmesh.web.hooks.matching import concerned, place_of
from gitmesh.web.hooks.payload import Push, Ref

MAIN = Ref("branch", "main")
SAME = [
    "https://git.example.com/mesh/traffic",
    "https://git.example.com/mesh/traffic.git",
    "https://git.example.com:443/mesh/traffic/",
    "https://GIT.Example.COM/mesh/traffic.git",
    "https://somebody@git.example.com//mesh/traffic.git",
    "ssh://git@git.example.com/mesh/traffic.git",
    "ssh://git@git.example.com:22/mesh/traffic",
    "git@git.example.com:mesh/traffic.git",
    "git@git.example.com:/mesh/traffic",
    "git.example.com:mesh/traffic.git",
    "https://git.example.com/mesh/traff%69c.git",
]
OTHERS = [
    "https://git.example.com/mesh/traffic2",
    "https://git.example.com/mesh",
    "https://git.example.com/other/traffic",
    "https://git.example.org/mesh/traffic",
    "https://git.example.com.evil.example/mesh/traffic",
    "https://git.example.com:8443/mesh/traffic",
    "https://git.example.com/mesh/traffic/.git/x",
    "https://evil.example/git.example.com/mesh/traffic",
    "https://.*/mesh/traffic",
    ".*",
    "https://",
    "https://[::1/mesh/traffic",
    "https://git.example.com:99999/mesh/traffic",
]


def a_source(name: str = "traffic", url: str = SAME[1], branch: str = "main", namespace: str = "default"):
    body = {
        "apiVersion": "gitmesh.dev/v1alpha1",
        "kind": "TrafficSource",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"url": url},
    }
    spec = TrafficSourceSpec(url=url, branch=branch)
    return Source(resource_from_body(body), spec, TrafficSourceStatus())


def a_receiver(kind: str = "github", **more) -> Receiver:
    return Receiver.model_validate({"name": "forge", "kind": kind, "secret": {"env": "SECRET"}, **more})


def names(push: Push, receiver: Receiver, *sources: Source) -> list[str]:
    return [source.name for source in concerned(push, receiver, sources)]


@pytest.mark.parametrize("url", SAME)
@pytest.mark.parametrize("followed", SAME)
def test_one_repository_has_many_urls(url: str, followed: str):
    assert place_of(url) == place_of(followed)
    assert names(Push((url,), (MAIN,)), a_receiver(), a_source(url=followed)) == ["default/traffic"]


@pytest.mark.parametrize("url", OTHERS)
def test_another_repository_wakes_nobody(url: str):
    assert names(Push((url,), (MAIN,)), a_receiver(), a_source()) == []


def test_a_port_that_is_not_the_schemes_own_counts():
    push = Push(("ssh://git@git.example.com:7999/mesh/traffic.git",), (MAIN,))
    assert names(push, a_receiver(), a_source()) == []
    assert names(push, a_receiver(), a_source(url=push.urls[0])) == ["default/traffic"]


def test_forges_know_a_repository_by_its_name_in_any_case_and_a_plain_server_does_not():
    push = Push(("https://git.example.com/Mesh/Traffic.git",), (MAIN,))
    assert names(push, a_receiver("gitlab"), a_source()) == ["default/traffic"]
    assert names(push, a_receiver("generic"), a_source()) == []


def test_exactly_the_sources_that_follow_the_branch_look_again():
    sources = [a_source("a"), a_source("b", branch="live"), a_source("c"), a_source("d", url=OTHERS[0])]
    assert names(Push((SAME[0],), (MAIN,)), a_receiver(), *sources) == ["default/a", "default/c"]
    assert names(Push((SAME[0],), (Ref("branch", "live"),)), a_receiver(), *sources) == ["default/b"]
    assert names(Push((SAME[0],), (Ref("branch", "ma.n"),)), a_receiver(), *sources) == []
    assert names(Push((SAME[0],), (Ref("tag", "main"),)), a_receiver(), *sources) == []
    assert names(Push((SAME[0],), ()), a_receiver(), *sources) == []
    assert names(Push((SAME[0],), None), a_receiver(), *sources) == ["default/a", "default/b", "default/c"]


def test_a_receiver_wakes_only_what_it_may():
    sources = [a_source("a"), a_source("b"), a_source("a", namespace="prod")]
    push = Push((SAME[0],), (MAIN,))
    assert names(push, a_receiver(sources=["default/b"]), *sources) == ["default/b"]
    assert names(push, a_receiver(sources=["prod/*"]), *sources) == ["prod/a"]
    assert names(push, a_receiver(sources=["other/*", "default/none"]), *sources) == []


def test_cve_2026_44937_what_a_webhook_names_is_never_a_pattern():
    everything = [".*", "https://.*", "*", "https://*/*", "git@.*:.*", "https://git.example.com/.*", "(a+)+$"]
    for url in everything:
        assert names(Push((url,), (Ref("branch", ".*"), Ref("branch", "*"))), a_receiver(), a_source()) == []
        assert names(Push((url,), None), a_receiver(), a_source()) == []


def test_repositories_of_this_machine_are_known_by_their_path():
    push = Push(("file:///srv/git/traffic.git",), (MAIN,))
    assert names(push, a_receiver("generic"), a_source(url="file:///srv/git/traffic.git")) == [
        "default/traffic"
    ]
    assert names(push, a_receiver("generic"), a_source(url="file:///srv/git/other.git")) == []


@given(url=st.text(max_size=60) | st.from_regex(r"[a-z+]{1,8}://[^\s]{0,40}", fullmatch=True))
def test_no_url_does_harm(url: str):
    place_of(url)
