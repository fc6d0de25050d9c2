"""Promises about signatures in the whole product: what nobody trusted signed never becomes live."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from anyio import to_thread
from fakes.git_http import git_over_http
from fakes.real_loop import RULES, Play, World, policy, routes, running_daemon, until
from fakes.signing import NOBODY, Signer, commit_by, run, ssh_signer, trust_data

from gitmesh.model.kinds import CONFIG_MAP, SECRET, TRAFFIC_SOURCE
from gitmesh.model.revert import RevertState

pytestmark = [pytest.mark.anyio, pytest.mark.real]
FILES = {"rules.yaml": RULES, "routes.yaml": routes(100, 0)}
VERIFY = {"mode": "head", "signers": {"configMapRef": {"name": "signers"}}}


async def keep(world: World, name: str, data: Mapping[str, bytes], *, secret: bool = False) -> None:
    """Write a ConfigMap or a Secret beside the TrafficSource."""
    kind = SECRET if secret else CONFIG_MAP
    plain = {key: b64encode(value).decode() if secret else value.decode() for key, value in data.items()}
    body = {
        "apiVersion": "v1",
        "kind": kind.kind,
        "metadata": {"name": name, "namespace": "default"},
        "data": plain,
    }
    await world.client.apply(kind, body, force=True)


async def commit(world: World, signer: Signer, files: Mapping[str, str | bytes | None]) -> str:
    made = await to_thread.run_sync(lambda: commit_by(world.repository, signer, files))
    return f"main@{made[:7]}"


async def forget(world: World, *names: tuple[Any, str]) -> None:
    for kind, name in names:
        await world.client.delete(kind, "default", name)


async def test_g30_only_what_a_trusted_signer_signed_is_applied_and_the_last_good_revision_stays(
    play: Play, world: World, tmp_path: Path
):
    ada, eve = (ssh_signer(tmp_path / "keys", f"{name}@example.com") for name in ("ada", "eve"))
    await keep(world, "signers", trust_data(ada))
    with running_daemon(play, tmp_path / "daemon") as daemon:
        first = await commit(world, NOBODY, FILES)
        await world.follow(verify=VERIFY)
        ready = await world.wait_ready("False", "VerificationFailed", first)
        assert "is not signed" in ready.message
        assert "nothing is applied" in ready.message
        assert await world.weights() is None

        good = await commit(world, ada, {"routes.yaml": routes(90, 10)})
        await world.wait_applied(good)
        status = await world.status()
        assert (status.verified_revision, status.verified_by) == (status.accepted_revision, "ada@example.com")

        bad = await commit(world, eve, {"routes.yaml": routes(0, 100)})
        ready = await world.wait_ready("False", "VerificationFailed", bad)
        assert f"{good} stays" in ready.message
        assert "Stalled" in {condition.type for condition in (await world.status()).conditions}
        await world.kubectl("annotate", "virtualservice", "reviews", "x=y")
        await world.kubectl(
            *("patch", "virtualservice", "reviews", "--type=json", "-p"),
            '[{"op": "replace", "path": "/spec/http/0/route/0/weight", "value": 1}]',
        )
        await world.wait_weights(90, 10)  # healed

        daemon.kill()
        daemon.start()
        await to_thread.run_sync(daemon.wait_started)
        await world.wait_ready("False", "VerificationFailed", bad)
        assert await world.weights() == (90, 10), "a restart does not go on with what nobody trusts"

        await keep(world, "signers", trust_data(ada, eve))
        ran = await world.gitmesh("sync", world.name)
        assert ran.status == 0, ran.all
        await world.wait_applied(bad)
        assert await world.weights() == (0, 100)

        await keep(world, "signers", trust_data(eve))
        daemon.kill()
        daemon.start()
        await to_thread.run_sync(daemon.wait_started)
        await world.gitmesh("sync", world.name)
        await world.wait_applied(bad)  # it was judged when it came
    await forget(world, (CONFIG_MAP, "signers"))


async def test_a_list_of_signers_that_is_missing_or_empty_lets_nothing_in(
    play: Play, world: World, tmp_path: Path
):
    ada = ssh_signer(tmp_path / "keys", "ada@example.com")
    with running_daemon(play, tmp_path / "daemon"):
        good = await commit(world, ada, FILES)
        await world.follow(verify={"signers": {"secretRef": {"name": "signers"}}})
        await world.wait_ready("False", "VerificationFailed", "there is no Secret default/signers; create it")
        await keep(world, "signers", {"allowed_signers": b""}, secret=True)
        await world.gitmesh("sync", world.name)
        await world.wait_ready("False", "VerificationFailed", "names no signer")
        await keep(world, "signers", trust_data(ada), secret=True)
        await world.gitmesh("sync", world.name)
        await world.wait_applied(good)
    await forget(world, (SECRET, "signers"))


async def test_files_below_a_path_are_taken_from_its_signers_alone(play: Play, world: World, tmp_path: Path):
    ada, bob = (ssh_signer(tmp_path / "keys", f"{name}@example.com") for name in ("ada", "bob"))
    await keep(world, "signers", trust_data(ada, bob))
    rules = [{"path": "prod/**", "signers": ["ada@example.com"]}]
    with running_daemon(play, tmp_path / "daemon"):
        first = await commit(world, ada, {f"prod/{name}": text for name, text in FILES.items()})
        await world.follow(verify={**VERIFY, "paths": rules})
        await world.wait_applied(first)
        docs = await commit(world, bob, {"README.md": "of bob"})
        await world.wait_applied(docs)
        bad = await commit(world, bob, {"prod/routes.yaml": routes(0, 100)})
        ready = await world.wait_ready("False", "VerificationFailed", bad)
        assert "prod/routes.yaml was changed by commit" in ready.message
        assert await world.weights() == (100, 0)
        await commit(world, bob, {"prod/routes.yaml": routes(100, 0)})
        good = await commit(world, ada, {"prod/routes.yaml": routes(50, 50)})
        await world.wait_applied(good)
        assert await world.weights() == (50, 50)
    await forget(world, (CONFIG_MAP, "signers"))


async def test_g30_a_tag_counts_by_its_own_signature_and_not_by_its_name(
    play: Play, world: World, tmp_path: Path
):
    ada, eve = (ssh_signer(tmp_path / "keys", f"{name}@example.com") for name in ("ada", "eve"))
    await keep(world, "signers", trust_data(ada))
    repository = world.repository

    def tag(signer: Signer, name: str, *how: str) -> None:
        sign = "--sign" if signer.options else "--no-sign"
        who = {"GIT_COMMITTER_NAME": signer.name, "GIT_COMMITTER_EMAIL": signer.email}
        work = ("git", "-C", str(repository.work), *signer.options)
        run(*work, "tag", "--force", "-m", name, sign, *how, name, **who)
        run("git", "-C", str(repository.work), "push", "--quiet", "--force", "origin", "--tags")

    with git_over_http(repository.origin.parent) as server, running_daemon(play, tmp_path / "daemon"):
        await commit(world, NOBODY, FILES)
        await to_thread.run_sync(lambda: tag(ada, "v1.0.0"))
        await world.follow(f"{server.url}/origin.git", semver="1.x", verify={**VERIFY, "mode": "tag"})
        await world.wait_applied("v1.0.0@")
        assert (await world.status()).verified_by == "tag v1.0.0"

        await commit(world, NOBODY, {"routes.yaml": routes(0, 100)})
        await to_thread.run_sync(lambda: tag(eve, "v1.1.0"))
        await world.gitmesh("sync", world.name)
        await world.wait_ready("False", "VerificationFailed", "v1.1.0")
        # The very tag of 1.0.0, signed and all, under the name of a newer version.
        old = repository.git("rev-parse", "v1.0.0")
        run("git", "-C", str(repository.origin), "update-ref", "refs/tags/v1.2.0", old)
        await world.gitmesh("sync", world.name)
        await world.wait_ready("False", "VerificationFailed", "v1.2.0")
        assert await world.weights() == (100, 0)
        signed = await commit(world, ada, {"routes.yaml": routes(20, 80)})
        await to_thread.run_sync(lambda: tag(NOBODY, "v1.3.0"))
        await world.gitmesh("sync", world.name)
        await world.wait_applied(f"v1.3.0@{signed.partition('@')[2]}")
        assert await world.weights() == (20, 80)
    await forget(world, (CONFIG_MAP, "signers"))


async def test_a_revert_is_signed_where_signatures_are_demanded_and_refused_without_a_key(
    play: Play, world: World, tmp_path: Path
):
    ada, robot = (ssh_signer(tmp_path / "keys", f"{name}@example.com") for name in ("ada", "robot"))
    await keep(world, "signers", trust_data(ada, robot))
    await keep(world, "robot", {"signing.key": robot.private.encode()}, secret=True)
    steps = policy((10, "1h"), (100, "0s")) + "  rollback: {revert: push}\n"
    author = "Robot <robot@example.com>"
    with running_daemon(play, tmp_path / "daemon"):
        first = await commit(world, ada, {**FILES, "policy.yaml": steps})
        await world.follow(verify={**VERIFY, "mode": "each"}, push="allowed", author=author)
        await world.wait_applied(first)

        async def reverted(state: RevertState) -> str:
            record = await world.rollout()
            there = record is not None and record.revert is not None and record.revert.state is state
            return record.revert.message if record and record.revert and there else ""

        await commit(world, ada, {"routes.yaml": routes(0, 100)})
        await world.wait_weights(90, 10)
        assert (await world.gitmesh("rollback", "reviews")).status == 0
        said = await until("the revert to be refused", lambda: reverted(RevertState.REFUSED))
        assert "spec.signingKeyRef" in said

        patch = {"spec": {"signingKeyRef": {"name": "robot"}}}
        await world.client.merge_patch(TRAFFIC_SOURCE, "default", world.name, patch)
        await until("the revert to be pushed", lambda: reverted(RevertState.DONE))

        async def verified() -> bool:
            return (await world.status()).verified_by == "robot@example.com"

        await until("the revert to be taken over", verified)
        await world.wait_weights(100, 0)
    await forget(world, (CONFIG_MAP, "signers"), (SECRET, "robot"))
