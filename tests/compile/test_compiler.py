import contextlib
import re
import threading

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra 'train'")
pytest.importorskip("litert_torch", reason="needs the extra 'train'")

from ai_edge_litert import schema_py_generated as schema  # noqa: E402
from torch.nn.utils import prune  # noqa: E402

from handheld.compile import to_tflite  # noqa: E402
from handheld.compile._flatbuffer import unpack  # noqa: E402
from handheld.engine import Model, classify  # noqa: E402
from handheld.errors import CompileError, InputError  # noqa: E402


class Net(torch.nn.Module):
    """Residual, depthwise and concatenated paths."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.stem = torch.nn.Sequential(
            torch.nn.Conv2d(3, width, 3, 2, 1), torch.nn.BatchNorm2d(width), torch.nn.ReLU()
        )
        self.depthwise = torch.nn.Conv2d(width, width, 3, 1, 1, groups=width)
        self.point = torch.nn.Conv2d(width, width, 1)
        self.pool = torch.nn.AdaptiveAvgPool2d(1)
        self.head = torch.nn.Linear(2 * width, 5)

    def forward(self, x):
        x = self.stem(x)
        y = torch.relu(x + self.point(self.depthwise(x)))
        return self.head(self.pool(torch.cat([x, y], 1)).flatten(1))


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    net = Net()
    for _ in range(3):
        net(torch.randn(8, 3, 32, 32))  # running statistics of the normalisation
    return net.eval()


@pytest.fixture(scope="module")
def samples():
    return [
        torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(seed))
        for seed in range(16)
    ]


CARD = {"labels": ["a", "b", "c", "d", "e"], "licence": "CC0-1.0"}


def test_float32_agrees_and_describes_itself(net, samples, tmp_path):
    compiled = to_tflite(
        net, samples[0], metadata=CARD, out=tmp_path / "net.tflite", checks=samples[1:3]
    )
    assert compiled.difference < 1e-5
    with Model.open(tmp_path / "net.tflite") as model:
        assert model.card == CARD
        assert model.inputs[0].shape == (1, 32, 32, 3)
        (scores,) = model.run(samples[3].numpy().transpose(0, 2, 3, 1))
    with torch.inference_mode():
        assert scores == pytest.approx(net(samples[3]).numpy(), abs=1e-4)


def test_smaller_precisions_are_smaller_files_that_agree(samples):
    torch.manual_seed(0)
    wide = Net(256).eval()
    sizes = {}
    for precision, limit in (("float32", 1e-5), ("float16", 5e-3), ("int8", 0.1)):
        compiled = to_tflite(
            wide, samples[0], metadata={}, precision=precision, calibration=samples
        )
        assert compiled.difference < limit
        sizes[precision] = compiled.size
    assert sizes["float16"] < 0.65 * sizes["float32"]
    assert sizes["int8"] < 0.4 * sizes["float32"]


def test_several_inputs_and_outputs_of_other_shapes():
    class Two(torch.nn.Module):
        def forward(self, a, b):
            return a * b, torch.relu(a).sum(1)

    compiled = to_tflite(Two(), (torch.randn(2, 4), torch.randn(2, 4)), metadata={})
    with Model.load(compiled.content) as model:
        product, total = model.run(np.ones((2, 4), np.float32), np.full((2, 4), 3, np.float32))
    assert product.tolist() == [[3] * 4] * 2
    assert total.tolist() == [4, 4]


def test_pictures_leave_channels_last_too():
    compiled = to_tflite(torch.nn.Conv2d(3, 6, 1), torch.randn(1, 3, 8, 8), metadata={})
    with Model.load(compiled.content) as model:
        assert model.outputs[0].shape == (1, 8, 8, 6)


class Odd(torch.nn.Module):
    def forward(self, x):
        return torch.linalg.svd(x.flatten(1))[1]


def test_an_operator_that_the_format_lacks_names_its_layer():
    net = torch.nn.Sequential()
    net.add_module("conv", torch.nn.Conv2d(1, 2, 3))
    net.add_module("odd", Odd())
    with pytest.raises(CompileError, match=r"layer 'odd' \(Odd\) uses the operator .*svd"):
        to_tflite(net, torch.randn(1, 1, 8, 8), metadata={})


@pytest.mark.parametrize(
    ("layer", "operator"),
    [
        (torch.nn.AvgPool2d(3, 2, 1, count_include_pad=False), "StablehloReduceWindow"),
        (torch.nn.AvgPool2d(5, 2, 2, count_include_pad=False), "StablehloReduceWindow"),
        (torch.nn.ConvTranspose2d(2, 3, 3, stride=2, padding=1), "conv_transpose"),
    ],
)
@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_options_that_the_format_lacks_name_the_layer(layer, operator, precision):
    net = torch.nn.Sequential()
    net.add_module("conv", torch.nn.Conv2d(1, 2, 3))
    net.add_module("odd", layer)
    example = torch.randn(1, 1, 10, 10)
    message = (
        rf"^layer 'odd' \({type(layer).__name__}\) has options that the device format lacks "
        rf"\(of the operator {operator}\); choose others, or replace it$"
    )
    with pytest.raises(CompileError, match=message):
        to_tflite(net, example, metadata={}, precision=precision, calibration=[example])


def test_what_cannot_be_exported_says_so():
    class Branches(torch.nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    with pytest.raises(CompileError, match="cannot be exported"):
        to_tflite(Branches(), torch.randn(1, 3), metadata={})


def test_a_module_that_fails_or_gives_no_numbers(net):
    with pytest.raises(CompileError, match="fails on its inputs"):
        to_tflite(net, torch.randn(1, 4, 32, 32), metadata={})
    broken = Net()
    with torch.no_grad():
        broken.head.weight[0, 0] = float("nan")
    with pytest.raises(CompileError, match="not finite"):
        to_tflite(broken, torch.randn(1, 3, 32, 32), metadata={})


def test_a_file_that_disagrees_is_not_written(net, samples, tmp_path, monkeypatch):
    other = to_tflite(Net(), samples[0], metadata={}).content
    monkeypatch.setattr("handheld.compile.compiler.convert", lambda module, inputs: other)
    with pytest.raises(CompileError, match=r"does not agree .* nothing was written"):
        to_tflite(net, samples[0], metadata={}, out=tmp_path / "net.tflite")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": "int8"}, "int8 needs calibration"),
        ({"precision": "int4"}, "expected a precision"),
        ({"checks": [np.zeros((1, 3, 16, 16), np.float32)]}, "like the example"),
        ({"checks": [np.full((1, 3, 32, 32), np.nan, np.float32)]}, "not finite"),
        ({"metadata": {"x": object()}}, "JSON"),
        ({"tolerance": float("nan")}, r"tolerance: expected a number in \[0, inf\], got nan"),
        ({"tolerance": -1}, "tolerance: expected"),
        ({"tolerance": "1"}, "tolerance: expected"),
    ],
)
def test_wrong_arguments(net, samples, options, message):
    with pytest.raises(InputError, match=message):
        to_tflite(net, samples[0], **({"metadata": {}} | options))


def half_pruned(layer):
    return prune.l1_unstructured(layer, "weight", 0.5)


@pytest.mark.parametrize("module", [None, torch.relu, torch.nn.Linear])
def test_what_is_no_module_is_named(module):
    with pytest.raises(InputError, match="expected a torch module, got"):
        to_tflite(module, torch.randn(1, 4), metadata={})


@pytest.mark.filterwarnings("ignore::FutureWarning")  # torch says that its older norms are old
@pytest.mark.parametrize(
    "by_hooks", [torch.nn.utils.weight_norm, torch.nn.utils.spectral_norm, half_pruned]
)
def test_modules_that_compute_weights_in_hooks_are_compiled(by_hooks):
    module = torch.nn.Sequential(by_hooks(torch.nn.Linear(4, 3)), torch.nn.ReLU()).eval()
    example = torch.randn(1, 4)
    # As after training: what the hook computed has a history, which torch cannot copy.
    module(example)
    compiled = to_tflite(module, example, metadata={})
    with Model.load(compiled.content) as model:
        (result,) = model.run(example.numpy())
    np.testing.assert_allclose(result, module(example).detach(), atol=1e-5)


def test_a_module_that_cannot_be_copied_says_why():
    module = torch.nn.Linear(4, 3)
    module.lock = threading.Lock()
    with pytest.raises(InputError, match=r"the module cannot be copied .*lock"):
        to_tflite(module, torch.randn(1, 4), metadata={})


def test_the_module_is_left_as_it_was(net, samples):
    net.train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    to_tflite(net, samples[0], metadata={})
    assert net.training
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    net.eval()


def test_a_compiled_classifier_runs_on_a_plain_photo():
    """The class is the brightest channel; the card is all that the engine needs, for real and for
    quantised numbers.
    """
    net = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    card = {
        "labels": ["red", "green", "blue"],
        "image": {"mean": [0.5], "std": [0.5]},
        "output": "logits",
    }
    samples = [
        torch.linspace(-1, 1, 3).roll(turn).view(1, 3, 1, 1).expand(1, 3, 32, 32)
        for turn in range(3)
    ]
    photo = np.full((50, 70, 3), 60, np.uint8)
    photo[..., 1] = 220
    for precision in ("float32", "int8"):
        compiled = to_tflite(
            net, samples[0], metadata=card, precision=precision, calibration=samples
        )
        with Model.load(compiled.content) as model:
            best, *_ = classify(model, photo)
        assert best.label == "green"
        assert best.probability > 0.5


def test_layers_kept_in_float_help(net, samples):
    """Without the stem, whose weights are float then, and so is what comes out of it."""
    options = {"metadata": {}, "precision": "int8", "calibration": samples}
    all_int8 = to_tflite(net, samples[0], **options)
    kept = ["stem", "head"]
    mixed = to_tflite(net, samples[0], **options, keep_float=kept)
    assert mixed.difference < all_int8.difference
    assert {
        name: kind for name, kind in weights(mixed.content).items() if kind == "float32"
    }.keys() == {"stem.0", "head"}
    assert set(weights(all_int8.content).values()) == {"int8"}
    assert (
        weights(mixed.content).keys()
        == weights(all_int8.content).keys()
        >= {"stem.0", "depthwise", "point", "head"}
    )


def test_int8_weights_need_no_calibration(samples):
    torch.manual_seed(0)
    wide = Net(256).eval()
    compiled = to_tflite(wide, samples[0], metadata={}, precision="int8_weights")
    assert compiled.difference < 0.02
    assert set(weights(compiled.content).values()) == {"int8"}
    kept = to_tflite(wide, samples[0], metadata={}, precision="int8_weights", keep_float=["point"])
    assert [name for name, kind in weights(kept.content).items() if kind == "float32"] == ["point"]
    with Model.load(compiled.content) as model:
        assert model.inputs[0].dtype == np.float32


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["pint"], "no layer 'pint' in the module; near it: point"),
        (["xyz"], "near it: stem"),
        (["stem.1"], r"stem.1 has no operator of its own .* fused"),
        ("head", "expected a list of names"),
    ],
)
def test_layers_that_cannot_be_kept(net, samples, names, message):
    with pytest.raises(InputError, match=message):
        to_tflite(net, samples[0], metadata={}, precision="float16", keep_float=names)


def weights(content):
    """Element types of the kernels of convolutions and matrices, by layer."""
    graph = unpack(content).subgraphs[0]
    computed = {i for node in graph.operators for i in node.outputs}
    found = [
        t
        for i, t in enumerate(graph.tensors)
        if i not in computed and len(t.shape) in (2, 4) and np.prod(t.shape) > 50
    ]
    kinds = {0: "float32", 9: "int8"}
    return {
        re.sub(r"(:\d+|_\w+)*$", "", t.name.decode()): kinds[t.type]
        for t in found
        if t.name != b"serving_default_args_0"
    }


def test_a_file_as_the_quantiser_writes_it_opens_and_takes_a_card(monkeypatch):
    """With its weights behind the model, as other people's files have them."""
    net = torch.nn.Sequential(torch.nn.Linear(600, 600))
    inside = to_tflite(net, torch.randn(1, 600), metadata={"a": 1}, precision="int8_weights")
    monkeypatch.setattr("handheld.compile._quantiser.with_weights_inside", lambda content: content)
    behind = to_tflite(net, torch.randn(1, 600), metadata={"a": 1}, precision="int8_weights")
    outside = [
        b.size for b in schema.ModelT.InitFromPackedBuf(behind.content, 0).buffers if b.offset > 1
    ]
    assert 360_000 in outside
    x = np.linspace(-1, 1, 600, dtype=np.float32)[None]
    with Model.load(behind.content) as one, Model.load(inside.content) as other:
        assert one.card == other.card == {"a": 1}
        np.testing.assert_array_equal(one.run(x)[0], other.run(x)[0])


