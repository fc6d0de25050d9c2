"""What the daemon promises about where configuration comes from: refs, logins, waits, rewritten history."""

from __future__ import annotations

import base64
import itertools
from typing import Any

import anyio
import pytest
from fakes.cluster import Fault
from fakes.daemon_world import (
    DaemonWorld,
    FakeMirror,
    Repository,
    a_rule,
    a_service,
    files,
    in_world,
    without_threads,
)
from fakes.virtual_time import run_virtually

from gitmesh.engine import accept
from gitmesh.engine.report import read_source
from gitmesh.kube.protocol import Body
from gitmesh.model.kinds import EVENT, SECRET, TRAFFIC_SOURCE, VIRTUAL_SERVICE
from gitmesh.model.repository import Access, Ref, RefKind
from gitmesh.model.resource import resource_from_body
from gitmesh.model.source import ACCEPT_REWRITE_ANNOTATION, SYNC_ANNOTATION, TrafficSourceSpec

FIRST = (a_service("reviews", "v1 100"), a_rule("reviews"))
SECOND = (a_service("reviews", "v1 50, v2 50"), a_rule("reviews"))
THIRD = (a_service("reviews", "v2 100"), a_rule("reviews"))


@pytest.fixture(autouse=True)
def _no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    without_threads(monkeypatch)


def tell(story: Any, **spec: Any) -> None:
    """Run a story in a world with one source, `mesh`, of which FIRST is applied."""

    async def whole() -> None:
        world = DaemonWorld()
        repository = world.add_source(**spec)
        repository.push(files(*FIRST))

        async def act(group: Any) -> None:
            await world.until(lambda: world.ready() == ("True", "Applied"))
            await story(world, repository, group)

        await in_world(world, act)

    run_virtually(whole)


def put_secret(world: DaemonWorld, name: str = "git", **content: str) -> None:
    data = {key: base64.b64encode(text.encode()).decode() for key, text in content.items()}
    metadata = {"name": name, "namespace": "default"}
    world.cluster.put({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data})


def annotate(world: DaemonWorld, **annotations: str) -> None:
    named = {
        {"accept": ACCEPT_REWRITE_ANNOTATION, "sync": SYNC_ANNOTATION}[k]: v for k, v in annotations.items()
    }
    world.patch(TRAFFIC_SOURCE, "mesh", {"metadata": {"annotations": named}}, manager="kubectl")


def message(world: DaemonWorld) -> str:
    return next(c.message for c in world.status().conditions if c.type == "Ready")


def reads_of_secrets(world: DaemonWorld) -> int:
    return sum(r.kind == SECRET.kind and r.verb == "get" for r in world.cluster.requests)


def everything_said(world: DaemonWorld) -> str:
    seen = [world.cluster.all(kind, "default") for kind in (EVENT, TRAFFIC_SOURCE)]
    return f"{seen} {world.lines}"


# What is followed ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "ref"),
    [
        ({}, Ref(RefKind.BRANCH, "main")),
        ({"branch": "release/1"}, Ref(RefKind.BRANCH, "release/1")),
        ({"tag": "v1.4.2"}, Ref(RefKind.TAG, "v1.4.2")),
        ({"semver": "1.x"}, Ref(RefKind.SEMVER, "1.x")),
        ({"commit": "a" * 40}, Ref(RefKind.COMMIT, "a" * 40, "main")),
        ({"commit": "a" * 64, "branch": "next"}, Ref(RefKind.COMMIT, "a" * 64, "next")),
    ],
)
def test_a_source_follows_a_branch_a_tag_a_range_or_a_commit(spec, ref):
    assert TrafficSourceSpec.model_validate({"url": "u", **spec}).ref == ref


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({"branch": "main", "tag": "v1"}, "spec: branch and tag are given; a source follows one of them"),
        ({"tag": "v1", "semver": "1.x"}, "tag and semver are given"),
        ({"semver": "1.x", "commit": "a" * 40}, "semver and commit are given"),
        ({"semver": "newest"}, "spec.semver: 'newest' in 'newest' is not a version or a part of one; write"),
        ({"commit": "abc123"}, "spec.commit: 'abc123' is not the full id of a commit"),
        (
            {"tag": "v1", "push": "allowed"},
            "push: allowed needs a branch to push to, and this source follows a tag",
        ),
        ({"ignore": ["!"]}, "'!' is not a pattern"),
        ({"secretRef": {"name": ""}}, "spec.secretRef.name"),
        ({"interval": "5 minutes"}, "'5 minutes' is not a duration"),
    ],
)
def test_a_spec_that_makes_no_sense_is_told_by_field(spec, told):
    metadata = {"name": "mesh", "namespace": "default"}
    body: Body = {"apiVersion": "gitmesh.dev/v1alpha1", "kind": "TrafficSource", "metadata": metadata}
    said = read_source(resource_from_body({**body, "spec": {"url": "https://example.com/x.git", **spec}}))
    assert isinstance(said, str)
    assert told in said


