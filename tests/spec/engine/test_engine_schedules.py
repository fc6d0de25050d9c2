"""What the daemon makes of windows, freezes, gates, deadlines, groups and dependencies, in simulated time."""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import anyio
import pytest
from fakes.daemon_world import DaemonWorld, a_policy, a_rule, a_service, files, in_world, without_threads
from fakes.virtual_time import run_virtually

from gitmesh.decide.gates import pass_for
from gitmesh.decide.timeline import Standing, timelines
from gitmesh.model.calendar import zone_named
from gitmesh.model.kinds import DESTINATION_RULE, TRAFFIC_ROLLOUT, TRAFFIC_SOURCE, VIRTUAL_SERVICE
from gitmesh.model.resource import resource_from_body
from gitmesh.model.rollout import Phase, RolloutRecord

Story = Callable[[DaemonWorld, Any], Awaitable[None]]
NAMES = ("reviews", "ratings")
LONG = [{"progress": 10, "hold": "3m"}, {"progress": 100}]  # longer than any window


@pytest.fixture(autouse=True)
def _no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    without_threads(monkeypatch)


def a_commit(
    *canaries: str, names: tuple[str, ...] = NAMES, more: tuple[Any, ...] = (), **policy: Any
) -> dict[str, str]:
    """The files of a commit in which `canaries` go from v1 to v2; keyword arguments are of the policy."""
    bodies: list[Any] = list(more)
    for name in names:
        bodies.append(a_service(name, "v1 0, v2 100" if name in canaries else "v1 100, v2 0"))
        bodies.append(a_rule(name))
    body = copy.deepcopy(a_policy(*names))
    body["spec"] |= policy
    return files(*bodies, body)


def a_freeze(start: datetime, end: datetime, **select: Any) -> dict[str, Any]:
    spec: dict[str, Any] = {"from": start.isoformat(), "to": end.isoformat(), "who": "sre", "why": "sale"}
    return {
        "apiVersion": "gitmesh.dev/v1alpha1",
        "kind": "FreezeWindow",
        "metadata": {"name": "sale", "namespace": "default"},
        "spec": {**spec, "select": select} if select else spec,
    }


def tell(story: Story, first: dict[str, str] | None = None, hooks: Any = None) -> None:
    async def whole() -> None:
        world = DaemonWorld()
        world.hooks = hooks
        repository = world.add_source()
        repository.push(first or a_commit())

        async def act(group: Any) -> None:
            await world.until(lambda: world.ready() == ("True", "Applied"))
            await story(world, repository)

        await in_world(world, act)

    run_virtually(whole)


def record_of(world: DaemonWorld, name: str = "reviews") -> RolloutRecord:
    record = world.record(name)
    assert record is not None
    return record


def at(world: DaemonWorld, phase: Phase, name: str = "reviews") -> bool:
    return record_of(world, name).phase is phase


async def is_live(world: DaemonWorld, name: str = "reviews", seconds: float = 60) -> None:
    await world.until(lambda: at(world, Phase.SUCCEEDED, name) and world.live(name) == {"v2": 100}, seconds)


# The first push is seen a few seconds after 12:00.
WINDOWS = [{"cron": "5-59/10 * * * *", "duration": "2m"}]  # 12:05 to 12:07, 12:15 to 12:17, ...


# Windows and freezes


def test_a_rollout_begins_goes_on_and_ends_inside_its_windows_only():
    async def story(world: DaemonWorld, repository: Any) -> None:
        repository.push(a_commit("reviews", windows=WINDOWS, steps=LONG, analysis=None))
        await world.until(lambda: at(world, Phase.WAITING))
        await anyio.sleep(280)
        assert world.live() == {"v1": 100}
        assert "outside its windows until" in record_of(world).message
        assert world.ready() == ("Unknown", "Waiting")
        await world.until(lambda: world.live() == {"v1": 90, "v2": 10}, seconds=20)
        assert f"{world.clock.now():%H:%M}" == "12:05"
        await anyio.sleep(590)
        assert record_of(world).message.startswith("outside its windows")
        assert world.live() == {"v1": 90, "v2": 10}
        await is_live(world, seconds=20)
        assert f"{world.clock.now():%H:%M}" == "12:15"

    tell(story)


