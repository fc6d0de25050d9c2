"""Promises about bad input: nothing live changes, and the error names what, where and what to do."""

from dataclasses import dataclass

import anyio
import pytest
from fakes.git_http import git_over_http
from fakes.real_loop import RULES, World, routes, until

from gitmesh.kube.errors import NotFoundError
from gitmesh.model.kinds import TRAFFIC_SOURCE
from gitmesh.playground.repository import GitRepository

pytestmark = [pytest.mark.anyio, pytest.mark.real, pytest.mark.usefixtures("daemon")]

GOOD = {"mesh/rules.yaml": RULES, "mesh/routes.yaml": routes(100, 0)}
ROUTES = "mesh/routes.yaml"


@dataclass(frozen=True)
class Bad:
    """A commit nobody should make, and the words that must be found about it."""

    files: dict[str, str | None]
    place: str
    reason: str
    words: tuple[str, ...]


BAD = {
    "broken YAML": Bad(
        {ROUTES: routes(0, 100).replace("weight: 0", "weight: [0")},
        f"{ROUTES}:10:19",
        "ValidationFailed",
        ("GM011", "not valid YAML", "close the list that begins here with ]"),
    ),
    "a wrong type": Bad(
        {ROUTES: routes(0, 100).replace("weight: 100", "weight: lots")},
        f"{ROUTES}:12:19",
        "ValidationFailed",
        ("GM102", "must be a whole number", 'the text "lots"'),
    ),
    "an unknown field": Bad(
        {ROUTES: routes(0, 100).replace("weight: 100", "wieght: 100")},
        f"{ROUTES}:12:11",
        "ValidationFailed",
        ("GM101", "unknown field wieght", "did you mean weight?"),
    ),
    "a missing subset": Bad(
        {ROUTES: routes(0, 100).replace("subset: v2", "subset: v3")},
        f"{ROUTES}:11:48",
        "ValidationFailed",
        ("GM201", 'subset "v3"', "route to one of: v1, v2"),
    ),
    "a policy that makes no sense": Bad(
        {
            "policies/careful.yaml": "apiVersion: gitmesh.dev/v1alpha1\nkind: RolloutPolicy\n"
            "metadata: {name: careful}\nspec: {steps: [{progress: 50}, {progress: 20}, {progress: 100}]}\n"
        },
        "policies/careful.yaml:4:",
        "ValidationFailed",
        ("steps must grow",),
    ),
    "every file deleted": Bad(
        {"mesh/rules.yaml": None, ROUTES: None},
        "",
        "PlanRefused",
        ("holds no traffic configuration", "2 objects", "check branch and path"),
    ),
}


async def check_told(world: World, reason: str, *words: str) -> None:
    """The status, `gitmesh status` and `gitmesh sync` all say it, and `sync` exits with 1."""
    ready, told = await world.wait_ready("False", reason), {}

    async def ask(command: str) -> None:
        told[command] = await world.gitmesh(command, world.name)

    async with anyio.create_task_group() as group:
        for command in ("sync", "status"):
            group.start_soon(ask, command)
    assert told["sync"].status == 1, told["sync"]
    assert told["status"].status == 0, told["status"]
    status = await world.status()
    in_status = f"{ready.message} {[f.model_dump() for f in status.findings]}"
    for place, text in (("status", in_status), ("sync", told["sync"].out), ("show", told["status"].out)):
        missing = [
            word for word in (reason, *words) if word not in text and (place, word) != ("status", reason)
        ]
        assert not missing, f"{place} lacks {missing}: {text}"


async def test_a_bad_commit_changes_nothing_and_is_explained_until_a_good_one_comes(world: World):
    good = await world.publish(GOOD)
    await world.follow()
    await world.wait_applied(good)
    before, applied = await world.versions(), (await world.status()).last_applied_revision
    assert len(before) == 2
    for name, bad in BAD.items():
        revision = await world.publish(bad.files, name)
        await check_told(world, bad.reason, *([bad.place] if bad.place else []), *bad.words)
        status = await world.status()
        assert await world.versions() == before, name
        assert status.last_applied_revision == applied, name
        assert status.fetched_revision.startswith(revision), name
        world.repository.git("rm", "--quiet", "-r", "--ignore-unmatch", "policies")
        back = await world.publish(GOOD, f"Repair {name}")
        await world.wait_applied(back)
        applied = (await world.status()).last_applied_revision
        assert await world.versions() == before, f"after {name}"
    assert (await world.status()).findings == ()