def test_g38_a_duration_that_is_none_stops_one_source_and_no_other():
    async def story(world: DaemonWorld, repository: Repository, _: Any) -> None:
        world.add_source("bad", interval="soon").push(files(*FIRST))
        await world.until(lambda: world.ready("bad") == ("False", "InvalidSpec"))
        repository.push(files(*SECOND))
        await world.until(lambda: world.live() == {"v1": 50, "v2": 50})

    tell(story)


def test_g15_a_wrong_branch_is_told_the_last_good_revision_stays_and_mending_it_clears_that():
    async def story(world: DaemonWorld, _: Repository, __: Any) -> None:
        good = world.status().last_applied_revision
        world.patch(TRAFFIC_SOURCE, "mesh", {"spec": {"branch": "mian"}})
        await world.until(lambda: world.ready() == ("False", "FetchFailed"))
        assert "no branch mian" in message(world)
        assert world.status().last_applied_revision == good
        world.cluster.put(a_service("reviews", "v1 10, v2 90"), manager="kubectl-edit")
        assert await world.until(lambda: world.live() == {"v1": 100}) < 1
        world.patch(TRAFFIC_SOURCE, "mesh", {"spec": {"branch": "main"}})
        assert await world.until(lambda: world.ready() == ("True", "Applied")) < 1

    tell(story)


# When it is looked at ------------------------------------------------------------------------------------


def fetch_times(world: DaemonWorld, repository: Repository) -> list[float]:
    times: list[float] = []

    class Noted(list[Any]):
        def append(self, commit: Any) -> None:
            times.append(world.clock.monotonic())

    repository.fetched = Noted()
    return times


@pytest.mark.parametrize(("jitter", "gap"), [(0.0, 57.0), (0.5, 60.0), (1.0, 63.0)])
def test_polls_come_at_the_interval_give_or_take_a_twentieth(jitter: float, gap: float):
    async def story(world: DaemonWorld, repository: Repository, _: Any) -> None:
        world.jitter = jitter
        annotate(world, sync="now")
        await world.until(lambda: world.status().last_handled_sync == "now")
        times = fetch_times(world, repository)
        await anyio.sleep(200)
        gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
        assert gaps == pytest.approx([gap] * len(gaps), abs=0.2)
        assert len(gaps) == 2

    tell(story, interval="1m")


def test_g16_a_server_that_is_down_for_long_is_asked_less_and_less_while_drift_is_healed():
    async def story(world: DaemonWorld, repository: Repository, _: Any) -> None:
        asked: list[float] = []
        real = type(repository).__getattribute__

        class Watched(Repository):
            def __getattribute__(self, name: str) -> Any:
                if name == "reachable":
                    asked.append(world.clock.monotonic())
                    return False
                return real(self, name)

        repository.__class__ = Watched
        await world.until(lambda: world.ready() == ("False", "FetchFailed"))
        for _n in range(6):
            world.cluster.put(a_service("reviews", "v1 0, v2 100"), manager="kubectl-edit")
            assert await world.until(lambda: world.live() == {"v1": 100}) < 1
            await anyio.sleep(100)
        gaps = [round(later - earlier) for earlier, later in itertools.pairwise(asked)]
        assert gaps == [2, 4, 8, 16, 32, 64, 120, 120, 120]
        repository.__class__ = Repository
        repository.push(files(*SECOND))
        annotate(world, sync="it is back")
        assert await world.until(lambda: world.live() == {"v1": 50, "v2": 50}) < 2
        await world.until(lambda: world.ready() == ("True", "Applied"))
        times = fetch_times(world, repository)
        await anyio.sleep(45)
        assert len(times) == 4, "after a success the interval counts again"

    tell(story)


