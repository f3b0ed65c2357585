# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker as a child process, with small scripts in its place: greeting, end, and what it inherits."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from footfall.addon.wire.errors import WorkerFailedToStart, WorkerNotInstalled
from footfall.addon.wire.handshake import WorkerAddress, WorkerSettings, parse
from footfall.addon.worker.process import WorkerLaunch, WorkerProcess, describe_exit, tail
from footfall.tests.fakes.peer import gone, wait_until

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
ADDRESS = WorkerAddress(endpoint="tcp://127.0.0.1:5555", pid=1, major=1, minor=0, version="1")


class Starter:
    """Starts scripts as workers, and ends them all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started: list[WorkerProcess] = []

    def settings(self, key: str) -> WorkerSettings:
        return WorkerSettings(
            key=key, parent_pid=os.getpid(), models_dir="", log_dir=str(self.folder / "logs of 'a' worker")
        )

    def launch(self, code: str, name: str = "worker.py", **options: Any) -> WorkerLaunch:
        script = self.folder / name
        script.parent.mkdir(parents=True, exist_ok=True)
        script.write_text(code, encoding="utf-8")
        options.setdefault("python", Path(sys.executable))
        return WorkerLaunch(script=script, settings=self.settings, **options)

    def start(self, code: str, **options: Any) -> WorkerProcess:
        process = WorkerProcess(self.launch(code, **options))
        self.started.append(process)
        return process

    def close(self) -> None:
        for process in self.started:
            process.kill()
            wait_until(lambda process=process: process.poll(time.monotonic()) is not None)
            process.close()


@pytest.fixture
def starter(tmp_path: Path) -> Iterator[Starter]:
    made = Starter(tmp_path)
    yield made
    made.close()


def ended(process: WorkerProcess) -> int:
    code: int = wait_until(lambda: (process.poll(time.monotonic()) is not None) and [process.poll(0.0)])[0]
    return code


GREET = f"import sys\nline = sys.stdin.readline()\nprint({ADDRESS.line().decode().strip()!r}, flush=True)\n"
STAY = "sys.stdin.read()\n"


def test_a_home_that_cannot_be_written_costs_the_log_and_no_more(
    starter: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr("footfall.addon.worker.process.tempfile.TemporaryFile", refuse)
    Path(starter.settings("").log_dir).write_text("a file where the folder should be")
    process = starter.start("import os, sys\nprint('hello', file=sys.stderr)\n" + GREET + STAY)
    assert wait_until(process.read_address) == ADDRESS
    process.kill()
    ended(process)
    assert process.said() == ""


def test_it_greets_and_tells_its_address(starter: Starter) -> None:
    process = starter.start(GREET + STAY)
    assert wait_until(process.read_address) == ADDRESS
    assert process.read_address() == ADDRESS
    assert process.poll(time.monotonic()) is None
    assert process.exit_reason() == ""


def test_the_settings_arrive_on_stdin_and_nothing_else_does(starter: Starter) -> None:
    process = starter.start(
        "import sys\nfrom pathlib import Path\n"
        "Path('got').write_bytes(sys.stdin.buffer.readline())\nrest = sys.stdin.buffer.read()\n"
        "Path('rest').write_bytes(rest)\n"
    )
    folder = Path(process.settings.log_dir)
    wait_until(lambda: (folder / "got").exists() and (folder / "got").stat().st_size)
    assert parse(WorkerSettings, (folder / "got").read_bytes()) == process.settings
    process.close()
    ended(process)
    assert (folder / "rest").read_bytes() == b""


def test_each_start_has_a_key_of_its_own(starter: Starter) -> None:
    keys = {starter.start("pass").settings.key for _ in range(3)}
    assert len(keys) == 3
    assert all(len(bytes.fromhex(key)) == 32 for key in keys)


@posix
def test_the_key_is_nowhere_to_be_seen(starter: Starter) -> None:
    process = starter.start(GREET + STAY)
    wait_until(process.read_address)
    key = process.settings.key.encode()
    for name in ("cmdline", "environ"):
        assert key not in Path(f"/proc/{process.pid}/{name}").read_bytes()
    assert key.decode() not in repr(process.settings)


@pytest.mark.parametrize(
    "line",
    [
        "hello",
        "{}",
        "[]",
        ADDRESS.line().decode().replace("127.0.0.1", "0.0.0.0").strip(),
        ADDRESS.line().decode().replace("127.0.0.1", "example.org").strip(),
        ADDRESS.line().decode().replace("5555", "99999").strip(),
        ADDRESS.line().decode().replace("tcp", "ipc").strip(),
    ],
)
def test_no_other_greeting_is_believed(starter: Starter, line: str) -> None:
    process = starter.start(f"import sys\nprint({line!r}, flush=True)\nsys.stdin.read()\n")
    with pytest.raises(WorkerFailedToStart, match="set it up again"):
        wait_until(process.read_address, 20.0)


def test_a_flood_instead_of_a_greeting_is_bounded(starter: Starter) -> None:
    process = starter.start("import sys\nwhile True:\n    sys.stdout.write('x' * 4096)\n")
    with pytest.raises(WorkerFailedToStart) as caught:
        wait_until(process.read_address, 20.0)
    assert "without an address" in caught.value.detail


def test_reading_the_address_never_waits(starter: Starter) -> None:
    process = starter.start("import sys\nsys.stdout.write('{')\nsys.stdout.flush()\nsys.stdin.read()\n")
    began = time.thread_time()
    assert process.read_address() is None
    assert process.read_address() is None
    assert time.thread_time() - began < 0.05


def test_what_it_says_before_its_log_is_kept(starter: Starter) -> None:
    process = starter.start("import sys\nsys.stderr.write('x' * 50_000)\nimport nothing_like_this\n")
    assert ended(process) == 1
    assert "No module named 'nothing_like_this'" in process.said()
    assert len(process.said()) <= 16_384


@posix
@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "memory ran out"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)", "crashed"),
        ("import os\nos._exit(13)", "Set Up Worker"),
        ("import os\nos._exit(77)", "77"),
    ],
)
def test_its_end_has_words(starter: Starter, code: str, words: str) -> None:
    process = starter.start(code)
    ended(process)
    assert words in process.exit_reason()


def test_every_signal_has_words() -> None:
    for number in signal.Signals:
        assert describe_exit(-number).endswith(".")
    assert "signal 250" in describe_exit(-250)


@posix
def test_the_ladder_climbs_only_as_far_as_needed(starter: Starter) -> None:
    polite = starter.start(GREET + STAY)
    wait_until(polite.read_address)
    polite.ask_to_end(0.0)
    polite.step_ladder(0.9)
    assert polite.poll(time.monotonic()) is None, "it has a second to end by itself"
    polite.step_ladder(1.1)
    assert ended(polite) in (0, -signal.SIGTERM)


@posix
def test_the_ladder_ends_what_will_not_end(starter: Starter) -> None:
    stubborn = starter.start(
        "import signal, sys, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        + GREET
        + "while True:\n    time.sleep(60)\n"
    )
    wait_until(stubborn.read_address)
    stubborn.ask_to_end(0.0)
    stubborn.step_ladder(1.1)
    stubborn.step_ladder(1.2)
    assert stubborn.poll(time.monotonic()) is None
    stubborn.step_ladder(2.0)
    assert ended(stubborn) == -signal.SIGKILL


CHILD = (
    "import subprocess, sys\n"
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
)


@posix
def test_what_the_worker_leaves_behind_ends_with_it(starter: Starter) -> None:
    process = starter.start(CHILD + "open('child', 'w').write(str(child.pid))\n" + GREET + STAY)
    wait_until(process.read_address)
    child = int((Path(process.settings.log_dir) / "child").read_text())
    os.kill(process.pid, signal.SIGKILL)
    assert ended(process) == -signal.SIGKILL
    wait_until(lambda: gone(child))


@posix
def test_closing_its_stdin_is_enough(starter: Starter) -> None:
    """The lifeline: whoever lets go of the process, ends it."""
    process = starter.start(GREET + STAY)
    wait_until(process.read_address)
    process.close()
    assert ended(process) == 0


@pytest.mark.parametrize("what", ["python", "script"])
def test_a_missing_file_is_said(starter: Starter, what: str) -> None:
    launch = starter.launch("pass")
    nowhere = starter.folder / "nowhere"
    wrong = WorkerLaunch(
        python=nowhere if what == "python" else launch.python,
        script=nowhere if what == "script" else launch.script,
        settings=starter.settings,
    )
    with pytest.raises(WorkerNotInstalled, match="Set up worker"):
        WorkerProcess(wrong)


def test_a_python_that_is_none_is_said(starter: Starter) -> None:
    fake = starter.folder / "python"
    fake.write_text("not a program")
    with pytest.raises(WorkerFailedToStart):
        WorkerProcess(starter.launch("pass", python=fake))


# S14: hijack at launch

TELL = (
    "import json, os, sys\n"
    "found = {'path': sys.path, 'argv': sys.argv, 'flags': [sys.flags.isolated, sys.flags.no_user_site],"
    " 'cwd': os.getcwd(), 'env': sorted(os.environ), 'planted': 'footfall_planted' in sys.modules}\n"
    "try:\n    import footfall_module_of_a_stranger\n    found['stranger'] = True\n"
    "except ImportError:\n    found['stranger'] = False\n"
    "json.dump(found, open('told', 'w'))\n"
)


def told_by(process: WorkerProcess) -> dict[str, Any]:
    assert ended(process) == 0, process.said()
    plain: dict[str, Any] = json.loads((Path(process.settings.log_dir) / "told").read_text())
    return plain


def plant(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sitecustomize.py").write_text("import sys; sys.modules['footfall_planted'] = sys\n")
    for name in ("torch", "footfall", "json", "footfall_module_of_a_stranger"):
        (folder / f"{name}.py").write_text("import sys; sys.modules['footfall_planted'] = sys\n")


def test_planted_files_are_not_imported(starter: Starter, tmp_path: Path, monkeypatch: Any) -> None:
    """Beside the .blend, in the current folder, on PYTHONPATH, in the user's site, and where the logs go."""
    current, on_path, base = tmp_path / "current", tmp_path / "on path", tmp_path / "user base"
    user_site = base / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    for folder in (current, on_path, user_site, Path(starter.settings("").log_dir)):
        plant(folder)
    monkeypatch.chdir(current)
    for name, value in (
        ("PYTHONPATH", str(on_path)),
        ("PYTHONUSERBASE", str(base)),
        ("PYTHONSTARTUP", str(on_path / "torch.py")),
        ("PYTHONHOME", str(tmp_path)),
        ("LD_PRELOAD", str(tmp_path / "none.so")),
    ):
        monkeypatch.setenv(name, value)
    found = told_by(starter.start(TELL))
    assert not found["planted"]
    assert not found["stranger"]
    assert found["flags"] == [1, 1]
    assert not [path for path in found["path"] if str(tmp_path) in path]
    assert not [
        name for name in found["env"] if name.startswith(("PYTHON", "LD_")) and name != "PYTHONNOUSERSITE"
    ]