def test_a_failing_version_goes_back_outside_its_windows():
    async def story(world: DaemonWorld, repository: Any) -> None:
        repository.push(a_commit("reviews", windows=WINDOWS, steps=LONG))
        await anyio.sleep(290)
        await world.until(lambda: world.live() == {"v1": 90, "v2": 10}, seconds=20)
        await anyio.sleep(150)
        world.metrics.error_percent["reviews", "v2"] = 50
        await world.until(lambda: world.live() == {"v1": 100}, seconds=5)
        assert at(world, Phase.ROLLED_BACK)

    tell(story)


def test_a_revert_waits_for_no_window():
    async def story(world: DaemonWorld, repository: Any) -> None:
        repository.push(a_commit("reviews", windows=WINDOWS, steps=LONG))
        await anyio.sleep(290)
        await world.until(lambda: world.live() == {"v1": 90, "v2": 10}, seconds=20)
        await anyio.sleep(150)
        repository.push(a_commit(windows=WINDOWS, steps=LONG))
        await world.until(lambda: world.live() == {"v1": 100}, seconds=15)

    tell(story)


def test_under_a_freeze_nothing_begins_not_even_without_a_policy():
    async def story(world: DaemonWorld, repository: Any) -> None:
        now = world.clock.now()
        freeze = a_freeze(now, now + timedelta(minutes=10))
        details = (a_service("details", "v1 50, v2 50"), a_rule("details"))
        repository.push(a_commit("reviews", more=(freeze, *details)))
        await world.until(lambda: at(world, Phase.WAITING))
        await anyio.sleep(300)
        assert world.live() == {"v1": 100}
        assert world.live("details") == {"v1": 100}
        assert record_of(world).message.startswith("freeze sale by sre: sale, until Mon 02 Mar 12:1")
        await is_live(world, seconds=400)
        await world.until(lambda: world.live("details") == {"v1": 50, "v2": 50}, seconds=5)

    tell(story, a_commit(more=(a_service("details", "v1 100, v2 0"), a_rule("details"))))


def test_under_a_freeze_a_destination_rule_keeps_its_policy_and_still_gains_subsets():
    def details(**policy: Any) -> tuple[Any, ...]:
        subsets = ("v1", "v2", "v3") if policy else ("v1", "v2")
        rule = a_rule("details", subsets)
        return a_service("details", "v1 100, v2 0"), {**rule, "spec": {**rule["spec"], **policy}}

    def rule_of(world: DaemonWorld) -> Any:
        found = world.cluster.find(DESTINATION_RULE, "default", "details")
        assert found
        return found["spec"]

    async def story(world: DaemonWorld, repository: Any) -> None:
        now = world.clock.now()
        wanted = {"trafficPolicy": {"connectionPool": {"tcp": {"maxConnections": 7}}}}
        freeze = a_freeze(now, now + timedelta(minutes=5))
        repository.push(a_commit(more=(freeze, *details(**wanted))))
        await world.until(lambda: len(rule_of(world)["subsets"]) == 3)
        await anyio.sleep(120)
        assert "trafficPolicy" not in rule_of(world)
        await world.until(lambda: rule_of(world).get("trafficPolicy") == wanted["trafficPolicy"], seconds=300)

    tell(story, a_commit(more=details()))


@pytest.mark.parametrize("policed", [True, False])
def test_under_a_freeze_nothing_is_deleted_and_all_of_it_goes_when_the_freeze_ends(policed: bool):
    async def story(world: DaemonWorld, repository: Any) -> None:
        now = world.clock.now()
        freeze = a_freeze(now, now + timedelta(seconds=120), namespaces=["default"])
        whole = {k: v for k, v in a_commit(more=(freeze,)).items() if policed or "policy" not in k}
        repository.push({k: v for k, v in whole.items() if not k.endswith("-ratings.yaml")})
        await world.until(lambda: world.ready() == ("Unknown", "Waiting"))
        text = str(world.status().conditions)
        assert "no longer in Git; DestinationRule ratings waits: freeze sale by sre: sale, until" in text
        await anyio.sleep(60)
        assert world.live("ratings") == {"v1": 100}
        assert world.cluster.find(DESTINATION_RULE, "default", "ratings")
        await world.until(lambda: not world.cluster.find(DESTINATION_RULE, "default", "ratings"), seconds=60)
        assert world.clock.now() - now < timedelta(seconds=122), "as soon as it may"
        assert not world.cluster.find(VIRTUAL_SERVICE, "default", "ratings")
        await world.until(lambda: world.ready() == ("True", "Applied"))

    tell(story)