def test_a_deleted_source_is_not_looked_at_any_more():
    async def story(world: DaemonWorld, repository: Repository, _: Any) -> None:
        world.cluster.take(TRAFFIC_SOURCE, "default", "mesh")
        await anyio.sleep(1)
        times = fetch_times(world, repository)
        await anyio.sleep(60)
        assert times == []

    tell(story)


def test_g18_of_fifty_commits_in_a_second_the_last_is_applied_and_most_are_never_looked_at():
    async def story(world: DaemonWorld, repository: Repository, _: Any) -> None:
        assert world.life is not None
        assert world.life.daemon is not None
        writes, times = len(world.writes()), fetch_times(world, repository)
        for n in range(1, 51):
            repository.push(files(a_service("reviews", f"v1 {100 - n}, v2 {n}"), a_rule("reviews")))
            world.life.daemon.repository_changed()
            await anyio.sleep(0.02)
        await world.until(lambda: world.live() == {"v1": 50, "v2": 50}, seconds=5)
        await anyio.sleep(9)
        assert len(times) <= 25, "one fetch at a time, and one for all that came meanwhile"
        assert len(world.writes()) - writes <= 120
        assert world.ready() == ("True", "Applied")

    tell(story)


# What opens it -------------------------------------------------------------------------------------------

SECRETIVE = {"secretRef": {"name": "git"}}


def with_secret(story: Any, **content: str) -> None:
    """Run a story in a world whose repository opens with a password that stands in Secret `git`."""

    async def whole() -> None:
        world = DaemonWorld()
        repository = world.add_source(**SECRETIVE)
        repository.push(files(*FIRST))
        repository.opens_with = Access(username="ada", password="s3cr3t-one")
        if content:
            put_secret(world, **content)
        await in_world(world, lambda group: story(world, repository))

    run_virtually(whole)


ADA = {"username": "ada", "password": "s3cr3t-one"}


def test_a_secret_opens_a_repository_and_is_not_asked_for_at_every_poll():
    async def story(world: DaemonWorld, _: Repository) -> None:
        await world.until(lambda: world.ready() == ("True", "Applied"))
        assert reads_of_secrets(world) == 1
        await anyio.sleep(240)
        assert reads_of_secrets(world) == 1
        await anyio.sleep(600)
        assert reads_of_secrets(world) <= 3
        assert "s3cr3t" not in everything_said(world)

    with_secret(story, **ADA)


def test_a_changed_secret_is_used_as_soon_as_the_old_one_opens_nothing():
    async def story(world: DaemonWorld, repository: Repository) -> None:
        await world.until(lambda: world.ready() == ("True", "Applied"))
        put_secret(world, username="ada", password="s3cr3t-two")
        repository.opens_with = Access(username="ada", password="s3cr3t-two")
        repository.push(files(*SECOND))
        await world.until(lambda: world.live() == {"v1": 50, "v2": 50}, seconds=12)
        assert not [e for e in world.cluster.all(EVENT, "default") if e["reason"] == "FetchFailed"]

    with_secret(story, **ADA)


def test_a_login_that_fails_is_told_and_a_mended_secret_is_found_by_itself():
    async def story(world: DaemonWorld, _: Repository) -> None:
        await world.until(lambda: world.ready() == ("False", "FetchFailed"))
        assert "did not let us in" in message(world)
        reads = reads_of_secrets(world)
        await anyio.sleep(60)
        assert reads_of_secrets(world) - reads <= 6, "one for each try, and tries get rarer"
        put_secret(world, **ADA)
        await world.until(lambda: world.ready() == ("True", "Applied"), seconds=121)
        assert "s3cr3t" not in everything_said(world)

    with_secret(story, username="ada", password="s3cr3t-wrong")


def test_a_secret_that_is_not_there_is_named_and_found_once_it_is():
    async def story(world: DaemonWorld, _: Repository) -> None:
        await world.until(lambda: world.ready() == ("False", "FetchFailed"))
        assert message(world).startswith("there is no Secret default/git of spec.secretRef; create it")
        put_secret(world, **ADA)
        await world.until(lambda: world.ready() == ("True", "Applied"), seconds=30)

    with_secret(story)


def test_a_secret_that_lacks_something_is_looked_at_again_at_every_try():
    async def story(world: DaemonWorld, _: Repository) -> None:
        await world.until(lambda: world.ready() == ("False", "FetchFailed"))
        assert "username is there, and password is not" in message(world)
        put_secret(world, **ADA)
        await world.until(lambda: world.ready() == ("True", "Applied"), seconds=15)

    with_secret(story, username="ada")