@pytest.mark.parametrize(
    "name",
    [
        "with space",
        'quote\'s "double"',
        "ü 音 🎬",
        "n" * 200 + "/" + "m" * 100,
        "-dash",
        "semi;colon & $HOME",
    ],
)
def test_paths_and_arguments_arrive_as_they_are(starter: Starter, name: str) -> None:
    if sys.platform == "win32" and '"' in name:
        pytest.skip("no such name on Windows")
    process = starter.start(TELL, name=f"{name}/work er.py", arguments=(name, "", "a b"))
    found = told_by(process)
    assert found["argv"] == [str(starter.folder / name / "work er.py"), name, "", "a b"]


def test_the_current_folder_is_ours(starter: Starter) -> None:
    process = starter.start(TELL)
    assert Path(told_by(process)["cwd"]).resolve() == Path(process.settings.log_dir).resolve()


def test_extra_variables_are_passed(starter: Starter) -> None:
    process = starter.start(TELL, extra_env={"FOOTFALL_TEST": "1"})
    assert "FOOTFALL_TEST" in told_by(process)["env"]


@posix
def test_it_lives_on_when_the_thread_that_started_it_ends(starter: Starter) -> None:
    """R2: some ways to bind a child to its parent bind it to the thread."""
    thread = threading.Thread(target=lambda: starter.start(GREET + STAY))
    thread.start()
    thread.join()
    process = starter.started[0]
    wait_until(process.read_address)
    pause = threading.Event()
    for _ in range(20):
        assert process.poll(time.monotonic()) is None
        pause.wait(0.005)


