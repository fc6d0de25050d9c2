"""`gitmesh play --repo` follows a working copy: what is saved is live at once, unless it is wrong."""

from __future__ import annotations

import json
import re
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from fakes.real_loop import RULES, Play, routes, running_play, wait_until

pytestmark = pytest.mark.real

FOLLOWED_SECONDS_MAX = 0.3
SAVES = 9
DETAILS = """\
apiVersion: v1
kind: Service
metadata: {name: details}
spec: {selector: {app: details}, ports: [{name: http, port: 9080, targetPort: 9080}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: details-v1}
spec:
  selector: {matchLabels: {app: details}}
  template:
    metadata: {labels: {app: details, version: v1}}
    spec: {containers: [{name: details, image: example, ports: [{containerPort: 9080}]}]}
"""
TO_DETAILS = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: details}
spec: {hosts: [details], http: [{route: [{destination: {host: details}}]}]}
"""


@dataclass
class Copy:
    """A working copy that a playground follows."""

    folder: Path
    play: Play
    log: Path

    def save(self, name: str, text: str) -> float:
        """Write a file as editors do, and return when."""
        new = self.folder / f".{name}.swp"
        new.write_text(text)
        began = time.monotonic()
        new.replace(self.folder / name)
        return began

    def ask(self, host: str = "reviews") -> str:
        """Return the version that answers a request, or its status."""
        url = f"{self.play.mesh.url}/{host}"
        request = urllib.request.Request(url, headers={"Host": f"{host}:9080", "Connection": "close"})
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return json.load(answer)["version"]
        except urllib.error.HTTPError as error:
            return str(error.code)

    def told(self) -> str:
        return self.log.read_text()

    def wait_told(self, words: str, since: int = 0) -> str:
        return wait_until(words, lambda: words in (t := self.told()[since:]) and t)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Copy]:
    base = tmp_path_factory.mktemp("preview")
    folder = base / "copy"
    folder.mkdir()
    (folder / "rules.yaml").write_text(RULES)
    (folder / "routes.yaml").write_text(routes(100, 0))
    with running_play(base / "play", "--repo", str(folder), "--memory") as play:
        found = Copy(folder, play, base / "play.log")
        found.wait_told("+ VirtualService default/reviews")
        wait_until("v1", lambda: found.ask() == "v1")
        yield found


def test_a_saved_file_is_followed_within_300_milliseconds(copy: Copy):
    took = []
    for number in range(SAVES):
        v1 = 100 * (number % 2)
        began = copy.save("routes.yaml", routes(v1, 100 - v1))
        wanted = "v1" if v1 else "v2"
        wait_until(wanted, lambda wanted=wanted: copy.ask() == wanted)
        took.append(time.monotonic() - began)
    assert sorted(took)[SAVES // 2] < FOLLOWED_SECONDS_MAX, [f"{1000 * t:.0f} ms" for t in took]
    copy.wait_told("    spec.http[0].route[0].weight: 100 -> 0")
    ran = copy.play.gitmesh("explain", "http://reviews:9080/reviews")
    assert (ran.status, "v2" in ran.out) == (0, True), ran.all


def test_what_is_wrong_is_shown_and_the_last_good_state_stays(copy: Copy):
    copy.save("routes.yaml", routes(100, 0))
    wait_until("v1", lambda: copy.ask() == "v1")
    since = len(copy.told())
    copy.save("routes.yaml", routes(0, 100).replace("subset: v2", "subset: v3"))
    text = copy.wait_told("not live: the last good state stays", since)
    assert re.search(r"routes\.yaml:11:\d+: error GM201", text)
    assert copy.ask() == "v1"
    since = len(copy.told())
    copy.save("routes.yaml", routes(0, 100))
    copy.wait_told("~ VirtualService default/reviews", since)
    wait_until("v2", lambda: copy.ask() == "v2")


def test_a_failing_route_test_keeps_a_state_from_being_live(copy: Copy):
    copy.save("routes.yaml", routes(100, 0))
    wait_until("v1", lambda: copy.ask() == "v1")
    copy.save(
        "tests.yaml",
        "apiVersion: gitmesh.dev/v1alpha1\nkind: RouteTest\nmetadata: {name: ours}\nspec:\n  cases:\n"
        "    - {request: 'http://reviews:9080/', expect: {mustNotReach: [{host: reviews, subset: v2}]}}\n",
    )
    since = len(copy.told())
    copy.save("routes.yaml", routes(50, 50))
    assert "tests.yaml:6:7: error GM350" in copy.wait_told("not live", since)
    assert copy.ask() == "v1"
    (copy.folder / "tests.yaml").unlink()
    copy.wait_told("~ VirtualService default/reviews", since)


def test_a_deployment_of_the_copy_runs_and_what_lacks_one_is_told(copy: Copy):
    since = len(copy.told())
    copy.save("details.yaml", TO_DETAILS)
    copy.wait_told("hint: details of namespace default gets requests, and there is no such Service", since)
    copy.save("workloads.yaml", DETAILS)
    wait_until("details", lambda: copy.ask("details") == "v1")
    since = len(copy.told())
    for name in ("details.yaml", "workloads.yaml"):
        (copy.folder / name).unlink()
    text = copy.wait_told("- Service default/details", since)
    copy.wait_told("- Pod default/details-v1", since)
    assert "- VirtualService default/details" in text
