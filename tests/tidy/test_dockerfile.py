"""What can be said about the Dockerfile without an engine to build it."""

from __future__ import annotations

import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def instructions() -> list[tuple[str, str]]:
    """Every instruction with its arguments, continuation lines joined, comments dropped."""
    lines = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    words = [line.split(maxsplit=1) for line in joined.splitlines() if line.strip()]
    return [(word[0].upper(), " ".join(word[1].split())) for word in words]


def stages() -> list[list[tuple[str, str]]]:
    found: list[list[tuple[str, str]]] = []
    for instruction in instructions():
        if instruction[0] == "FROM":
            found.append([])
        found[-1].append(instruction)
    return found


def ignored(name: str) -> bool:
    """Whether .dockerignore keeps a top-level name out: last rule wins."""
    result = False
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if line in ("*", name):
            result = True
        elif line == f"!{name}":
            result = False
    return result


def test_the_image_is_built_in_two_stages_from_pinned_tags():
    build, runtime = stages()
    for stage in (build, runtime):
        image, _, name = stage[0][1].partition(" AS ")
        repository, _, tag = image.partition(":")
        assert (repository, name != "") == ("python", True)
        assert re.fullmatch(r"3\.\d+-slim", tag), f"{image} is not pinned to a version"
    assert build[0][1].partition(" ")[0] == runtime[0][1].partition(" ")[0], (
        "a virtual environment works only on the Python that made it"
    )


def test_python_packages_come_from_the_lock_with_hashes():
    runs = [text for word, text in instructions() if word == "RUN"]
    installs = [part.strip() for text in runs for part in text.split("&&") if "pip install" in part]
    assert installs == [
        "pip install --require-hashes -r requirements.lock",
        "pip install --no-deps --no-build-isolation .",
    ]


def test_what_is_uninstalled_is_in_the_lock():
    lock = (ROOT / "requirements.lock").read_text()
    (names,) = re.findall(r"pip uninstall --yes (.+?) && pip check", " ".join(t for _, t in instructions()))
    assert [name for name in names.split() if not re.search(rf"^{re.escape(name)}==", lock, re.M)] == []


def test_the_final_stage_has_git_and_nothing_that_builds():
    _, runtime = stages()
    text = " ".join(arguments for word, arguments in runtime if word == "RUN")
    assert re.search(r"apt-get install .*\bgit\b.*\bgpg\b.*\bopenssh-client\b", text)
    assert "--no-install-recommends" in text
    assert not re.search(r"\bpip\b|\bgcc\b|build-essential|\bmake\b|-dev\b", text)
    copies = [arguments for word, arguments in runtime if word == "COPY"]
    assert copies == ["--from=build /opt/gitmesh /opt/gitmesh"]


def test_the_daemon_does_not_run_as_root():
    _, runtime = stages()
    words = [word for word, _ in runtime]
    assert dict(runtime)["USER"] == "65532:65532"
    assert words.index("USER") > max(i for i, word in enumerate(words) if word in ("RUN", "COPY"))
    assert "--uid 65532" in dict(runtime)["RUN"]


def test_the_entry_point_is_the_command_and_the_default_is_the_daemon():
    _, runtime = stages()
    assert json.loads(dict(runtime)["ENTRYPOINT"]) == ["gitmesh"]
    assert json.loads(dict(runtime)["CMD"]) == ["run"]


def test_everything_that_is_copied_exists_and_is_not_ignored():
    sources = [
        source
        for word, arguments in instructions()
        if word == "COPY" and "--from" not in arguments
        for source in arguments.split()[:-1]
    ]
    assert sources
    assert [s for s in sources if not (ROOT / s).exists() or ignored(s)] == []
    assert ignored(".git")
    assert ignored(".venv")
    assert ignored("tests")


def test_build_sees_every_file_that_pyproject_names():
    pyproject = (ROOT / "pyproject.toml").read_text()
    for name in re.findall(r'"?(README\.md|LICENSE)"?', pyproject):
        assert not ignored(name)