@posix
def test_nothing_stays_open(starter: Starter) -> None:
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))

    def once() -> None:
        process = WorkerProcess(starter.launch(GREET + STAY))
        wait_until(process.read_address)
        process.kill()
        ended(process)
        process.close()
        process.close()

    once()
    before = descriptors()
    for _ in range(5):
        once()
    assert descriptors() == before


# The log's tail


def test_the_tail_of_a_log(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    assert tail(log, 5) == []
    log.write_bytes(b"".join(b"line %d\n" % n for n in range(100_000)) + b"\xff\x00last\n")
    assert tail(log, 2)[0] == "line 99999"
    assert tail(log, 1) == ["\ufffdlast"]
    assert tail(log, 0) == []
    assert len(tail(log, 10**9)) < 100_000, "only the end is read"


def test_describing_a_real_exit_code_of_this_system() -> None:
    code = subprocess.run([sys.executable, "-c", "raise SystemExit(5)"], check=False).returncode
    assert "5" in describe_exit(code)


def callable_settings() -> Callable[[str], WorkerSettings]:
    return lambda key: WorkerSettings(key=key, parent_pid=1, models_dir="", log_dir="")


def test_the_command_is_isolated() -> None:
    launch = WorkerLaunch(
        python=Path("py"), script=Path("s.py"), settings=callable_settings(), arguments=("x",)
    )
    assert launch.command() == ["py", "-I", "s.py", "x"]
