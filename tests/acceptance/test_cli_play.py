"""Promises about what `gitmesh play` tells a newcomer: each line that it prints can be typed and works."""

import re
import shlex
import urllib.error
import urllib.request
from itertools import pairwise

import pytest
from fakes.real_loop import CONTROL, Play, wait_until

pytestmark = pytest.mark.real


def as_curl(*arguments: str) -> str:
    """Do what curl would with these arguments, for a machine that has none."""
    *options, url = arguments
    headers = [value.split(": ", 1) for option, value in pairwise(options) if option == "-H"]
    request = urllib.request.Request(url, headers=dict(headers))
    proxies = [("http", value) for option, value in pairwise(options) if option == "--proxy"]
    opener = urllib.request.build_opener(urllib.request.ProxyHandler(dict(proxies)))
    try:
        with opener.open(request, timeout=20) as answer:
            return f"{answer.status}\n{answer.read().decode()}"
    except urllib.error.HTTPError as error:
        return f"{error.code}\n"


def test_every_line_that_play_suggests_works(play: Play, tmp_path):
    told = play.directory.parent / f"{play.directory.name}.log"
    text = wait_until("the welcome", lambda: (t := told.read_text()) and "gitmesh status" in t and t)
    assert not CONTROL.search(text), "plain lines when piped"
    for name in ("API server", "kubeconfig", "mesh", "gateway", "probe", "metrics", "logs"):
        assert re.search(rf"^  {name} +\S+", text, re.MULTILINE), name
    kubectl = play.kubectl(tmp_path)
    said = {}
    for line in text.splitlines():
        if line.startswith("  kubectl "):
            said[line] = kubectl.ok(*shlex.split(line)[1:])
        elif line.startswith("  curl "):
            said[line] = as_curl(*shlex.split(line, comments=True)[1:])
        elif line.startswith("  gitmesh explain "):
            command, *rest = shlex.split(line)[1:]
            ran = play.gitmesh(command, *(word for word in rest if word != "--playground"))
            said[line] = f"{200 if ran.status == 0 else ran.status}\n{ran.all}"
    assert all(
        out.startswith("200\n") for line, out in said.items() if "reviews" in line and "kubectl" not in line
    ), said
    annotate = next(line for line in said if "annotate" in line)
    kubectl.ok("annotate", "pod", "reviews-v2", f"{shlex.split(annotate)[4].partition('=')[0]}-")
    assert len(said) == 6, said
    pods = next(out for line, out in said.items() if "get pods" in line)
    assert {"pod/reviews-v1", "pod/reviews-v2", "service/reviews"} <= set(
        re.findall(r"^\S+", pods, re.MULTILINE)
    )
    assert "404" in next(out for line, out in said.items() if "curl -i" in line), "no Gateway yet"
    assert "annotated" in said[annotate]
    status = re.search(r"^  gitmesh (status .*) --watch$", text, re.MULTILINE)
    assert status is not None
    command, *options = shlex.split(status[1])
    ran = play.gitmesh(command, *(o for o in options if o == "--playground"))
    assert (ran.status, ran.out) == (
        0,
        "no TrafficSource yet: gitmesh run --repo URL creates one, or kubectl apply does\n",
    )
