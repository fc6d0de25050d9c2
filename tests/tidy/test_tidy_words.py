"""What no file of the repository may hold: paths of somebody's machine, addresses of downloads, leftovers."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
THIS = Path(__file__).name
FORBIDDEN = {
    "a path of somebody's machine": r"(?<![\w.])/(?:work|root|Users)/\w+|/home/(?!gitmesh\b|git\b|user\b)\w+",
    "the address of a download": r"https?://[^\s\"']+\.(?:whl|tgz|tar\.gz|deb)\b|--(?:extra-)?index-url",
    "a leftover": r"\b(?:TODO|FIXME|XXX)\b|<{7} |>{7} ",
    "a word about how it was written": r"\b(?:chatgpt|claude|copilot|language model|coding agent)\b",
}
TEXT = {".py", ".md", ".yaml", ".yml", ".toml", ".lock", ".txt", ".json", ".sh", ""}


def tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, timeout=30
    ).stdout.decode()
    return [ROOT / name for name in listed.split("\0") if name]


def test_no_tracked_file_holds_what_it_must_not():
    found = []
    for path in tracked():
        if path.name == THIS or path.suffix not in TEXT or not path.is_file():
            continue
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            for what, pattern in FORBIDDEN.items():
                if match := re.search(pattern, line, re.IGNORECASE if "word" in what else 0):
                    found.append(f"{path.relative_to(ROOT)}:{number}: {what}: {match[0]}")
    assert found == []


def test_nothing_that_is_built_or_cached_is_tracked():
    names = [str(path.relative_to(ROOT)) for path in tracked()]
    assert [
        n for n in names if re.search(r"(^|/)(\.venv|\.tools|dist|__pycache__|\.hypothesis)/|\.pyc$", n)
    ] == []