def test_outside_of_its_windows_a_virtual_service_is_not_deleted_either():
    async def story(world: DaemonWorld, repository: Any) -> None:
        commit = a_commit(windows=WINDOWS, steps=LONG)
        repository.push({k: v for k, v in commit.items() if not k.endswith("-ratings.yaml")})
        await world.until(lambda: world.ready() == ("Unknown", "Waiting"))
        await anyio.sleep(200)
        assert world.live("ratings") == {"v1": 100}
        assert world.cluster.find(DESTINATION_RULE, "default", "ratings"), "its routes still name the subsets"
        await world.until(lambda: not world.cluster.find(VIRTUAL_SERVICE, "default", "ratings"), seconds=120)
        assert f"{world.clock.now():%H:%M}" == "12:05"

    tell(story)


def test_a_source_that_goes_takes_its_objects_along_in_a_freeze_too():
    async def story(world: DaemonWorld, repository: Any) -> None:
        now = world.clock.now()
        repository.push(a_commit(more=(a_freeze(now, now + timedelta(hours=9)),)))
        await world.until(lambda: world.status().last_applied_revision.endswith(repository.commits[-1].id))
        world.patch(TRAFFIC_SOURCE, "mesh", {"spec": {"deletionPolicy": "delete"}})
        await anyio.sleep(5)
        await world.cluster.delete(TRAFFIC_SOURCE, "default", "mesh")
        await world.until(lambda: not world.cluster.find(VIRTUAL_SERVICE, "default", "ratings"), seconds=60)

    tell(story)


def test_a_freeze_by_selector_leaves_the_rest_alone():
    async def story(world: DaemonWorld, repository: Any) -> None:
        now = world.clock.now()
        freeze = a_freeze(now, now + timedelta(hours=1), names=["ratings"])
        repository.push(a_commit("reviews", "ratings", more=(freeze,)))
        await is_live(world)
        assert world.live("ratings") == {"v1": 100}

    tell(story)


# Gates


def gated(gate: Any) -> dict[str, Any]:
    return {"steps": [{"progress": 10, "hold": "2s", "gate": gate}, {"progress": 100}]}


def test_a_manual_gate_opens_for_whoever_promotes_this_step():
    async def story(world: DaemonWorld, repository: Any) -> None:
        repository.push(a_commit("reviews", **gated("manual")))
        await world.until(lambda: record_of(world).message == "waits at 10 % until somebody promotes it")
        await anyio.sleep(60)
        assert world.live() == {"v1": 90, "v2": 10}
        patch = {"spec": {"promote": pass_for(record_of(world))}}
        await world.cluster.merge_patch(TRAFFIC_ROLLOUT, "default", "reviews", patch)
        await is_live(world)

    tell(story)


def test_an_expression_opens_when_the_evidence_is_so():
    async def story(world: DaemonWorld, repository: Any) -> None:
        world.metrics.error_percent["reviews", "v2"] = 2
        repository.push(a_commit("reviews", **gated({"cel": "evidence.error_rate.value < 0.5"})))
        await world.until(lambda: record_of(world).message.startswith("gate at 10 % is closed"))
        await anyio.sleep(60)
        assert world.live() == {"v1": 90, "v2": 10}
        world.metrics.error_percent["reviews", "v2"] = 0
        await is_live(world)

    tell(story)


def test_an_expression_that_asks_for_what_is_not_there_is_closed_and_says_so():
    async def story(world: DaemonWorld, repository: Any) -> None:
        repository.push(a_commit("reviews", **gated({"cel": "evidence.error_rate.stable < 0.5"})))
        await world.until(
            lambda: record_of(world).message == "gate at 10 % is closed: there is no field stable"
        )

    tell(story)


class FakeHooks:
    """Answers what it was told to, and notes what it was asked."""

    def __init__(self) -> None:
        self.answer: tuple[bool, str] = (False, "not on a Friday")
        self.asked: list[tuple[str, Mapping[str, Any]]] = []
        self.seconds = 0.1

    async def ask(self, url: str, timeout: timedelta, told: Mapping[str, Any]) -> tuple[bool, str]:
        self.asked.append((url, told))
        await anyio.sleep(self.seconds)
        return self.answer


