"""Put the real parts that tests use into a directory: Debian's kubectl, prometheus and sshd, without root.

Run as `python tests/tools.py DIRECTORY`; `make tools` does. Quick when everything is there already.
"""

# ruff: noqa: T201 (a command: it tells what it did)
from __future__ import annotations

import os
import re
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
# What most systems have, and is put in place where they do not. It brings libraries along: each program gets
# a small script.
SIGNING = {"gpg": "gpg", "gpg-agent": "gpg-agent", "gpgconf": "gpgconf"}
ADVICE = (
    "install them yourself, for example: sudo apt-get install kubernetes-client prometheus "
    "openssh-server openssh-client libnss-wrapper git gpg gpg-agent"
)
TIMEOUT_SECONDS = 300
APT: list[str] = []  # further options of apt-get


class ToolsError(Exception):
    """A tool cannot be put in place; the text says why and what to do."""


def main(directory: Path) -> int:
    """Install what is missing; return the exit status."""
    try:
        missing = [name for name in PACKAGES if not _runs(directory / "bin" / name)]
        libraries = [name for name in LIBRARIES if not (directory / "lib" / name).exists()]
        if missing or libraries:
            _install(directory, missing, libraries)
        without = [name for name in SIGNING if not find(directory, name)]
        if without:
            _install_with_libraries(directory, without)
        _check_git()
        _check_ssh()
    except ToolsError as error:
        elsewhere = [name for name in (*PACKAGES, *SIGNING) if not find(directory, name)]
        elsewhere += [name for name in LIBRARIES if not find_library(directory, name)]
        if not elsewhere and not os.environ.get("CI"):
            print(f"note: {error}\nnote: using those that are on PATH")
            return 0
        print(f"error: {error}\n{ADVICE}", file=sys.stderr)
        return 1
    print(f"tools: {', '.join(str(find(directory, name)) for name in (*PACKAGES, *SIGNING))}")
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


def _install_with_libraries(directory: Path, names: list[str]) -> None:
    """Unpack programs with the packages that they need and the system lacks, side by side in one folder."""
    for program in ("apt-get", "dpkg-deb"):
        if not shutil.which(program):
            raise ToolsError(f"{program} is not there: this is no Debian or Ubuntu")
    wanted = [SIGNING[name] for name in names]
    root = (directory / "root").resolve()
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as text:
        place = Path(text)
        missing = _missing(wanted)
        if not missing or not _download(place, missing):
            raise ToolsError(f"apt-get cannot download {' '.join(wanted)}; try: sudo apt-get update")
        for archive in place.glob("*.deb"):
            _run(["dpkg-deb", "-x", str(archive), str(root)], place)
    libraries = sorted({str(path.parent) for path in root.rglob("lib*.so*")})
    (directory / "bin").mkdir(parents=True, exist_ok=True)
    for name in names:
        unpacked = root / "usr/bin" / name
        if not unpacked.exists():
            raise ToolsError(f"the package {SIGNING[name]} of this system holds no {name}")
        # gpg looks for its agent where the package would have put it.
        agent = f" --agent-program '{directory.resolve() / 'bin/gpg-agent'}'" if name == "gpg" else ""
        staged = directory / "bin" / f".{name}.{os.getpid()}"
        staged.write_text(
            f"#!/bin/sh\nexport LD_LIBRARY_PATH='{':'.join(libraries)}'\nexec '{unpacked}'{agent} \"$@\"\n"
        )
        staged.chmod(0o755)
        staged.replace(directory / "bin" / name)


def _missing(packages: list[str]) -> list[str]:
    """Return the packages that an installation would bring, dependencies included."""
    command = ["apt-get", "install", "--simulate", "--quiet", "--no-install-recommends", *APT, *packages]
    for attempt in range(2):
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS)
        found = re.findall(r"^Inst (\S+)", done.stdout, re.MULTILINE)
        if found or attempt or os.geteuid() or not _run(["apt-get", "update", "-q"], Path.cwd()):
            return found
    return []


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