class Score(torch.nn.Module):
    """A map, and one number of it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.linear = torch.nn.Conv2d(3, 4, 3), torch.nn.Linear(4, 4)

    def forward(self, x):
        y = self.conv(x)
        return y, self.linear(y.mean((2, 3))).sum(1)


def regression(*last):
    return torch.nn.Sequential(
        torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 1), *last
    )


PRECISIONS = ["float32", "float16", "int8_weights", "int8"]


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", ["score", "probability", "far from zero", "beside a map"])
def test_one_number_is_an_output_like_any_other(name, precision):
    torch.manual_seed(0)
    module = {
        "score": regression(),
        "probability": regression(torch.nn.Sigmoid()),
        "far from zero": regression(),
        "beside a map": Score(),
    }[name]
    if name == "far from zero":
        module[2].bias.data += 100
    shape = (1, 3, 8, 8) if name == "beside a map" else (1, 8)
    inputs = [torch.randn(shape) for _ in range(50)]
    compiled = to_tflite(
        module, torch.randn(shape), metadata={}, precision=precision, calibration=inputs
    )
    with Model.load(compiled.content) as model, torch.inference_mode():
        for tensor in inputs[:10]:
            fed = model.inputs[0].to_stored(
                tensor.permute(0, 2, 3, 1).numpy() if tensor.dim() == 4 else tensor.numpy()
            )
            given = model.outputs[-1].to_real(model.run(fed)[-1])
            expected = module(tensor)[-1] if name == "beside a map" else module(tensor)
            assert given == pytest.approx(expected.numpy(), abs=0.1, rel=0.01)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_wrong_score_is_found(precision, monkeypatch):
    torch.manual_seed(0)
    inputs = [torch.randn(1, 8) for _ in range(20)]
    other = to_tflite(regression(), inputs[0], metadata={}).content
    monkeypatch.setattr("handheld.compile.compiler.convert", lambda module, inputs: other)
    with pytest.raises(CompileError, match="output 0 differs"):
        to_tflite(regression(), inputs[0], metadata={}, precision=precision, calibration=inputs)


class Words(torch.nn.Module):
    """Numbers of words in, with one table at both ends."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.linear, self.out = (
            torch.nn.Embedding(50, 16),
            torch.nn.Linear(16, 16),
            torch.nn.Linear(16, 50),
        )
        self.out.weight = self.table.weight

    def forward(self, ids):
        return self.out(self.linear(self.table(ids)).mean(1))


