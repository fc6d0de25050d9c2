"""The hook that ships keeps what is broken out of a commit: through `git commit`, as people meet it."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from fakes.real_loop import clean_environment

ROOT = Path(__file__).parents[2]
(HOOK,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())

GOOD = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  http:
    - route: [{destination: {host: reviews, subset: v1}}]
"""
RULES = """\
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec: {host: reviews, subsets: [{name: v1, labels: {version: v1}}]}
"""


class Repository:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.git("init", "-q", "-b", "main")
        hook = path / ".git" / "hooks" / "pre-commit"
        command = [sys.executable, "-m", *shlex.split(HOOK["entry"]), *HOOK["args"]]
        hook.write_text(f"#!/bin/sh\nexec {shlex.join(command)}\n")
        hook.chmod(0o755)

    def git(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        identity = {
            f"GIT_{who}_{what}": value
            for who in ("AUTHOR", "COMMITTER")
            for what, value in {"NAME": "a", "EMAIL": "a@b.c"}.items()
        }
        return subprocess.run(
            ["git", "-c", "commit.gpgsign=false", *arguments],
            cwd=self.path,
            env={**clean_environment(), **identity, "GIT_CONFIG_GLOBAL": "/dev/null"},
            capture_output=True,
            text=True,
            timeout=60,
        )

    def commit(self, files: dict[str, str]) -> subprocess.CompletedProcess[str]:
        for name, text in files.items():
            (self.path / name).write_text(text)
        self.git("add", "--all")
        return self.git("commit", "-q", "-m", "change routes")

    @property
    def commits(self) -> int:
        return int(self.git("rev-list", "--count", "--all").stdout)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


def test_the_hook_is_described_as_pre_commit_wants_it():
    assert HOOK["id"] == "gitmesh-validate"
    assert (HOOK["language"], HOOK["entry"], HOOK["args"]) == ("python", "gitmesh validate", ["."])
    assert HOOK["pass_filenames"] is False, "rules about several files need all of them"
    assert HOOK["types_or"] == ["yaml", "json"]


def test_a_good_commit_passes_and_a_broken_one_does_not_happen(repository: Repository):
    assert repository.commit({"reviews.yaml": GOOD, "rules.yaml": RULES}).returncode == 0
    broken = repository.commit({"rules.yaml": RULES.replace("name: v1", "name: v2")})
    assert broken.returncode != 0
    assert repository.commits == 1
    said = broken.stdout + broken.stderr
    assert "reviews.yaml:7:53: error GM201" in said, said
    assert "Traceback" not in said


def test_with_a_reason_the_finding_is_wanted_and_the_commit_happens(repository: Repository):
    why = "    # gitmesh: ignore GM201 because the operator makes this subset\n    - route"
    ran = repository.commit({"reviews.yaml": GOOD.replace("    - route", why)})
    assert ran.returncode == 0, ran
    assert "1 suppressed" in ran.stdout + ran.stderr
