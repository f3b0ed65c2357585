# SPDX-License-Identifier: GPL-3.0-or-later
"""How a worker starts, what it refuses, what its exit code says; S5 (loopback), S7 (key), S14 (hijack)."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import footfall
import psutil
import pytest
from footfall.addon.wire.exits import WorkerExit
from footfall.addon.wire.messages import (
    PROTOCOL_MAJOR,
    Accepted,
    Failed,
    Hello,
    Ping,
    Pong,
    Ready,
    Result,
    Shutdown,
    Submit,
)
from footfall.tests.fakes.peer import (
    CLEAN,
    Peer,
    WorkerProcess,
    children,
    gone,
    new_job,
    request,
    wait_until,
)

ROOT = Path(footfall.__file__).resolve().parent
LAUNCH = ROOT / "server" / "launch.py"


# Start and exit codes


def test_a_worker_starts_works_and_ends_when_told(tmp_path: Path) -> None:
    with Peer(WorkerProcess(tmp_path)) as peer:
        assert peer.address.pid == peer.worker.process.pid
        assert peer.address.version == footfall.__version__
        ready = peer.hello()
        assert ready.device == "Fake device"
        assert [bundle.name for bundle in ready.bundles] == ["starter"]
        assert isinstance(peer.run(request()), Result)
        keepers = children(peer.pid)
        assert peer.shut_down() == WorkerExit.DONE
        wait_until(lambda: all(gone(pid) for pid in keepers))


@pytest.mark.parametrize("prompt", ["wait", "slow 1000 20", "hang", "spin"])
def test_shutdown_with_a_job_running(tmp_path: Path, prompt: str) -> None:
    with Peer(WorkerProcess(tmp_path)) as peer:
        peer.hello()
        job_id = peer.submit(request(prompt))
        peer.send(Shutdown())
        assert peer.worker.wait(3.0) == WorkerExit.DONE
        if prompt == "wait":
            assert peer.ending(job_id).code == "cancelled"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "endpoint",
    ["tcp://0.0.0.0:*", "tcp://*:*", "tcp://192.168.1.20:5555", "tcp://localhost:5555", "tcp://[::1]:*"],
)
def test_anything_but_loopback_is_refused(tmp_path: Path, endpoint: str) -> None:
    with WorkerProcess(tmp_path, arguments=["--bind", endpoint]) as worker:
        assert worker.wait() == WorkerExit.REFUSED
        assert "only listens to this computer" in worker.errors()
        assert worker.process.stdout is not None
        assert worker.process.stdout.read() == b""


def test_a_fixed_port_of_this_computer_and_the_same_one_taken(tmp_path: Path) -> None:
    with Peer(WorkerProcess(tmp_path / "one")) as peer:
        again = ["--bind", peer.address.endpoint]
        with WorkerProcess(tmp_path / "two", arguments=again) as worker:
            assert worker.wait() == WorkerExit.NO_SOCKET
            wait_until(lambda: "is the port taken" in worker.log())
        assert peer.shut_down() == WorkerExit.DONE
        with Peer(WorkerProcess(tmp_path / "two", arguments=again)) as other:
            assert other.address.endpoint == peer.address.endpoint


def test_bind_loopback_only(tmp_path: Path) -> None:
    with Peer(WorkerProcess(tmp_path)) as peer:
        peer.hello()
        assert isinstance(peer.run(request()), Result)
        (listening,) = _listening(peer.pid)
        assert f"tcp://{listening.laddr.ip}:{listening.laddr.port}" == peer.address.endpoint
        assert listening.laddr.ip == "127.0.0.1"
        assert not any(_listening(pid) for pid in children(peer.pid))


def _listening(pid: int) -> list[Any]:
    return [c for c in psutil.Process(pid).net_connections("inet") if c.status == psutil.CONN_LISTEN]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"", "readable"),
        (b"\n", "readable"),
        (b"[1, 2]\n", "not an object"),
        (b'{"parent_pid": 1}\n', "lacks a field"),
        (b"{" * 100_000, "nested"),
        ("key", "key"),
        ("parent_pid", "parent_pid"),
        ("device", "device"),
        ("idle_s", "idle_s"),
        ("log_dir", "folder"),
        ("endpoint", "endpoint"),
    ],
)
def test_settings_that_make_no_sense(tmp_path: Path, line: bytes | str, said: str) -> None:
    with WorkerProcess(tmp_path, greet=False) as worker:
        if isinstance(line, str):
            plain = json.loads(worker.settings.line())
            wrong = {
                "log_dir": "",
                "key": "secret",
                "parent_pid": 0,
                "device": "abacus",
                "idle_s": -1.0,
                "endpoint": "tcp://*:1",
            }
            line = json.dumps(plain | {line: wrong[line]}).encode() + b"\n"
        assert worker.process.stdin is not None
        worker.process.stdin.write(line)
        worker.process.stdin.close()
        assert worker.wait() == WorkerExit.BAD_GREETING
        errors = worker.errors()
        assert said in errors
        assert "Traceback" not in errors
        assert "secret" not in errors


def test_wrong_command_line(tmp_path: Path) -> None:
    with WorkerProcess(tmp_path, arguments=["--remote", "yes"]) as worker:
        assert worker.wait() == WorkerExit.USAGE


def test_a_half_installed_environment_says_so(tmp_path: Path) -> None:
    with Peer(WorkerProcess(tmp_path, environment={"FOOTFALL_FAKE_FAIL": "import"})) as peer:
        assert peer.worker.wait() == WorkerExit.NOT_INSTALLED
        wait_until(lambda: "No module named 'torch'" in peer.worker.log())


@pytest.mark.parametrize(("die", "address"), [("7", False), ("8-pipeline", True)])
def test_dying_at_start(tmp_path: Path, die: str, address: bool) -> None:
    with WorkerProcess(tmp_path, environment={"FOOTFALL_FAKE_DIE": die}, greet=address) as worker:
        assert worker.wait() == int(die[0])
        assert worker.process.stdout is not None
        assert bool(worker.process.stdout.read()) is address


def test_a_crash_leaves_its_last_words(tmp_path: Path) -> None:
    with Peer(WorkerProcess(tmp_path)) as peer:
        peer.hello()
        peer.send(Submit(job_id=new_job(), request=request("crash")))
        assert peer.worker.wait(2.0) < 0
        wait_until(lambda: "Segmentation fault" in peer.worker.log())
        wait_until(lambda: "misbehaviour.py" in peer.worker.log())


def test_an_exit_inside_a_model_shows(tmp_path: Path) -> None:
    with Peer(WorkerProcess(tmp_path)) as peer:
        peer.hello()
        peer.send(Submit(job_id=new_job(), request=request("exit 9")))
        assert peer.worker.wait(2.0) == 9


def test_hello_submit_and_ping_while_the_model_is_still_imported(tmp_path: Path) -> None:
    with Peer(WorkerProcess(tmp_path, environment={"FOOTFALL_FAKE_START_S": "0.7"})) as peer:
        job_id = new_job()
        peer.send(Hello(version="test"))
        peer.send(Submit(job_id=job_id, request=request()))
        peer.send(Ping(number=5))
        assert isinstance(first := peer.receive(), Accepted)
        assert first.job_id == job_id
        pong = peer.receive()
        assert isinstance(pong, Pong)
        assert pong.state == "loading"
        peer.expect(Ready)  # a quick job may be done before it
        assert isinstance(peer.ending(job_id), Result)


def test_version_gate(tmp_path: Path) -> None:
    with Peer(WorkerProcess(tmp_path)) as peer:
        peer.send(Hello(major=PROTOCOL_MAJOR + 6, version="6.6.6"))
        assert peer.expect(Ready).major == PROTOCOL_MAJOR
        job_id = new_job()
        peer.send(Submit(job_id=job_id, request=request()))
        refused = peer.expect(Failed, job_id=job_id)
        assert refused.code == "version"
        assert f"protocol {PROTOCOL_MAJOR + 6}" in refused.sentence
        assert f"protocol {PROTOCOL_MAJOR}" in refused.sentence
        peer.hello()
        assert isinstance(peer.run(request()), Result)


# Logs and folders


@pytest.mark.parametrize("name", ["with space", "quote ' \" $(x)", "smörgås 🎬", "x" * 200])
def test_any_log_folder(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name / "deeper"
    with Peer(WorkerProcess(folder)) as peer:
        peer.hello()
        peer.shut_down()
        wait_until(lambda: "Worker " in peer.worker.log())


def test_a_log_folder_that_cannot_be_made_does_not_stop_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with Peer(WorkerProcess(tmp_path / "file" / "logs")) as peer:
        peer.hello()
        assert isinstance(peer.run(request("flood 1")), Result)


def test_nothing_but_the_address_ever_comes_out_of_stdout(tmp_path: Path) -> None:
    with Peer(WorkerProcess(tmp_path)) as peer:
        assert peer.worker.process.stdout is not None
        assert peer.worker.process.stdout.read() == b""  # closed, while the worker lives
        peer.hello()
        assert isinstance(peer.run(request("flood 1")), Result)
        peer.shut_down()
        assert peer.worker.errors() == ""


def test_key_nowhere(tmp_path: Path) -> None:
    with Peer(WorkerProcess(tmp_path / "logs", arguments=["--verbose"])) as peer:
        key = bytes.fromhex(peer.worker.settings.key)
        needles = [key, key.hex().encode(), key.hex().upper().encode(), repr(key)[2:-1].encode()]
        needles += [base64.b64encode(key).rstrip(b"="), base64.urlsafe_b64encode(key).rstrip(b"=")]
        peer.hello()
        peer.send_raw([b"x" * 40, b"{}"])
        assert isinstance(peer.run(request()), Result)
        assert isinstance(peer.run(request("fail")), Failed)
        places = [
            Path(f"/proc/{pid}/{name}").read_bytes()
            for pid in (peer.pid, *children(peer.pid))
            for name in ("cmdline", "environ")
        ]
        assert all(len(place) > 10 for place in places)
        peer.shut_down()
        wait_until(lambda: "Job " in peer.worker.log())
        places += [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert not [needle for needle in needles for place in places if needle in place]


# The launcher (S14)

STUB = """
import json, sys
from pathlib import Path
from ...tests.fakes.fake_pipeline import FakePipeline