@pytest.mark.parametrize("kind", [torch.int64, torch.int32])
@pytest.mark.parametrize("precision", [*PRECISIONS, "int8_tables"])
def test_whole_numbers_are_inputs_in_every_precision(kind, precision):
    torch.manual_seed(0)
    inputs = [torch.randint(0, 50, (1, 6)).to(kind) for _ in range(30)]
    module = Words().eval()
    compiled = to_tflite(module, inputs[0], metadata={}, precision=precision, calibration=inputs)
    with Model.load(compiled.content) as model, torch.inference_mode():
        for ids in inputs[:5]:
            given = model.outputs[0].to_real(
                model.run(ids.numpy().astype(model.inputs[0].dtype))[0]
            )
            assert given == pytest.approx(module(ids).numpy(), abs=0.1)


class Nested(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 4, 3)

    def forward(self, pixels, mask):
        y = self.conv(pixels)
        return {"map": y, "rest": ((y.mean((2, 3)) * mask).sum(1), [y.amax((2, 3))]), "loss": None}


def test_structures_are_given_one_after_the_other_and_arguments_may_be_named():
    torch.manual_seed(0)
    module = Nested().eval()
    example = {"mask": torch.rand(1, 4), "pixels": torch.randn(1, 3, 8, 8)}
    compiled = to_tflite(
        module,
        example,
        metadata={},
        keep_float=["conv"],
        precision="int8",
        calibration=[example] * 5,
    )
    with Model.load(compiled.content) as model, torch.inference_mode():
        fed = [example["mask"].numpy(), example["pixels"].permute(0, 2, 3, 1).numpy()]
        stored = [info.to_stored(array) for info, array in zip(model.inputs, fed, strict=True)]
        given = [
            info.to_real(array)
            for info, array in zip(model.outputs, model.run(*stored), strict=True)
        ]
        expected = module(**example)
    assert [array.shape for array in given] == [(1, 6, 6, 4), (1,), (1, 4)]
    assert given[0] == pytest.approx(expected["map"].permute(0, 2, 3, 1).numpy(), abs=0.05)
    assert given[2] == pytest.approx(expected["rest"][1][0].numpy(), abs=0.05)


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_names_of_inputs_and_outputs_are_in_the_signature(precision):
    torch.manual_seed(0)
    module = Nested().eval()
    example = {"mask": torch.rand(1, 4), "pixels": torch.randn(1, 3, 8, 8)}
    compiled = to_tflite(
        module, example, metadata={}, precision=precision, calibration=[example] * 5
    )
    with Model.load(compiled.content) as model, torch.inference_mode():
        (signature,) = model.signatures.values()
        assert [one.name for one in signature.inputs] == ["mask", "pixels"]
        assert [one.name for one in signature.outputs] == ["map", "rest.0", "rest.1.0"]
        fed = {
            "mask": example["mask"].numpy(),
            "pixels": example["pixels"].permute(0, 2, 3, 1).numpy(),
        }
        stored = {info.name: info.to_stored(fed[info.name]) for info in signature.inputs}
        given = model.run_named(signature=signature.key, **stored)
        last = signature.outputs[-1].to_real(given["rest.1.0"])
        assert last == pytest.approx(module(**example)["rest"][1][0].numpy(), abs=0.05)