HOOK = gated({"http": {"url": "https://gates.example.com/go", "interval": "30s"}})


def test_a_hook_is_asked_at_its_interval_until_it_allows():
    hooks = FakeHooks()

    async def story(world: DaemonWorld, repository: Any) -> None:
        repository.push(a_commit("reviews", **HOOK))
        await world.until(lambda: record_of(world).message == "gate at 10 % is closed: not on a Friday")
        await anyio.sleep(110)
        assert len(hooks.asked) == 4
        url, told = hooks.asked[0]
        assert (url, told["name"], told["progress"]) == ("https://gates.example.com/go", "reviews", 10)
        assert told["evidence"]["error_rate"]["outcome"] == "pass"
        hooks.answer = (True, "")
        await is_live(world)
        assert len(hooks.asked) == 5

    tell(story, hooks=hooks)


def test_a_hook_that_hangs_holds_up_nothing_but_its_own_rollout():
    hooks = FakeHooks()
    hooks.seconds = 100_000

    async def story(world: DaemonWorld, repository: Any) -> None:
        repository.push(a_commit("reviews", **HOOK))
        await world.until(lambda: len(hooks.asked) == 1)
        await world.until(lambda: "no answer in time" in record_of(world).message, seconds=10)
        world.metrics.error_percent["reviews", "v2"] = 50
        await world.until(lambda: at(world, Phase.ROLLED_BACK), seconds=5)

    tell(story, hooks=hooks)


def test_a_hook_is_not_asked_outside_of_windows_nor_twice_at_once():
    hooks = FakeHooks()

    async def story(world: DaemonWorld, repository: Any) -> None:
        hooks.seconds = 4
        repository.push(a_commit("reviews", windows=WINDOWS, **HOOK))
        await anyio.sleep(420)
        assert len(hooks.asked) == 4, "at 12:05:02 and three times more, 30 s after each answer"

    tell(story, hooks=hooks)


# Deadlines


def test_a_rollout_that_is_not_done_in_time_goes_back():
    async def story(world: DaemonWorld, repository: Any) -> None:
        repository.push(a_commit("reviews", deadline="5m", analysis=None, **gated("manual")))
        await world.until(lambda: world.live() == {"v1": 90, "v2": 10})
        await anyio.sleep(295)
        assert world.live() == {"v1": 90, "v2": 10}
        await world.until(lambda: world.live() == {"v1": 100}, seconds=6)
        assert record_of(world).message == "rolled back: not done within 5m"

    tell(story)


# What cannot be read


NIGHTS = [{"cron": "0 22 * * *", "duration": "1h", "timezone": "Europe/Berlin"}]
LOST = {"name": "lost", "query": "sum(lost)", "max": 1}


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({"windows": NIGHTS}, "its windows never open: there is no time zone 'Europe/Berlin'"),
        (
            gated({"cel": "evidence.error_rate.stable < 0.5"}),
            "gate at 10 % is closed: there is no field stable",
        ),
        (
            gated({"http": {"url": "https://gates.example.com"}}),
            "gate at 10 % is closed: this daemon asks no",
        ),
        ({"analysis": {"interval": "1s", "metrics": [LOST]}}, "blind: "),
    ],
)
def test_what_cannot_be_read_at_run_time_holds_its_own_rollout_alone(
    spec: dict[str, Any], told: str, monkeypatch: pytest.MonkeyPatch
):
    def commit(*canaries: str) -> dict[str, str]:
        odd, other = (copy.deepcopy(a_policy(name, policy=name)) for name in NAMES)
        odd["spec"] |= spec
        bodies = [odd, other]
        for name in NAMES:
            bodies += [a_service(name, "v1 0, v2 100" if name in canaries else "v1 100, v2 0"), a_rule(name)]
        return files(*bodies)

    async def story(world: DaemonWorld, repository: Any) -> None:
        # What was known when the commit was validated may be known no more: a host with other zones.
        known = {"UTC": zone_named("UTC")}
        monkeypatch.setattr("gitmesh.model.calendar.zone_named", known.get)
        monkeypatch.setattr("gitmesh.model.windows.zone_named", known.get)
        repository.push(commit(*NAMES))
        await is_live(world, "ratings")
        await world.until(lambda: record_of(world).message.startswith(told))
        assert world.live("reviews") != {"v2": 100}

    tell(story, commit())


