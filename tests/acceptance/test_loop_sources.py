"""Promises about sources in the whole product: Secrets that open them, versions, and rewritten history."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

import anyio
import pytest
from anyio import to_thread
from fakes.certificates import Authority, secret
from fakes.git_http import basic, git_over_http
from fakes.real_loop import RULES, Play, World, routes, running_daemon
from fakes.ssh_server import a_key, ssh_server

from gitmesh.model.kinds import SECRET, TRAFFIC_SOURCE
from gitmesh.model.source import ACCEPT_REWRITE_ANNOTATION

pytestmark = [pytest.mark.anyio, pytest.mark.real]
FILES = {"rules.yaml": RULES, "routes.yaml": routes(100, 0)}
PASSWORD = "s3cr3t-and-long"


async def keep(world: World, name: str, **content: str) -> None:
    """Write a Secret; `ca_crt` is the key ca.crt."""
    body = secret(name, "default", **{key: text for key, text in content.items() if key != "known_hosts"})
    if "known_hosts" in content:
        body["data"]["known_hosts"] = b64encode(content["known_hosts"].encode()).decode()
    await world.client.apply(SECRET, body, force=True)


def release(world: World, tag: str, files: dict[str, str | bytes | None]) -> str:
    commit = world.repository.publish(files, tag)
    world.repository.git("tag", "--force", tag)
    world.repository.git("push", "--quiet", "--force", "origin", f"refs/tags/{tag}")
    return f"{tag}@{commit[:7]}"


def holds(directory: Path, text: str) -> bool:
    return any(text.encode() in path.read_bytes() for path in directory.rglob("*") if path.is_file())


async def test_a_secret_opens_a_repository_over_https_is_changed_while_it_is_used_and_is_seen_nowhere(
    play: Play, world: World, tmp_path: Path
):
    authority = Authority()
    tls = authority.serving(authority.issue("127.0.0.1"))
    with (
        git_over_http(world.repository.origin.parent, tls) as server,
        running_daemon(play, tmp_path / "d") as daemon,
    ):
        server.logins = {basic(f"ada:{PASSWORD}")}
        await keep(world, "git", username="ada", password="wrong-one", ca_crt=authority.pem)
        revision = await world.publish(FILES)
        await world.follow(f"{server.url}/origin.git", secretRef={"name": "git"}, interval="1s")
        await world.wait_ready("False", "FetchFailed", "did not let us in")

        await keep(world, "git", username="ada", password=PASSWORD, ca_crt=authority.pem)
        await world.wait_applied(revision)

        server.logins = {basic(f"ada:{PASSWORD}-two")}
        await keep(world, "git", username="ada", password=f"{PASSWORD}-two", ca_crt=authority.pem)
        await world.wait_applied(await world.publish({"routes.yaml": routes(70, 30)}))
        assert await world.weights() == (70, 30)

        told = [e["message"] for e in await world.events(TRAFFIC_SOURCE, world.name)]
        seen = f"{daemon.log} {told} {await world.status()}"
        assert PASSWORD not in seen
        assert "wrong-one" not in seen
        assert not holds(tmp_path / "d" / "data", PASSWORD)
        daemon.stop()
        assert not list((tmp_path / "d" / "data").rglob("*.lent"))
        await world.client.delete(SECRET, "default", "git")


async def test_a_secret_opens_a_repository_over_ssh(play: Play, world: World, tmp_path: Path):
    key = await to_thread.run_sync(a_key, tmp_path)
    with ssh_server() as server, running_daemon(play, tmp_path / "d"):
        revision = await world.publish(FILES)
        url = await to_thread.run_sync(server.serve, world.repository.origin)
        await keep(world, "key", identity=key.private)
        await world.follow(url, secretRef={"name": "key"}, interval="1s")
        await world.wait_ready("False", "FetchFailed", "known_hosts is missing")
        server.let_in(key.public)
        await keep(world, "key", identity=key.private, known_hosts=server.known_hosts)
        await world.wait_applied(revision)
        await world.client.delete(SECRET, "default", "key")


async def test_the_newest_version_of_a_range_is_followed_also_by_a_new_daemon(
    play: Play, world: World, tmp_path: Path
):
    with running_daemon(play, tmp_path / "d") as daemon:
        for tag, files in (("v1.0.0", FILES), ("v2.0.0", {"routes.yaml": routes(0, 100)})):
            newest = await to_thread.run_sync(release, world, tag, files)
        await world.follow(semver="1.x", interval="1s")
        await world.wait_ready("True", about="v1.0.0@")
        assert await world.weights() == (100, 0)
        newest = await to_thread.run_sync(release, world, "v1.1.0", {"routes.yaml": routes(60, 40)})
        await world.wait_applied(newest)
        daemon.kill()
        daemon.start()
        daemon.wait_started()
        moved = await to_thread.run_sync(release, world, "v1.1.0", {"routes.yaml": routes(10, 90)})
        ready = await world.wait_ready("False", "HistoryRewritten", "tag v1.1.0 was moved")
        assert moved.partition("@")[2] in ready.message
        assert await world.weights() == (60, 40)


async def test_g17_a_rewritten_branch_is_held_healed_and_accepted_by_the_command_that_the_condition_gives(
    play: Play, world: World, tmp_path: Path
):
    with running_daemon(play, tmp_path / "d") as daemon:
        await world.publish({**FILES, "routes.yaml": routes(90, 10)})
        good = await world.publish(FILES)
        await world.follow(interval="1s")
        await world.wait_applied(good)

        def rewrite() -> None:
            world.repository.git("reset", "--quiet", "--hard", "HEAD~1")
            world.repository.write({"routes.yaml": routes(20, 80)})
            world.repository.commit("rewritten")
            world.repository.push(force=True)

        await to_thread.run_sync(rewrite)
        ready = await world.wait_ready("False", "HistoryRewritten", "does not follow from")
        daemon.kill()
        await world.kubectl("delete", "virtualservice", "reviews")
        daemon.start()
        daemon.wait_started()
        await world.wait_weights(100, 0)
        assert await world.wait_ready("False", "HistoryRewritten")

        command = ready.message.partition("kubectl ")[2].split()
        assert command[-1] == f"{ACCEPT_REWRITE_ANNOTATION}={world.repository.head}"
        await world.kubectl(*command)
        await world.wait_applied(f"main@{world.repository.head[:7]}")
        await world.wait_weights(20, 80)


async def test_a_source_that_is_deleted_leaves_no_mirror_behind(play: Play, world: World, tmp_path: Path):
    with running_daemon(play, tmp_path / "d"):
        await world.follow()
        await world.wait_applied(await world.publish(FILES))
        mirrors = tmp_path / "d" / "data" / "mirrors"
        assert list(mirrors.iterdir())
        await world.client.delete(TRAFFIC_SOURCE, "default", world.name)
        with anyio.fail_after(20):
            while list(mirrors.iterdir()):  # noqa: ASYNC110 (another process works meanwhile)
                await anyio.sleep(0.05)