def test_outputs_that_are_one_tensor_keep_their_names():
    class Same(torch.nn.Module):
        def forward(self, x):
            twice = x * 2
            return {"a": twice, "b": twice, "c": x, "d": twice + 1}

    compiled = to_tflite(Same(), torch.ones(1, 4), metadata={})
    with Model.load(compiled.content) as model:
        given = model.run_named(np.ones((1, 4), np.float32), signature="serving_default")
    assert {name: array[0, 0] for name, array in given.items()} == {"a": 2, "b": 2, "c": 1, "d": 3}


def test_a_module_of_names_that_stand_twice_has_none_in_the_file():
    class Twice(torch.nn.Module):
        def forward(self, x):
            return {"a": {"b": x + 1}, "a.b": x + 2}

    compiled = to_tflite(Twice(), torch.ones(1, 4), metadata={})
    with Model.load(compiled.content) as model:
        assert [one.name for one in model.signatures["serving_default"].outputs] == [
            "output_0",
            "output_1",
        ]


@pytest.mark.parametrize("tied", [True, False])
def test_a_table_has_a_byte_for_each_number_in_int8_and_is_stored_once(tied):
    torch.manual_seed(0)
    module = Words().eval()
    if not tied:
        module.out = torch.nn.Linear(16, 50)
    inputs = [torch.randint(0, 50, (1, 6)) for _ in range(30)]
    compiled = to_tflite(module, inputs[0], metadata={}, precision="int8", calibration=inputs)
    tables = [
        tensor
        for tensor in unpack(compiled.content).subgraphs[0].tensors
        if list(tensor.shape) == [50, 16]
    ]
    assert [tensor.type for tensor in tables] == [schema.TensorType.INT8] * (1 if tied else 2)


