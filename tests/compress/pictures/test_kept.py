import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import save
from torch import nn

from handheld.compress.pictures.joint_run import joint_ratio
from handheld.compress.pictures.search import planned
from handheld.compress.targets import Target
from handheld.errors import InputError
from handheld.networks.state import pack, read_packed, unpack
from handheld.networks.structure import module_state, trace
from handheld.networks.zoo.pictures import PictureShape, make
from handheld.training import save_state
from handheld.training.runs import open_run

CANDIDATE = {
    "name": "a",
    "kind": "nested",
    "level": 3,
    "blocks": None,
    "side": 8,
    "target": {"size": 70_000},
    "met": True,
}


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
    assert [(one.name, one.level, one.target) for one in planned(path, wanted, 8)] == [
        ("a", 3, wanted[0])
    ]
    path.write_text(json.dumps(content))
    with pytest.raises(
        InputError,
        match=r"candidates\.json is damaged, so the run cannot go on: delete .* to begin again",
    ):
        planned(path, wanted, 8)


@pytest.mark.parametrize(
    "content", ["", "{half", "5", "{}", '{"ratio": "fast"}', '{"ratio": 1e999}', '{"ratio": -1}']
)
def test_a_ratio_that_is_damaged_is_measured_again(tmp_path: Path, content: str):
    with open_run(tmp_path, {}) as run:
        run.file("joint.json").write_text('{"ratio": 1.25}')
        assert joint_ratio(run) == 1.25
        run.file("joint.json").write_text(content)
        assert joint_ratio(run) is None


def shorter(state):
    """Leave no place to the first weights."""
    name = next(iter(state["weights"]))
    state["weights"][name] = torch.zeros(())


@pytest.mark.parametrize(
    "damage",
    [
        lambda state: state.pop("weights"),
        lambda state: state.update(lengths=[[5]]),
        lambda state: state.update(groups={"another": 2}),
        dict.clear,
        shorter,
    ],
)
def test_a_network_that_was_kept_and_is_damaged_is_named(
    tmp_path: Path, damage: Callable[[dict[str, object]], object]
):
    network = trace(make("plain", PictureShape(1, 12, 12), 3, 4, seed=0), torch.zeros(2, 1, 12, 12))
    state = pack(network)
    save_state(tmp_path / "pruned.pt", state)
    again = read_packed(tmp_path / "pruned.pt", partial(unpack, network))
    assert all(
        torch.equal(tensor, network.state_dict()[name])
        for name, tensor in again.state_dict().items()
    )
    damage(state)
    save_state(tmp_path / "pruned.pt", state)
    with pytest.raises(
        InputError,
        match=r"pruned\.pt is damaged, or of another network: delete it, and it is learned again",
    ):
        read_packed(tmp_path / "pruned.pt", partial(unpack, network))


def test_weights_that_two_layers_share_can_be_written():
    module = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
    module[2].weight = module[0].weight
    assert (
        len(save(module_state(trace(module, torch.zeros(2, 4))))) > 4 * 4 * 4 * 2
    )  # safetensors refuses shared memory