# Several rollouts


def test_no_more_rollouts_of_a_policy_move_than_it_says():
    async def story(world: DaemonWorld, repository: Any) -> None:
        seen: set[int] = set()

        def moving(*_: Any) -> None:
            records = [world.record(name) for name in NAMES]
            seen.add(sum(r is not None and r.phase.in_motion for r in records))

        world.cluster.written = moving
        repository.push(a_commit("reviews", "ratings", maxConcurrent=1))
        await is_live(world, "ratings")
        await is_live(world, "reviews")
        assert seen == {0, 1}

    tell(story)


def reviews_after_ratings(*canaries: str) -> dict[str, str]:
    second = copy.deepcopy(a_policy("reviews", policy="second"))
    second["spec"] |= {"after": ["ratings"], "steps": [{"progress": 10, "hold": "30s"}, {"progress": 100}]}
    bodies = [a_policy("ratings", policy="first"), second]
    for name in NAMES:
        bodies += [a_service(name, "v1 0, v2 100" if name in canaries else "v1 100, v2 0"), a_rule(name)]
    return files(*bodies)


def test_a_rollout_goes_no_further_when_what_it_depends_on_is_taken_back_and_does_when_it_is_there_again():
    async def story(world: DaemonWorld, repository: Any) -> None:
        repository.push(reviews_after_ratings(*NAMES))
        await is_live(world, "ratings")
        await world.until(lambda: world.live("reviews") == {"v1": 90, "v2": 10})
        content = record_of(world, "ratings").stable.hash
        world.ask("ratings", rollBack=content)
        await world.until(lambda: world.live("ratings") == {"v1": 100})
        await anyio.sleep(120)
        assert record_of(world).message == "waits for ratings, which is RolledBack"
        assert world.live("reviews") == {"v1": 90, "v2": 10}
        world.ask("ratings", rollBack="", retry=content)
        await is_live(world, "ratings")
        await is_live(world, "reviews")

    tell(story, reviews_after_ratings())


def test_a_rollout_waits_until_what_it_depends_on_is_done():
    async def story(world: DaemonWorld, repository: Any) -> None:
        repository.push(reviews_after_ratings(*NAMES))
        await world.until(
            lambda: record_of(world).message.startswith("waits for ratings, which is Progressing")
        )
        await is_live(world, "ratings")
        assert world.live("reviews") != {"v2": 100}
        await is_live(world, "reviews")

    tell(story, reviews_after_ratings())


def test_a_root_and_its_delegate_are_walked_by_ids_one_after_the_other():
    def commit(seconds: str) -> dict[str, str]:
        root, delegate = a_service("ratings", "v1 100"), a_service("reviews", "v1 100", timeout=seconds)
        root["spec"]["hosts"] = ["shop.example.com"]
        entry = {"match": [{"uri": {"prefix": "/reviews"}}], "delegate": {"name": "reviews"}}
        root["spec"]["http"] = [entry, {**root["spec"]["http"][0], "timeout": seconds}]
        del delegate["spec"]["hosts"]
        policy = copy.deepcopy(a_policy(*NAMES))
        policy["spec"] |= {"walk": "routes", "analysis": None}
        return files(root, a_rule("ratings"), delegate, a_rule("reviews"), policy)

    async def story(world: DaemonWorld, repository: Any) -> None:
        together: list[set[str]] = []

        def moving(*_: Any) -> None:
            records = {name: world.record(name) for name in NAMES}
            together.append({name for name, r in records.items() if r is not None and r.phase.in_motion})

        world.cluster.written = moving
        repository.push(commit("4s"))
        await world.until(
            lambda: at(world, Phase.WAITING) and "which delegates to it" in record_of(world).message
        )
        await world.until(lambda: at(world, Phase.SUCCEEDED, "ratings"))
        await world.until(lambda: record_of(world).phase.in_motion)
        await world.until(lambda: at(world, Phase.SUCCEEDED))
        assert {"ratings"} in together
        assert {"reviews"} in together
        assert set(NAMES) not in together

    tell(story, commit("3s"))


