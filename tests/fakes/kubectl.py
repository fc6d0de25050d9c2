"""Every kubectl that can be found, run against one server with a home directory of its own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[2] / ".tools"
RUN_SECONDS = 30


@cache
def kubectls() -> dict[str, str]:
    """Return version -> path of each kubectl: the one of `make tools` and the one on PATH, if they differ."""
    found = {}
    for path in (str(TOOLS / "bin" / "kubectl"), shutil.which("kubectl")):
        if not path or not Path(path).exists():
            continue
        told = subprocess.run(
            [path, "version", "--client", "-o", "json"], capture_output=True, text=True, timeout=RUN_SECONDS
        ).stdout
        version = re.search(r'"gitVersion": "([^"]+)"', told)
        found.setdefault(version[1] if version else path, path)
    return found


def each_kubectl() -> pytest.MarkDecorator:
    """Run a test once with every kubectl. With none at all the test fails, and says what to do."""
    return pytest.mark.parametrize(
        "binary", list(kubectls().values()) or [""], ids=list(kubectls()) or ["missing"]
    )


@dataclass(frozen=True)
class Ran:
    """What a command answered."""

    status: int
    out: str
    err: str

    @property
    def all(self) -> str:
        return self.out + self.err


@dataclass(frozen=True)
class Kubectl:
    """One kubectl with one kubeconfig; `namespace` is where it works."""

    binary: str
    kubeconfig: Path
    home: Path
    namespace: str = "default"

    def __post_init__(self) -> None:
        assert self.binary, "no kubectl found: run `make tools`"

    @property
    def environment(self) -> dict[str, str]:
        # A cache of an earlier server on the same port would lie; each server gets its own.
        home = {"HOME": str(self.home), "KUBECONFIG": str(self.kubeconfig)}
        return {**os.environ, **home, "KUBECTL_EXTERNAL_DIFF": "diff -u", "TZ": "UTC"}

    def command(self, *arguments: str) -> list[str]:
        return [self.binary, "--namespace", self.namespace, *arguments]

    def run(self, *arguments: str, text: str = "", **environment: str) -> Ran:
        """Run a command; `text` goes to its standard input."""
        done = subprocess.run(
            self.command(*arguments),
            input=text,
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS,
            env={**self.environment, **environment},
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def ok(self, *arguments: str, text: str = "", **environment: str) -> str:
        """Run a command that must succeed; return what it printed."""
        ran = self.run(*arguments, text=text, **environment)
        assert ran.status == 0, f"kubectl {' '.join(arguments)} ended with {ran.status}: {ran.all}"
        return ran.out

    def fails(self, *arguments: str, text: str = "", **environment: str) -> str:
        """Run a command that must not succeed; return all that it printed."""
        ran = self.run(*arguments, text=text, **environment)
        assert ran.status != 0, f"kubectl {' '.join(arguments)} succeeded: {ran.all}"
        return ran.all

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command that goes on, such as `get --watch`."""
        return subprocess.Popen(
            self.command(*arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self.environment,
        )
