"""Promises about `gitmesh demo`: it keeps its promises, is plain when piped, and leaves nothing behind."""

import os
import pty
import re
import select
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest
from fakes.real_loop import CONTROL, children, clean_environment, gitmesh_command, is_alive, wait_until

pytestmark = pytest.mark.real

DEMO_SECONDS_MAX = 90
STOP_SECONDS_MAX = 10
SCENES = 7
ROW = re.compile(r"^\W+(ok|BROKEN)\W+(.+?)\s+\W\s+(.+?)\s+\W\s+(.+?)\s+\W$", re.MULTILINE)
STEP = re.compile(r"step (\d)/4, written v1 (\d+), v2 (\d+)")


def environment(temporary: Path) -> dict[str, str]:
    return {**clean_environment(), "TMPDIR": str(temporary), "TERM": "xterm-256color"}


class Family:
    """Collects every process that a demo ever starts."""

    def __init__(self, pid: int) -> None:
        self.seen: dict[int, str] = {}
        self._pid = pid
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def _look(self) -> None:
        while not self._over.wait(0.3):
            self.seen.update(children(self._pid))

    def left(self) -> dict[int, str]:
        """Return who is still there, after a moment to go."""
        self._over.set()
        self._thread.join()
        assert any("envoy" in command for command in self.seen.values()), "the measurement itself is broken"
        end = time.monotonic() + 5
        while (left := self._alive()) and time.monotonic() < end:
            time.sleep(0.05)  # noqa: TID251 (other processes end meanwhile)
        return left

    def _alive(self) -> dict[int, str]:
        return {pid: command for pid, command in self.seen.items() if is_alive(pid)}


def test_the_demo_keeps_its_promises_in_plain_lines_and_leaves_nothing_behind(tmp_path):
    began = time.monotonic()
    process = subprocess.Popen(
        gitmesh_command("demo"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(tmp_path)
    )
    family = Family(process.pid)
    out, err = (stream.decode() for stream in process.communicate(timeout=DEMO_SECONDS_MAX))
    took = time.monotonic() - began
    assert process.returncode == 0, out + err
    assert err == ""
    assert took < DEMO_SECONDS_MAX
    assert not CONTROL.search(out), "control characters in what is piped"
    assert out.count("\n== ") == SCENES

    rows = ROW.findall(out)
    assert len(rows) >= 9, out
    assert {mark for mark, *_ in rows} == {"ok"}
    told = {what for _, what, _, _ in rows}
    for promise in (
        "push to first request on v2",
        "measured share follows the written weight",
        "requests lost in the ramp",
        "first error to last request on v2",
        "drift is healed",
        "a broken commit changes nothing",
        "the error's place",
    ):
        assert promise in told, told
    place = next(measured for _, what, _, measured in rows if what == "the error's place")
    assert re.fullmatch(r"manifests/\S+\.yaml:\d+:\d+", place)

    steps = [(int(step), int(v1), int(v2)) for step, v1, v2 in STEP.findall(out)]
    assert {(1, 90, 10), (2, 75, 25), (3, 50, 50), (4, 0, 100)} <= set(steps)
    assert re.search(r"measured v2 \d+\.\d %, errors \d+\.\d %, next in \d\.\d s", out)
    assert re.search(r"rolled back: [\d.]+ % errors, limit 3 % \(\d+ of \d+ requests ", out)
    assert family.left() == {}
    assert list(tmp_path.iterdir()) == []


def test_on_a_terminal_it_is_a_live_display_and_ctrl_c_stops_everything(tmp_path):
    primary, secondary = pty.openpty()
    process = subprocess.Popen(
        gitmesh_command("demo"),
        stdin=secondary,
        stdout=secondary,
        stderr=secondary,
        env=environment(tmp_path),
        start_new_session=True,
        preexec_fn=lambda: os.tcsetpgrp(_controlling(secondary), os.getpgrp()),
    )
    os.close(secondary)
    family = Family(process.pid)
    try:
        seen = read_until(primary, re.compile(rb"Progressing.*measured.*v2 .*\d\.\d %", re.DOTALL))
        assert b"\x1b[" in seen, "colours and a display that moves"
        os.write(primary, b"\x03")
        rest = read_until(primary, re.compile(rb"stopped"))
        began = time.monotonic()
        assert process.wait(STOP_SECONDS_MAX) == 130
        assert time.monotonic() - began < STOP_SECONDS_MAX
        assert b"Traceback" not in seen + rest
        assert (seen + rest).rfind(b"\x1b[?25h") > (seen + rest).rfind(b"\x1b[?25l"), "the cursor is back"
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        left = family.left()
        os.close(primary)
    assert left == {}
    assert list(tmp_path.iterdir()) == []


def _controlling(terminal: int) -> int:
    """Make the terminal that of this session, so that Ctrl-C is a signal. Runs after the fork."""
    import fcntl
    import termios

    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    return terminal


def read_until(terminal: int, wanted: re.Pattern[bytes], seconds: float = 60) -> bytes:
    seen = b""
    end = time.monotonic() + seconds
    while not wanted.search(seen):
        assert time.monotonic() < end, f"waited {seconds:g} s for {wanted.pattern!r}: {seen[-2000:]!r}"
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                seen += os.read(terminal, 65536)
            except OSError:  # the other end is closed
                assert wanted.search(seen), seen[-2000:]
    return seen


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGHUP])
def test_any_signal_to_end_stops_it_too_also_before_it_is_up(tmp_path, signal_number):
    process = subprocess.Popen(
        gitmesh_command("demo"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(tmp_path)
    )
    assert process.stdout is not None
    family = Family(process.pid)
    wait_until(
        "a pod", lambda: any("--pod reviews-v2" in command for command in children(process.pid).values())
    )
    family.seen.update(children(process.pid))
    process.send_signal(signal_number)
    _, err = process.communicate(timeout=STOP_SECONDS_MAX)
    assert (process.returncode, err) == (130, b"stopped\n")
    assert family.left() == {}
    assert list(tmp_path.iterdir()) == []