def test_a_group_moves_as_one_and_goes_back_as_one_and_again_when_the_cause_is_gone():
    async def story(world: DaemonWorld, repository: Any) -> None:
        world.metrics.error_percent["ratings", "v2"] = 50
        repository.push(a_commit(*NAMES, group="shop"))
        await world.until(lambda: all(world.live(name) == {"v1": 90, "v2": 10} for name in NAMES))
        await world.until(lambda: all(world.live(name) == {"v1": 100} for name in NAMES), seconds=10)
        assert at(world, Phase.ROLLED_BACK, "ratings")
        assert "with ratings of group shop" in record_of(world).message
        await anyio.sleep(60)
        assert world.live() == {"v1": 100}, "its content waits for the cause to go"
        world.metrics.error_percent.clear()
        repository.push(a_commit("reviews", group="shop"))
        await is_live(world, "reviews")

    tell(story)


def test_a_group_of_which_one_is_held_does_not_begin():
    async def story(world: DaemonWorld, repository: Any) -> None:
        await world.cluster.merge_patch(TRAFFIC_ROLLOUT, "default", "ratings", {"spec": {"suspend": True}})
        repository.push(a_commit(*NAMES, group="shop"))
        await world.until(
            lambda: record_of(world).message == "waits for ratings of group shop: paused at 0 %"
        )
        await anyio.sleep(60)
        assert world.live() == world.live("ratings") == {"v1": 100}
        await world.cluster.merge_patch(TRAFFIC_ROLLOUT, "default", "ratings", {"spec": {"suspend": False}})
        await is_live(world, "ratings")
        await is_live(world, "reviews")

    tell(story)


def test_what_a_plan_foretells_is_what_the_daemon_does():
    names = ("details", "ratings", "reviews", "web")
    narrow = [{"cron": "*/10 * * * *", "duration": "3m"}]

    def policy_of(name: str, *selected: str, **spec: Any) -> dict[str, Any]:
        body = copy.deepcopy(a_policy(*selected, policy=name))
        body["spec"] |= {"analysis": None, "bake": "0s", **spec}
        return body

    policies = (
        policy_of("shop", "details", "ratings", group="shop", ramp="linear 50% every 1m"),
        policy_of("behind", "reviews", "web", after=["ratings"], maxConcurrent=1, windows=narrow),
    )
    for body in policies:
        body["spec"] = {k: v for k, v in body["spec"].items() if k != "steps"}
    policies[1]["spec"]["steps"] = [{"progress": 30, "hold": "2m"}, {"progress": 100}]

    def commit(weights: str) -> dict[str, str]:
        bodies = [body for name in names for body in (a_service(name, weights), a_rule(name))]
        return files(*bodies, *policies)

    def foretold(world: DaemonWorld) -> dict[str, list[tuple[str, int]]]:
        standing = {
            VIRTUAL_SERVICE.key("default", name): Standing(
                record_of(world, name),
                resource_from_body(a_service(name, "v1 0, v2 100")),
                record_of(world, name).policy,
            )
            for name in names
        }
        found = timelines(standing, (), world.clock.now())
        return {
            key.name: [(stop.label, minute(stop.at)) for stop in way.stops if stop.at]
            for key, way in found.items()
        }

    def minute(at: datetime | None) -> int:
        assert at is not None
        return round(at.timestamp() / 60)

    async def story(world: DaemonWorld, repository: Any) -> None:
        repository.push(commit("v1 0, v2 100"))
        await world.until(lambda: all(record_of(world, n).canary is not None for n in names))
        expected = foretold(world)
        await anyio.sleep(1250)
        for name in names:
            assert at(world, Phase.SUCCEEDED, name)
            steps = [e for e in record_of(world, name).history if e.at.timestamp() > 0 and "%" in e.message]
            happened = [
                (f"{e.progress:g} %", minute(e.at))
                for e in steps
                if e.message.startswith(f"{e.progress:g} %")
            ]
            assert happened == expected[name][:-1], name
            assert minute(record_of(world, name).finished_at) == expected[name][-1][1], name
        moments = [where for _, where in expected["reviews"]]
        assert moments[1] - moments[0] > 5, "a window closes on the way"

    tell(story, commit("v1 100, v2 0"))
