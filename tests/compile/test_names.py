import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra 'train'")
pytest.importorskip("litert_torch", reason="needs the extra 'train'")

from torch import nn  # noqa: E402

from handheld.compile import _converter  # noqa: E402
from handheld.compile._flatbuffer import pack, unpack  # noqa: E402
from handheld.engine import Model  # noqa: E402


def block(inputs, outputs):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )


class Residual_Block(nn.Module):  # noqa: N801  # an underscore, as the converter puts one before the attribute
    def __init__(self, width):
        super().__init__()
        self.branch = nn.Sequential(block(width, width), block(width, width))

    def forward(self, x):
        return x + self.branch(x)


class Stages(nn.Module):
    """Two lists with layers of the same path: the converter tells neither list."""

    def __init__(self, width=4):
        super().__init__()
        self.stem = block(3, width)
        self.stage_a = nn.ModuleList([Residual_Block(width), Residual_Block(width)])
        self.stage_b = nn.ModuleList([Residual_Block(width)])
        self.head = nn.Linear(width, 5)

    def forward(self, x):
        x = self.stem(x)
        for layer in (*self.stage_a, *self.stage_b):
            x = layer(x)
        return torch.softmax(self.head(x.mean((2, 3))), 1)


@pytest.fixture(scope="module")
def files():
    """A module, its file as the converter makes it, and as we name it."""
    torch.manual_seed(0)
    net = Stages()
    for _ in range(2):
        net(torch.randn(4, 3, 16, 16))
    inputs = (torch.randn(1, 3, 16, 16).numpy(),)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_converter, "renamed", lambda content, names: content)
        raw = _converter.convert(net.eval(), inputs)
    return net, raw, _converter.convert(net, inputs)


def weights(content):
    """The kernels of a file by their names, in order of execution."""
    model = unpack(content)
    graph = model.subgraphs[0]
    kernels = [graph.tensors[n.inputs[1]] for n in graph.operators if len(n.inputs) == 3]
    return {
        t.name.decode(): np.frombuffer(model.buffers[t.buffer].data, np.float32).reshape(t.shape)
        for t in kernels
    }


def test_weights_are_named_after_their_layers(files):
    net, _, content = files
    found = weights(content)
    blocks = [f"stage_{stage}.branch.{i}.0" for stage in ("a.0", "a.1", "b.0") for i in (0, 1)]
    assert [name.partition(":")[0] for name in found] == ["stem.0", *blocks, "head"]
    compare(net, found)


def compare(net, found):
    for name, kernel in found.items():
        theirs = np.moveaxis(
            net.get_submodule(name.partition(":")[0]).weight.detach().numpy(), 1, -1
        ).reshape(len(kernel), -1)
        ours = kernel.reshape(
            len(kernel), -1
        )  # each channel scaled by the normalisation that was fused into it
        cosine = (
            (ours * theirs).sum(1) / np.linalg.norm(ours, axis=1) / np.linalg.norm(theirs, axis=1)
        )
        np.testing.assert_allclose(np.abs(cosine), 1, atol=1e-5)


def test_a_traced_module_calls_no_container():
    """So all its convolutions have one path, and so has the padding before those with a stride."""
    steps = (
        (nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU()),
        (nn.Conv2d(4, 4, 3, 2, 1), nn.ReLU()),
        (nn.Conv2d(4, 6, 3, 1, 1),),
    )
    net = torch.fx.symbolic_trace(nn.Sequential(*(nn.Sequential(*step) for step in steps)))
    content = _converter.convert(net, (torch.randn(1, 3, 16, 16).numpy(),))
    found = weights(content)
    assert [name.partition(":")[0] for name in found] == ["0.0", "1.0", "2.0"]
    compare(net, found)
    names = [t.name.decode() for t in unpack(content).subgraphs[0].tensors]
    assert not [name for name in names if "|" in name]


def test_names_are_short_and_unique_and_those_of_the_ends_stay(files):
    _, raw, content = files
    before, after = unpack(raw), unpack(content)
    names = [t.name.decode() for t in after.subgraphs[0].tensors]
    assert len(set(names)) == len(names)
    assert max(map(len, names)) < 80
    assert {"stage_a.1", "stage_a.0|stage_b.0", "Stages"} < {
        name.partition(":")[0] for name in names
    }
    for i in (*before.subgraphs[0].inputs, *before.subgraphs[0].outputs):
        assert after.subgraphs[0].tensors[i].name == before.subgraphs[0].tensors[i].name
    assert [entry.name for entry in after.metadata] == [b"min_runtime_version"]
    assert len(raw) - len(content) > 10_000


def test_the_file_computes_the_same_bits(files):
    _, raw, content = files
    picture = np.random.default_rng(0).standard_normal((1, 16, 16, 3), np.float32)
    with Model.load(raw) as before, Model.load(content) as after:
        assert before.operators == after.operators
        assert before.run(picture)[0].tobytes() == after.run(picture)[0].tobytes()


def test_weights_are_aligned_as_the_schema_says(files):
    content = pack(unpack(files[2]))
    for kernel in weights(content).values():
        assert content.index(kernel.tobytes()) % 16 == 0
