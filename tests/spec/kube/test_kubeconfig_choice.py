"""Which kubeconfig counts, and what is said about one that cannot be used."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from gitmesh.kube.connect import connect
from gitmesh.kube.errors import ClusterError
from gitmesh.kube.kubeconfig import choose

GOOD = """
current-context: one
contexts:
  - {name: one, context: {cluster: c, user: u}}
  - {name: two, context: {cluster: missing, user: u}}
  - {name: three, context: {cluster: c, user: missing}}
  - {name: four, context: {cluster: bare, user: u}}
clusters:
  - {name: c, cluster: {server: "http://127.0.0.1:1"}}
  - {name: bare, cluster: {}}
users:
  - {name: u, user: {token: SECRET}}
"""


def written(tmp_path: Path, text: str, name: str = "config") -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def test_the_path_that_is_given_wins_over_the_environment(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD)
    chosen = choose(path, "", {"KUBECONFIG": "/nowhere"})
    assert (chosen.files, chosen.context, chosen.user_name) == (str(path), "one", "u")


def test_the_environment_may_name_several_files(tmp_path: Path) -> None:
    clusters = written(tmp_path, GOOD)
    context = written(tmp_path, "current-context: three", "second")
    users = written(tmp_path, "users: [{name: missing, user: {tokenFile: t}}]", "third")
    chosen = choose(None, "", {"KUBECONFIG": f"{clusters}:{tmp_path}/absent:{context}:{users}"})
    assert chosen.context == "three"
    assert chosen.token_file == str(tmp_path / "t")


@pytest.mark.parametrize(
    ("text", "context", "told"),
    [
        (GOOD, "nowhere", "no context named 'nowhere' \\(there is: one, two, three, four\\)"),
        (GOOD, "two", "no cluster named 'missing'"),
        (GOOD, "three", "no user named 'missing'"),
        (GOOD, "four", "'bare' has no server"),
        ("token: SECRET\n  bad: [", "", "not valid YAML at line 2"),
        ("- SECRET", "", "holds no mapping"),
        ("{}", "", "names no current-context"),
        ("contexts: {a: SECRET}", "a", "no context named 'a'"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_without_quoting_it(
    tmp_path: Path, text: str, context: str, told: str
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ClusterError, match=told) as caught:
        choose(path, context, {})
    assert str(path) in str(caught.value)
    assert "SECRET" not in str(caught.value)
    assert not caught.value.retryable


def test_a_missing_file_is_named() -> None:
    with pytest.raises(ClusterError, match="/nowhere/config: there is no such file"):
        choose(Path("/nowhere/config"), "", {})


def test_the_official_client_is_imported_only_when_somebody_connects() -> None:
    check = (
        "import sys, gitmesh.kube.protocol, gitmesh.kube.connect, gitmesh.observe.live\n"
        "assert 'kubernetes' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.anyio
async def test_a_pod_without_a_token_is_told_so() -> None:
    env = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": "1"}
    with pytest.raises(ClusterError, match=r"inside a Pod.*token"):
        await connect(None, timeout=timedelta(seconds=1), environ=env)
