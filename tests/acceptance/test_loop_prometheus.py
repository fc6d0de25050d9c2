"""Promises about a Prometheus that is down: blind is neither good nor bad; then the ramp goes on."""

import shutil
import socket
import subprocess
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest
from fakes.real_loop import RULES, Play, World, guard, policy, routes, running_daemon, until

from gitmesh.model.rollout import Outcome, Phase

pytestmark = [pytest.mark.anyio, pytest.mark.real]

TOOLS = Path(__file__).parents[2] / ".tools" / "bin"


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@contextmanager
def prometheus(play: Play, directory: Path, port: int):
    """Debian's prometheus, scraping the playground's Envoy."""
    binary = shutil.which("prometheus", path=str(TOOLS)) or shutil.which("prometheus")
    assert binary, "no prometheus binary: run `make tools`"
    address, _, rest = str(play.state["metrics"]).removeprefix("http://").partition("/")
    path, _, query = rest.partition("?")
    directory.mkdir()
    (directory / "prometheus.yml").write_text(
        "global: {scrape_interval: 200ms, scrape_timeout: 200ms}\n"
        f"scrape_configs: [{{job_name: envoy, metrics_path: /{path}, params: {{{query}: ['']}},"
        f" static_configs: [{{targets: ['{address}']}}]}}]\n"
    )
    with (directory / "log").open("w") as log:
        process = subprocess.Popen(
            [
                binary,
                f"--config.file={directory / 'prometheus.yml'}",
                f"--storage.tsdb.path={directory / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=log,
        )
    try:
        yield
    finally:
        process.kill()
        process.wait()


async def test_a_ramp_holds_while_prometheus_is_down_and_goes_on_when_it_is_up(
    play: Play, world: World, tmp_path
):
    port = free_port()
    ramp = policy((20, "500ms"), (60, "500ms"), (100, "0s"), analysis=guard())
    with running_daemon(play, tmp_path / "daemon", "--prometheus", f"http://127.0.0.1:{port}"):
        revision = await world.publish(
            {"rules.yaml": RULES, "routes.yaml": routes(100, 0), "policy.yaml": ramp}
        )
        await world.follow()
        await world.wait_applied(revision)
        async with world.load():
            await world.publish({"routes.yaml": routes(0, 100)})
            await world.wait_weights(80, 20)

            async def blind_checks() -> bool:
                record = await world.rollout()
                return bool(record and record.message.startswith("blind: "))

            await until("the hold to be explained", blind_checks)
            await anyio.sleep(1.5)  # three holds long: an advance would come now
            record = await world.rollout()
            assert record is not None
            assert (record.phase, record.progress, record.failed_checks) == (Phase.PROGRESSING, 20, 0)
            assert record.verdict is not None
            assert record.verdict.outcome is Outcome.BLIND
            assert f"127.0.0.1:{port}" in record.message
            assert await world.weights() == (80, 20)
            assert "blind" in (await world.gitmesh("status")).out

            with prometheus(play, tmp_path / "prometheus", port):
                await world.wait_phase(Phase.SUCCEEDED, seconds=40)
                await world.wait_weights(0, 100)