@pytest.mark.parametrize(("precision", "free"), [("int8_tables", "INT8"), ("int4_tables", "INT4")])
@pytest.mark.parametrize("tied", [True, False])
def test_a_table_that_is_a_layer_too_is_stored_once_as_that_layers_weights(precision, free, tied):
    torch.manual_seed(0)
    module = Words().eval()
    if not tied:
        module.out = torch.nn.Linear(16, 50)
    compiled = to_tflite(module, torch.randint(0, 50, (1, 6)), metadata={}, precision=precision)
    tables = [
        tensor
        for tensor in unpack(compiled.content).subgraphs[0].tensors
        if list(tensor.shape) == [50, 16]
    ]
    forms = [(tensor.type, len(tensor.quantization.scale)) for tensor in tables]
    layer = (schema.TensorType.INT8, 50)
    assert sorted(forms) == sorted(
        [layer] if tied else [layer, (getattr(schema.TensorType, free), 1)]
    )


@pytest.mark.parametrize("size", [1e30, 1e38])
def test_large_numbers_are_inputs(size):
    torch.manual_seed(0)
    compiled = to_tflite(
        torch.nn.Hardtanh(-1e38, 1e38), size * torch.randn(1, 8).clip(-1, 1), metadata={}
    )
    assert compiled.difference < 1e-4


