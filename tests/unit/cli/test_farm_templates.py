# SPDX-License-Identifier: GPL-3.0-or-later
"""The farm's templates say what the command line understands: OpenJD's job, Flamenco's job type."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import quickjs
from footfall.addon import options
from footfall.cli.__main__ import build_parser, commands

FARM = Path(__file__).resolve().parents[3] / "farm"
OPENJD = Path(sys.executable).with_name("openjd")
# What Flamenco's Manager offers to a job type, as far as ours uses it.
MANAGER = """
const tasks = [];
const author = {
  Task: (name, type) => ({
    name, type, commands: [], dependencies: [],
    addCommand(command) { this.commands.push(command); },
    addDependency(task) { this.dependencies.push(task.name); },
  }),
  Command: (name, parameters) => ({ name, parameters }),
};
function compiled(settings) {
  compileJob({ settings, addTask: (task) => tasks.push(task) });
  return JSON.stringify(tasks);
}
"""


def words_of_template(**given: str) -> list[list[str]]:
    """Every command line of the OpenJD template, with plain values for its parameters but those given."""
    import yaml

    plain = yaml.safe_load((FARM / "footfall.openjd.yaml").read_text())
    defaults = {
        item["name"]: str(item.get("default", "/x/y.blend")) for item in plain["parameterDefinitions"]
    }
    assert set(given) <= set(defaults)
    defaults |= given
    actions = [
        action
        for step in plain["steps"]
        for script in [step["script"], *(one["script"] for one in step.get("stepEnvironments", []))]
        for action in script["actions"].values()
    ]

    def filled(word: str) -> str:
        for name, value in defaults.items():
            word = word.replace("{{Param." + name + "}}", value)
        word = word.replace("{{Task.Param.Shot}}", "3")
        return word.replace("{{Session.WorkingDirectory}}", "/x")

    return [[filled(word) for word in action["args"]] for action in actions]


def test_openjd_takes_the_template() -> None:
    done = subprocess.run(
        [OPENJD, "check", str(FARM / "footfall.openjd.yaml")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_command_of_the_template_is_one_of_ours() -> None:
    lines = words_of_template()
    assert {line[1] for line in lines} == {"capture", "open", "close", "generate", "place"}
    for line in lines:
        assert "{{" not in " ".join(line)
        assert build_parser(commands()).parse_args(line).command == "farm"


def test_words_of_the_template_reach_the_request() -> None:
    (line,) = (
        line for line in words_of_template(Prompt="boots", Background="rain; 'x'") if line[1] == "capture"
    )
    asked = options.request_settings(build_parser(commands()).parse_args(line))
    assert (asked["prompt"], asked["background"], asked["layers"]) == ("boots", "rain; 'x'", ("bed", "spots"))


@pytest.fixture
def flamenco() -> quickjs.Context:
    context = quickjs.Context()
    context.eval(MANAGER)
    context.eval((FARM / "footfall_foley.js").read_text())
    return context


def settings(context: quickjs.Context, **changes: Any) -> dict[str, Any]:
    known = json.loads(context.eval("JSON.stringify(JOB_TYPE.settings)"))
    plain = {one["key"]: one.get("default", "/x/y.blend") for one in known}
    assert set(changes) <= set(plain)
    return plain | changes


def compile_job(context: quickjs.Context, **changes: Any) -> list[dict[str, Any]]:
    found = context.eval(f"compiled({json.dumps(settings(context, **changes))})")
    tasks: list[dict[str, Any]] = json.loads(found)
    return tasks


@pytest.mark.parametrize(("count", "each", "ranges"), [(1, 8, ["1"]), (9, 4, ["1-4", "5-8", "9"])])
def test_flamenco_s_tasks(flamenco: quickjs.Context, count: int, each: int, ranges: list[str]) -> None:
    tasks = compile_job(flamenco, shot_count=count, shots_per_task=each)
    first, *middle, last = tasks
    assert (first["type"], last["type"]) == ("capture", "place")
    assert [task["name"] for task in middle] == [f"generate-{numbers}" for numbers in ranges]
    assert all(task["type"] == "gpu-audio" and task["dependencies"] == ["capture"] for task in middle)
    assert last["dependencies"] == [task["name"] for task in middle]


def test_every_command_of_flamenco_s_tasks_is_one_of_ours(flamenco: quickjs.Context) -> None:
    for task in compile_job(flamenco, shot_count=3, prompt='rain; rm -rf "x"'):
        (command,) = task["commands"]
        assert command["name"] == "exec"
        assert command["parameters"]["exe"] == "footfall"
        parsed = build_parser(commands()).parse_args(command["parameters"]["args"])
        assert parsed.command == "farm"


def test_words_of_flamenco_s_panel_reach_the_request(flamenco: quickjs.Context) -> None:
    first, *_ = compile_job(flamenco, prompt="boots", background='rain; rm -rf "x"')
    line = first["commands"][0]["parameters"]["args"]
    asked = options.request_settings(build_parser(commands()).parse_args(line))
    assert (asked["prompt"], asked["background"]) == ("boots", 'rain; rm -rf "x"')


def test_settings_have_what_flamenco_needs(flamenco: quickjs.Context) -> None:
    known = json.loads(flamenco.eval("JSON.stringify(JOB_TYPE.settings)"))
    for one in known:
        assert one["type"] in {"string", "int32", "float", "bool"}
        assert "default" in one or one.get("required"), one["key"]
        assert one["visible"] in {"visible", "hidden", "submission", "web"}