async def test_the_last_good_revision_is_still_healed_while_a_commit_is_broken(world: World):
    await world.publish(GOOD)
    await world.follow()
    await world.wait_weights(100, 0)
    await world.publish(BAD["broken YAML"].files)
    await world.wait_ready("False", "ValidationFailed")
    await world.kubectl(
        "patch", "virtualservice", "reviews", "--type=json",
        "--patch", '[{"op": "replace", "path": "/spec/http/0/route/0/weight", "value": 7}]',
    )  # fmt: skip
    await world.wait_weights(100, 0)


async def test_a_remote_that_fails_is_named_with_what_to_do_and_nothing_is_touched(world: World, tmp_path):
    """Unreachable, no such repository, empty, and a branch that is not there."""
    await world.publish(GOOD)
    await world.follow()
    await world.wait_weights(100, 0)
    before = await world.versions()
    empty = GitRepository.create(tmp_path / "other")
    with git_over_http(tmp_path) as server:
        gone = f"{server.url}/gone.git"
    cases = {
        f"{gone} main": ("check that the server is up", gone),
        f"{world.repository.url} mian": ("no branch mian", "it has: main", "set spec.branch"),
        f"{empty.url} main": ("no commits on branch main", empty.url, "push a first commit"),
        f"file://{tmp_path}/nowhere main": (f"{tmp_path}/nowhere",),
    }
    for case, words in cases.items():
        url, branch = case.split()
        await world.follow(url, branch=branch)
        await world.wait_ready("False", "FetchFailed", about=words[0])
        await check_told(world, "FetchFailed", *words)
        assert await world.versions() == before, case
    await world.follow()
    await world.wait_ready("True")
    assert await world.versions() == before


async def test_an_empty_repository_is_followed_as_soon_as_it_has_a_commit(world: World):
    await world.follow()
    ready = await world.wait_ready("False", "FetchFailed")
    assert "has no commits on branch main" in ready.message
    revision = await world.publish(GOOD)
    await world.wait_applied(revision)


async def test_a_remote_that_comes_back_is_fetched_again_without_being_asked(world: World):
    revision = await world.publish(GOOD)
    with git_over_http(world.repository.origin.parent) as server:
        server.status = 503
        await world.follow(f"{server.url}/origin.git")
        await world.wait_ready("False", "FetchFailed")
        server.status = 200
        await world.wait_applied(revision)


async def test_a_source_that_makes_no_sense_is_said_at_once(world: World):
    body = {
        "apiVersion": TRAFFIC_SOURCE.api_version,
        "kind": "TrafficSource",
        "metadata": {"name": world.name, "namespace": "default"},
        "spec": {"url": world.repository.url, "interval": "10"},
    }
    await world.client.apply(TRAFFIC_SOURCE, body)
    ready = await world.wait_ready("False", "InvalidSpec")
    said = "spec.interval: '10' is not a duration; write for example 30s, 10m or 1h30m"
    assert ready.message == said
    sync = await world.gitmesh("sync", world.name)
    assert (sync.status, sync.out) == (2, "")
    assert said in sync.err
    assert f"InvalidSpec: {said}" in (await world.gitmesh("status")).out


async def test_a_source_that_is_deleted_while_one_waits_for_it_is_said(world: World, daemon):
    await world.follow(f"file://{world.repository.origin.parent}/gone")
    await world.wait_ready("False", "FetchFailed")
    await world.client.delete(TRAFFIC_SOURCE, "default", world.name)

    async def gone() -> bool:
        try:
            await world.status()
        except NotFoundError:
            return True
        return False

    await until("the source to be gone", gone)
    ran = await world.gitmesh("sync", world.name)
    assert (ran.status, ran.err) == (2, f"Error: no TrafficSource default/{world.name}; there are: none\n")