def test_a_secret_that_may_not_be_read_says_what_to_allow():
    async def story(world: DaemonWorld, _: Repository) -> None:
        world.cluster.refuses = lambda r: r.kind == SECRET.kind
        await world.until(lambda: world.ready() == ("False", "FetchFailed"))
        assert "may not read Secret default/git of spec.secretRef; allow its service account" in message(
            world
        )

    with_secret(story, **ADA)


def test_an_api_server_that_does_not_answer_keeps_nobody_from_a_secret_that_is_known():
    async def story(world: DaemonWorld, repository: Repository) -> None:
        await world.until(lambda: world.ready() == ("True", "Applied"))
        world.cluster.faults = lambda r: Fault.REQUEST_LOST if r.kind == SECRET.kind else None
        await anyio.sleep(400)
        repository.push(files(*SECOND))
        await world.until(lambda: world.live() == {"v1": 50, "v2": 50}, seconds=12)

    with_secret(story, **ADA)


# When history is rewritten -------------------------------------------------------------------------------


def rewrite(repository: Repository) -> str:
    """Push by force something that does not follow from what is there."""
    return repository.force_push(files(*THIRD), forgets=1).id


def test_g17_a_rewritten_branch_is_held_and_the_last_good_revision_is_healed():
    async def story(world: DaemonWorld, repository: Repository, _: Any) -> None:
        good = world.status().accepted_revision
        commit = rewrite(repository)
        await world.until(lambda: world.ready() == ("False", "HistoryRewritten"))
        conditions = {c.type: c.status for c in world.status().conditions if c.type != "InEffect"}
        assert conditions == {"Ready": "False", "Stalled": "True"}
        assert f"{ACCEPT_REWRITE_ANNOTATION}={commit}" in message(world)
        assert good[:12] in message(world)
        status = world.status()
        assert (status.accepted_revision, status.fetched_revision) == (good, f"main@{commit}")
        world.cluster.put(a_service("reviews", "v1 0, v2 100"), manager="kubectl-edit")
        assert await world.until(lambda: world.live() == {"v1": 100}) < 1
        writes = len(world.writes())
        await anyio.sleep(120)
        assert len(world.writes()) == writes

    tell(story)


def test_a_rewritten_branch_is_held_by_a_new_daemon_too_also_without_its_mirrors():
    async def story(world: DaemonWorld, repository: Repository, group: Any) -> None:
        for loses_mirrors in (False, True):
            assert world.life is not None
            world.life.kill()
            if loses_mirrors:
                world.mirrors.clear()
            else:
                rewrite(repository)
            world.spawn(group)
            await world.until(lambda: world.ready() == ("False", "HistoryRewritten"))
            await anyio.sleep(30)
            assert world.live() == {"v1": 100}
            assert world.ready() == ("False", "HistoryRewritten")

    tell(story)


def test_a_person_accepts_a_rewritten_history_and_what_follows_from_it():
    async def story(world: DaemonWorld, repository: Repository, _: Any) -> None:
        commit = rewrite(repository)
        await world.until(lambda: world.ready() == ("False", "HistoryRewritten"))
        annotate(world, accept="0" * 40)
        await anyio.sleep(15)
        assert world.ready() == ("False", "HistoryRewritten"), "another commit was named"
        repository.push(files(*SECOND))
        annotate(world, accept=commit)
        assert await world.until(lambda: world.live() == {"v1": 50, "v2": 50}) < 2
        await world.until(lambda: world.ready() == ("True", "Applied"))

    tell(story)


def test_taking_the_rewrite_back_clears_the_condition():
    async def story(world: DaemonWorld, repository: Repository, _: Any) -> None:
        good = repository.commits[-1]
        rewrite(repository)
        await world.until(lambda: world.ready() == ("False", "HistoryRewritten"))
        repository.commits[:] = [good]
        await world.until(lambda: world.ready() == ("True", "Applied"), seconds=12)
        assert world.live() == {"v1": 100}

    tell(story)


def test_a_source_that_allows_it_follows_a_rewritten_branch_and_so_does_one_that_is_changed_to():
    async def story(world: DaemonWorld, repository: Repository, _: Any) -> None:
        rewrite(repository)
        await world.until(lambda: world.ready() == ("False", "HistoryRewritten"))
        world.patch(TRAFFIC_SOURCE, "mesh", {"spec": {"fastForwardOnly": False}})
        assert await world.until(lambda: world.live() == {"v2": 100}) < 2
        repository.force_push(files(*SECOND), forgets=1)
        await world.until(lambda: world.live() == {"v1": 50, "v2": 50}, seconds=12)

    tell(story)