@pytest.mark.parametrize("number", [2**31, -(2**31), 2**40, -(2**63)])
def test_whole_numbers_that_files_lack_are_named(number):
    class Next(torch.nn.Module):
        def forward(self, x):
            return x + 1

    with pytest.raises(
        InputError, match=r"expected whole numbers of at most 2,147,483,647, for 32 bits, got .*"
    ):
        to_tflite(Next(), torch.tensor([[number, 1]]), metadata={})
    assert to_tflite(Next(), torch.tensor([[2**31 - 2, 1 - 2**31]]), metadata={}).difference == 0


def test_one_number_without_axes_is_an_input():
    class Scaled(torch.nn.Module):
        def forward(self, x, by):
            return x * by

    samples = [(torch.rand(1, 4), torch.rand(())) for _ in range(30)]
    for precision in PRECISIONS:
        compiled = to_tflite(
            Scaled(),
            (torch.full((1, 4), 0.5), torch.tensor(0.5)),
            metadata={},
            precision=precision,
            calibration=samples,
        )
        assert compiled.difference < 0.1


def test_a_sparse_example_is_one_like_any_other():
    sparse = torch.eye(4).to_sparse()
    assert (
        to_tflite(torch.nn.ReLU(), sparse, metadata={}).content
        == to_tflite(torch.nn.ReLU(), torch.eye(4), metadata={}).content
    )


@pytest.mark.parametrize(
    ("module", "example", "message"),
    [
        (
            regression().double(),
            torch.randn(1, 8, dtype=torch.float64),
            r"'0\.weight' is float64.*module\.float",
        ),
        (torch.nn.ReLU(), torch.randn(1, 8, dtype=torch.float64), "an input is float64"),
    ],
)
def test_what_devices_do_not_compute_in(module, example, message):
    with pytest.raises(CompileError, match=message):
        to_tflite(module, example, metadata={})


