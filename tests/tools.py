"""Put the real parts that tests use into a directory: Debian's kubectl and prometheus, without root.

Run as `python tests/tools.py DIRECTORY`; `make tools` does. Quick when everything is there already.
"""

# ruff: noqa: T201 (a command: it tells what it did)
from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

# program -> the Debian package that holds it
PACKAGES = {"kubectl": "kubernetes-client", "prometheus": "prometheus"}
ADVICE = "install them yourself, for example: sudo apt-get install kubernetes-client prometheus git"
TIMEOUT_SECONDS = 300


class ToolsError(Exception):
    """A tool cannot be put in place; the text says why and what to do."""


def main(directory: Path) -> int:
    """Install what is missing; return the exit status."""
    try:
        missing = [name for name in PACKAGES if not _runs(directory / "bin" / name)]
        if missing:
            _install(directory, missing)
        _check_git()
    except ToolsError as error:
        elsewhere = [name for name in PACKAGES if not find(directory, name)]
        if not elsewhere and not os.environ.get("CI"):
            print(f"note: {error}\nnote: using those that are on PATH")
            return 0
        print(f"error: {error}\n{ADVICE}", file=sys.stderr)
        return 1
    print(f"tools: {', '.join(str(directory / 'bin' / name) for name in PACKAGES)}")
    return 0


def find(directory: Path, name: str) -> Path | None:
    """Return a tool from the directory, else from PATH."""
    own = directory / "bin" / name
    if own.exists():
        return own
    found = shutil.which(name)
    return Path(found) if found else None


def _runs(program: Path) -> bool:
    if not program.exists():
        return False
    flag = "--version" if program.name != "kubectl" else "version"
    arguments = [str(program), flag, *(["--client"] if program.name == "kubectl" else [])]
    return subprocess.run(arguments, capture_output=True, timeout=30).returncode == 0


def _install(directory: Path, names: list[str]) -> None:
    for program in ("apt-get", "dpkg-deb"):
        if not shutil.which(program):
            raise ToolsError(f"{program} is not there: this is no Debian or Ubuntu")
    packages = [PACKAGES[name] for name in names]
    with tempfile.TemporaryDirectory() as text:
        place = Path(text)
        if not _download(place, packages):
            raise ToolsError(f"apt-get cannot download {' '.join(packages)}; try: sudo apt-get update")
        for archive in place.glob("*.deb"):
            _run(["dpkg-deb", "-x", str(archive), str(place / "root")], place)
        (directory / "bin").mkdir(parents=True, exist_ok=True)
        for name in names:
            unpacked = place / "root/usr/bin" / name
            if not unpacked.exists():
                raise ToolsError(f"the package {PACKAGES[name]} of this system holds no {name}")
            # Copied beside its place first: a test that runs already never sees half a program.
            staged = directory / "bin" / f".{name}.{os.getpid()}"
            shutil.copy2(unpacked, staged)
            staged.replace(directory / "bin" / name)


def _download(place: Path, packages: list[str]) -> bool:
    command = ["apt-get", "download", "-q", *packages]
    if _run(command, place):
        return True
    # The lists of packages are often left out of container images; only root may fetch them.
    return os.geteuid() == 0 and _run(["apt-get", "update", "-q"], place) and _run(command, place)


def _run(command: list[str], place: Path) -> bool:
    try:
        done = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        return False
    if done.returncode and os.environ.get("CI"):
        print(done.stderr, file=sys.stderr)
    return done.returncode == 0


def _check_git() -> None:
    if not shutil.which("git"):
        raise ToolsError("git is not there; install it: sudo apt-get install git")
    where = subprocess.run(["git", "--exec-path"], capture_output=True, text=True).stdout.strip()
    if not (Path(where) / "git-http-backend").exists():
        raise ToolsError(
            f"git has no http-backend in {where}; install the whole of git: sudo apt-get install git"
        )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python tests/tools.py DIRECTORY")
    sys.exit(main(Path(sys.argv[1])))
