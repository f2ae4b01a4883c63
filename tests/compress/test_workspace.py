import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import save
from torch import nn

from handheld.compress.networks import PictureShape, make
from handheld.compress.packing import pack, read_packed, unpack
from handheld.compress.stages import joint_ratio, planned
from handheld.compress.structure import module_state, trace
from handheld.compress.targets import Target
from handheld.compress.workspace import read_kept, workspace
from handheld.errors import InputError
from handheld.training import save_state


def test_two_runs_in_one_folder(tmp_path: Path):
    with workspace(tmp_path / "family", {"a": 1}), pytest.raises(InputError, match="another run uses"):  # noqa: SIM117
        with workspace(tmp_path / "family", {"a": 1}):
            pass


def test_a_killed_run_leaves_no_lock(tmp_path: Path):
    code = f"""
import os
from handheld.compress.workspace import workspace
with workspace({str(tmp_path)!r}, {{"a": 1}}):
    os._exit(9)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 9
    with workspace(tmp_path, {"a": 1}) as space:
        assert space.file("plan.json").exists()


def test_another_plan_is_refused_and_says_what_changed(tmp_path: Path):
    with workspace(tmp_path, {"seed": 1, "targets": ["70KB"]}):
        pass
    with pytest.raises(InputError, match=r"other settings \(targets\)"), workspace(tmp_path, {"seed": 1, "targets": []}):
        pass
    assert json.loads((tmp_path / "run" / "plan.json").read_text())["targets"] == ["70KB"]


def test_a_damaged_plan_is_not_gone_on_from(tmp_path: Path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "plan.json").write_text("{half")
    with pytest.raises(InputError, match="cannot be read"), workspace(tmp_path, {"seed": 1}):
        pass


def test_a_folder_that_cannot_be_made(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"), workspace(tmp_path / "file" / "family", {}):
        pass


def test_clearing_leaves_the_plan(tmp_path: Path):
    with workspace(tmp_path, {}) as space:
        space.file("joint.pt").write_bytes(b"x" * 1000)
        space.clear()
        assert {path.name for path in space.state.iterdir()} == {"lock", "plan.json"}


def test_a_folder_of_other_files_is_refused_and_left_alone(tmp_path: Path):
    (tmp_path / "report.html").write_text("mine")
    message = r"holds 'report.html', which is of no run: name a folder that is empty"
    with pytest.raises(InputError, match=message), workspace(tmp_path, {}):
        pass
    assert (tmp_path / "report.html").read_text() == "mine"
    assert not (tmp_path / "run" / "plan.json").exists()


def test_bytes_in_place_of_a_plan_are_told(tmp_path: Path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "plan.json").write_bytes(b"\xff\x00")
    with pytest.raises(InputError, match="its plan cannot be read"), workspace(tmp_path, {"seed": 1}):
        pass


@pytest.mark.parametrize("content", [b"", b"{half", b"\xff\xfe", b"[" * 100_000])
def test_what_a_run_kept_and_is_damaged_is_named(tmp_path: Path, content: bytes):
    path = tmp_path / "run" / "candidates.json"
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"candidates\.json is damaged, so the run cannot go on: delete .* to begin again"):
        read_kept(path)


def test_a_pipe_among_what_a_run_kept_is_named(tmp_path: Path):
    (tmp_path / "run").mkdir()
    os.mkfifo(tmp_path / "run" / "plan.json")
    with pytest.raises(InputError, match=r"plan\.json is damaged, .* it is a pipe"), workspace(tmp_path, {"seed": 1}):
        pass


CANDIDATE = {"name": "a", "kind": "nested", "level": 3, "blocks": None, "side": 8, "target": {"size": 70_000}, "met": True}


@pytest.mark.parametrize(
    "content",
    [
        5,
        [5],
        [{}],
        [CANDIDATE | {"level": "3"}],
        [CANDIDATE | {"target": 5}],
        [CANDIDATE | {"target": {"size": -1}}],
        [{"b": 1}],
        [],
        [CANDIDATE, CANDIDATE],
        [CANDIDATE | {"target": {"size": 1000}}],
        [CANDIDATE | {"kind": "unheard_of"}],
        [CANDIDATE | {"name": "../../a"}],
        [CANDIDATE | {"level": 0}],
        [CANDIDATE | {"level": 25}],
        [CANDIDATE | {"blocks": -1}],
        [CANDIDATE | {"side": 7}],
    ],
)
def test_candidates_that_are_none_are_named(tmp_path: Path, content: object):
    path = tmp_path / "run" / "candidates.json"
    path.parent.mkdir()
    path.write_text(json.dumps([CANDIDATE]))
    wanted = [Target(size=70_000)]
    assert [(one.name, one.level, one.target) for one in planned(path, wanted, 8)] == [("a", 3, wanted[0])]
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"candidates\.json is damaged, so the run cannot go on: delete .* to begin again"):
        planned(path, wanted, 8)


@pytest.mark.parametrize("content", ["", "{half", "5", "{}", '{"ratio": "fast"}', '{"ratio": 1e999}', '{"ratio": -1}'])
def test_a_ratio_that_is_damaged_is_measured_again(tmp_path: Path, content: str):
    with workspace(tmp_path, {}) as space:
        space.file("joint.json").write_text('{"ratio": 1.25}')
        assert joint_ratio(space) == 1.25
        space.file("joint.json").write_text(content)
        assert joint_ratio(space) is None


def shorter(state):
    """Leave no place to the first weights."""
    name = next(iter(state["weights"]))
    state["weights"][name] = torch.zeros(())


@pytest.mark.parametrize(
    "damage", [lambda state: state.pop("weights"), lambda state: state.update(lengths=[[5]]), dict.clear, shorter]
)
def test_a_network_that_was_kept_and_is_damaged_is_named(tmp_path: Path, damage: Callable[[dict[str, object]], object]):
    network = trace(make("plain", PictureShape(1, 12, 12), 3, 4, seed=0), torch.zeros(2, 1, 12, 12))
    state = pack(network)
    save_state(tmp_path / "pruned.pt", state)
    again = read_packed(tmp_path / "pruned.pt", partial(unpack, network))
    assert all(torch.equal(tensor, network.state_dict()[name]) for name, tensor in again.state_dict().items())
    damage(state)
    save_state(tmp_path / "pruned.pt", state)
    with pytest.raises(InputError, match=r"pruned\.pt is damaged, or of another network: delete it, and it is learned again"):
        read_packed(tmp_path / "pruned.pt", partial(unpack, network))


def test_weights_that_two_layers_share_can_be_written():
    module = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
    module[2].weight = module[0].weight
    assert len(save(module_state(trace(module, torch.zeros(2, 4))))) > 4 * 4 * 4 * 2  # safetensors refuses shared memory
