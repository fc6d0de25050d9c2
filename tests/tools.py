"""Put the real parts that tests use into a directory: Debian's kubectl, prometheus and sshd, without root.

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
PACKAGES = {
    "kubectl": "kubernetes-client",
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "sshd": "openssh-server",
}
# What sshd needs beside it: a library that it is linked with, and one that gives it users of its own.
LIBRARIES = {"libwrap.so.0": "libwrap0", "libnss_wrapper.so": "libnss-wrapper"}
ADVICE = (
    "install them yourself, for example: sudo apt-get install kubernetes-client prometheus "
    "openssh-server openssh-client libnss-wrapper git"
)
TIMEOUT_SECONDS = 300


class ToolsError(Exception):
    """A tool cannot be put in place; the text says why and what to do."""


def main(directory: Path) -> int:
    """Install what is missing; return the exit status."""
    try:
        missing = [name for name in PACKAGES if not _runs(directory / "bin" / name)]
        libraries = [name for name in LIBRARIES if not (directory / "lib" / name).exists()]
        if missing or libraries:
            _install(directory, missing, libraries)
        _check_git()
        _check_ssh()
    except ToolsError as error:
        elsewhere = [name for name in PACKAGES if not find(directory, name)]
        elsewhere += [name for name in LIBRARIES if not find_library(directory, name)]
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
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    return Path(found) if found else None


def find_library(directory: Path, name: str) -> Path | None:
    """Return a library from the directory, else from the system."""
    own = directory / "lib" / name
    places = [own, *Path("/usr/lib").glob(name), *Path("/usr/lib").glob(f"*/{name}")]
    return next((place for place in places if place.exists()), None)


def _runs(program: Path) -> bool:
    if not program.exists():
        return False
    if program.name == "sshd":  # it tells its version with how to use it, and fails
        environment = {"LD_LIBRARY_PATH": str(program.parents[1] / "lib")}
        done = subprocess.run([program, "-?"], env=environment, capture_output=True, timeout=30)
        return b"OpenSSH" in done.stderr
    flag = "--version" if program.name != "kubectl" else "version"
    arguments = [str(program), flag, *(["--client"] if program.name == "kubectl" else [])]
    return subprocess.run(arguments, capture_output=True, timeout=30).returncode == 0


def _install(directory: Path, names: list[str], libraries: list[str]) -> None:
    for program in ("apt-get", "dpkg-deb"):
        if not shutil.which(program):
            raise ToolsError(f"{program} is not there: this is no Debian or Ubuntu")
    packages = sorted({PACKAGES[name] for name in names} | {LIBRARIES[name] for name in libraries})
    with tempfile.TemporaryDirectory() as text:
        place = Path(text)
        if not _download(place, packages):
            raise ToolsError(f"apt-get cannot download {' '.join(packages)}; try: sudo apt-get update")
        for archive in place.glob("*.deb"):
            _run(["dpkg-deb", "-x", str(archive), str(place / "root")], place)
        for name in names:
            _put(place, ("usr/bin", "usr/sbin"), name, PACKAGES[name], directory / "bin")
        for name in libraries:
            _put(place, ("usr/lib", "usr/lib/*", "lib/*"), name, LIBRARIES[name], directory / "lib")


def _put(place: Path, folders: tuple[str, ...], name: str, package: str, directory: Path) -> None:
    unpacked = [path for folder in folders for path in (place / "root").glob(f"{folder}/{name}")]
    if not unpacked:
        raise ToolsError(f"the package {package} of this system holds no {name}")
    directory.mkdir(parents=True, exist_ok=True)
    # Copied beside its place first: a test that runs already never sees half a program.
    staged = directory / f".{name}.{os.getpid()}"
    shutil.copy2(unpacked[0], staged)
    staged.replace(directory / name)


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


def _check_ssh() -> None:
    for name in ("ssh", "ssh-keygen"):
        if not shutil.which(name):
            raise ToolsError(f"{name} is not there; install it: sudo apt-get install openssh-client")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python tests/tools.py DIRECTORY")
    sys.exit(main(Path(sys.argv[1])))