class FoleyPipeline(FakePipeline):
    def __init__(self, settings):
        super().__init__(settings)
        Path(settings.log_dir, "seen.json").write_text(json.dumps({"path": sys.path, "modules": {
            name: getattr(module, "__file__", None) for name, module in sys.modules.items()}}))
"""


@pytest.fixture
def extension(tmp_path: Path) -> Path:
    """An installed copy of the extension, under a name of its own, with the fake for a pipeline."""
    root = tmp_path / "extensions" / "user default" / "footfall_renamed"
    for name in ("__init__.py", "addon/__init__.py"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, root / name)
    shutil.copytree(ROOT / "addon/wire", root / "addon/wire", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("server", "server/worker", "server/making"):
        (root / name).mkdir()
        for path in (ROOT / name).glob("*.py"):
            shutil.copy(path, root / name)
    text = (root / "__init__.py").read_text().replace(footfall.__version__, "77.0")
    (root / "__init__.py").write_text(text)
    (root / "tests/fakes").mkdir(parents=True)
    for name in ("fake_pipeline.py", "misbehaviour.py"):
        shutil.copy(ROOT / "tests/fakes" / name, root / "tests/fakes" / name)
    (root / "server" / "making" / "pipeline.py").write_text(STUB)
    return root


def test_nothing_planted_is_imported(tmp_path: Path, extension: Path) -> None:
    python = f"python{sys.version_info.major}.{sys.version_info.minor}"
    home = tmp_path / "home"
    shot, path = tmp_path / "folder of the .blend", tmp_path / "pythonpath"
    planted = (shot, path, extension.parent, home / ".local" / "lib" / python / "site-packages")
    names = (
        "footfall",
        "torch",
        "numpy",
        "zmq",
        "psutil",
        "sitecustomize",
        "usercustomize",
        "server",
        "logging",
    )
    for folder in planted:
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            (folder / f"{name}.py").write_text(
                f"open({str(tmp_path / 'hijacked')!r}, 'a').write('{name} ')\n"
            )
    environment = {"PYTHONPATH": str(path), "HOME": str(home), "PYTHONUSERBASE": str(home / ".local")}
    environment |= {"PYTHONSTARTUP": str(path / "footfall.py")}
    subprocess.run([sys.executable, "-c", "import torch"], env=CLEAN | environment, cwd=shot, timeout=30)
    (tmp_path / "hijacked").unlink()  # it works where nothing is done against it
    logs = tmp_path / "logs"
    logs.mkdir()
    worker = WorkerProcess(logs, script=extension / "server" / "launch.py", cwd=shot, environment=environment)
    with Peer(worker) as peer:
        assert peer.address.version == "77.0"  # not the footfall that this interpreter has installed
        assert peer.hello().device == "Fake device"
        assert isinstance(peer.run(request()), Result)
        seen = json.loads((logs / "seen.json").read_text())
    assert not (tmp_path / "hijacked").exists()
    ours = {name: file for name, file in seen["modules"].items() if name.startswith("footfall")}
    assert "footfall.server.worker.engine" in ours
    assert all(file is None or file.startswith(str(extension)) for file in ours.values())
    assert not {"bpy", "torch"} & set(seen["modules"])
    assert not [entry for entry in seen["path"] if entry.startswith(str(tmp_path))]


def test_without_isolation_the_launcher_refuses(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(LAUNCH)], env=CLEAN, stdin=subprocess.DEVNULL, capture_output=True, timeout=30
    )
    assert done.returncode == WorkerExit.WRONG_PYTHON
    assert b"python -I" in done.stderr


def test_a_missing_package_is_a_sentence(tmp_path: Path, extension: Path) -> None:
    shutil.rmtree(extension / "addon" / "wire")
    with WorkerProcess(tmp_path, script=extension / "server" / "launch.py", greet=False) as worker:
        assert worker.wait() == WorkerExit.NOT_INSTALLED
        errors = worker.errors()
        assert "run Set Up Worker again" in errors
        assert "Traceback" not in errors


def test_the_launcher_s_numbers_are_those_of_the_wire() -> None:
    text = LAUNCH.read_text()
    assert f"NOT_INSTALLED, WRONG_PYTHON = {WorkerExit.NOT_INSTALLED:d}, {WorkerExit.WRONG_PYTHON:d} " in text