def test_inputs_by_name_are_matched_by_name():
    torch.manual_seed(0)

    class Apart(torch.nn.Module):
        def forward(self, small, large):
            return torch.relu(small) + large / 50

    def example(seed):
        torch.manual_seed(seed)
        return {"small": torch.randn(1, 8), "large": 50 * torch.randn(1, 8)}

    turned = [dict(reversed(example(seed).items())) for seed in range(20)]
    there = [example(seed) for seed in range(20)]
    one, other = (
        to_tflite(Apart(), example(99), metadata={}, precision="int8", calibration=samples)
        for samples in (there, turned)
    )
    assert one.content == other.content
    for wrong in (
        {"a": torch.zeros(1, 8), "b": torch.zeros(1, 8)},
        (torch.zeros(1, 8), torch.zeros(1, 8)),
    ):
        with pytest.raises(InputError, match="by the example's names, 'small', 'large'"):
            to_tflite(Apart(), example(0), metadata={}, checks=[wrong])


def test_what_a_module_writes_into_its_input_does_not_reach_the_caller():
    class Writes(torch.nn.Module):
        def forward(self, x):
            return x.mul_(2) + 1

    given = torch.ones(2, 4)
    with contextlib.suppress(CompileError):
        to_tflite(Writes(), given, metadata={})
    assert given.eq(1).all()


def test_numbers_that_float16_does_not_hold_are_named():
    module = torch.nn.Linear(4, 2)
    module.weight.data[:] = 1e6
    with pytest.raises(CompileError, match=r"not finite in output 0.*float16 ends at 65,504"):
        to_tflite(module, torch.randn(1, 4), metadata={}, precision="float16")


def test_a_type_that_files_lack_is_named():
    with pytest.raises(InputError, match="bfloat16"):
        to_tflite(torch.nn.ReLU(), torch.ones(1, 4, dtype=torch.bfloat16), metadata={})


class RootOfDifference(torch.nn.Module):
    """Of which float16 takes a number below 0 where the difference is small."""

    def __init__(self) -> None:
        super().__init__()
        self.difference = torch.nn.Linear(2, 1, bias=False)
        # In float16 the first weight is 1.
        self.difference.weight.data = torch.tensor([[1.0001, -1.0]])

    def forward(self, x):
        return self.difference(x).sqrt()


def test_a_file_that_gives_no_number_for_one_of_the_inputs_is_not_written():
    # 1.0001 - 1.00005 is 0.00005, and 1 - 1.00005 has no root.
    check = torch.tensor([[1.0, 1.00005]])
    with pytest.raises(CompileError, match="float16 file gives numbers that are not finite"):
        to_tflite(
            RootOfDifference(),
            torch.tensor([[4.0, 1.0]]),
            metadata={},
            precision="float16",
            checks=[check],
        )


@pytest.mark.parametrize("function", [torch.sqrt, torch.exp])
def test_inputs_that_the_module_has_no_number_for_do_not_count(function):
    class Function(torch.nn.Module):
        def forward(self, x):
            return function(x)

    # Random inputs like these are below 0, or above what the exponential of float32 holds.
    example = torch.tensor([[0.1, 80.0, 0.5, 40.0]])
    compiled = to_tflite(Function(), example, metadata={})
    assert compiled.difference < 1e-4
    with Model.load(compiled.content) as model:
        (answer,) = model.run(example.numpy())
    assert answer == pytest.approx(function(example).numpy(), rel=1e-5)


def test_an_output_without_numbers_agrees():
    class Parts(torch.nn.Module):
        def forward(self, x):
            return x[:, :0], x * 2

    compiled = to_tflite(Parts(), torch.ones(1, 4), metadata={})
    with Model.load(compiled.content) as model:
        none, doubled = model.run(np.ones((1, 4), np.float32))
    assert none.shape == (1, 0)
    assert doubled.tolist() == [[2, 2, 2, 2]]


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (torch.nn.LazyLinear(3), "weight"),
        (torch.nn.Sequential(torch.nn.ReLU(), torch.nn.LazyBatchNorm1d()), "1.weight"),
    ],
)
def test_lazy_layers_have_to_be_run_before(module, name):
    with pytest.raises(InputError, match=f"^{re.escape(name)} has no shape yet: run the module"):
        to_tflite(module, torch.ones(1, 4), metadata={})