def test_another_repository_is_no_rewritten_history():
    async def story(world: DaemonWorld, _: Repository, __: Any) -> None:
        other = world.repositories["https://git.example.com/moved.git"] = Repository(7)
        other.push(files(*SECOND))
        world.patch(TRAFFIC_SOURCE, "mesh", {"spec": {"url": "https://git.example.com/moved.git"}})
        await world.until(lambda: world.live() == {"v1": 50, "v2": 50}, seconds=5)
        assert world.status().accepted_url == "https://git.example.com/moved.git"

    tell(story)


def test_a_revision_that_we_stumble_over_is_told_and_the_last_good_one_is_healed(monkeypatch):
    async def story(world: DaemonWorld, repository: Repository, group: Any) -> None:
        def stumble(*arguments: Any, **named: Any) -> Any:
            raise OverflowError("int too large")

        with monkeypatch.context() as patched:
            patched.setattr(accept, "validate", stumble)
            repository.push(files(*SECOND))
            await world.until(lambda: world.ready() == ("False", "ValidationFailed"))
            (finding,) = world.status().findings
            assert (finding.code, finding.severity) == ("GM007", "error")
            assert "OverflowError" in finding.message
            assert "int too large" in world.crashes[0]
            world.crashes.clear()
            edited = {"spec": a_service("reviews", "v2 100")["spec"]}
            world.patch(VIRTUAL_SERVICE, "reviews", edited, manager="kubectl-edit")
            await world.until(lambda: world.live() == {"v1": 100})
            assert world.status().last_applied_revision == f"main@{repository.commits[0].id}"
        repository.push(files(*THIRD))
        await world.until(lambda: world.live() == {"v2": 100})

    tell(story)


def test_a_fetch_that_we_stumble_over_is_told_and_what_is_live_is_healed(monkeypatch):
    async def story(world: DaemonWorld, repository: Repository, group: Any) -> None:
        async def stumble(*arguments: Any, **named: Any) -> Any:
            raise KeyError("a bug")

        with monkeypatch.context() as patched:
            patched.setattr(FakeMirror, "fetch", stumble)
            repository.push(files(*SECOND))
            await world.until(lambda: world.ready() == ("False", "FetchFailed"))
            assert "KeyError: 'a bug'" in world.status().conditions[0].message
            edited = {"spec": a_service("reviews", "v2 100")["spec"]}
            world.patch(VIRTUAL_SERVICE, "reviews", edited, manager="kubectl-edit")
            await world.until(lambda: world.live() == {"v1": 100})
            assert "a bug" in world.crashes[0]
        await world.until(lambda: world.live() == {"v1": 50, "v2": 50})
        world.crashes.clear()

    tell(story)


@pytest.mark.parametrize("ends", [True, False])
def test_a_revision_that_takes_long_to_read_holds_up_neither_other_sources_nor_healing(
    monkeypatch, ends: bool
):
    async def story(world: DaemonWorld, repository: Repository, group: Any) -> None:
        other = world.add_source("other")
        other.push(files(a_service("ratings", "v1 100"), a_rule("ratings")))
        await world.until(lambda: world.ready("other") == ("True", "Applied"))
        inline = accept.to_thread.run_sync

        async def slow(work: Any, *arguments: Any, **named: Any) -> Any:
            await anyio.sleep(300)
            return await inline(work, *arguments, **named)

        with monkeypatch.context() as patched:
            patched.setattr(accept.to_thread, "run_sync", slow)
            repository.push(files(*SECOND))
            await anyio.sleep(15)
            patched.setattr(accept.to_thread, "run_sync", inline)
            other.push(files(a_service("ratings", "v1 50, v2 50"), a_rule("ratings")))
            await world.until(lambda: world.live("ratings") == {"v1": 50, "v2": 50}, seconds=12)
            edited = {"spec": a_service("reviews", "v2 100")["spec"]}
            world.patch(VIRTUAL_SERVICE, "reviews", edited, manager="kubectl-edit")
            assert await world.until(lambda: world.live() == {"v1": 100}) < 1
            if ends:
                await world.until(lambda: world.live() == {"v1": 50, "v2": 50}, seconds=330)

    tell(story)
