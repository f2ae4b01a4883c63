"""Drafts of a family for pictures: every file with its figures, but for latencies."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import median

from safetensors.torch import save
from torch import fx, nn

from handheld.compile import Precision
from handheld.compress.drafts import UNTIMED, Draft, GivenTeacher
from handheld.compress.family import Layer, Member
from handheld.compress.pictures.candidates import Candidate
from handheld.compress.pictures.evaluation import accuracy_of, answers, confusion
from handheld.compress.pictures.exporter import Exporter, FileLimits, FilePurpose
from handheld.compress.pictures.lesson import Finished
from handheld.compress.pictures.probe import Probe
from handheld.compress.pictures.run import PictureRun
from handheld.compress.pictures.teacher_file import TeacherFile
from handheld.networks.quantisation import fold
from handheld.networks.structure import macs, module_state

_READINGS = 3  # of a file's latency: a slow moment of the machine is outvoted
_BIAS_BYTES = 4  # in int8 files too
_FLOAT_BYTES = 4
_GIVEN = "the teacher's file"


def member_drafts(
    run: PictureRun, exporter: Exporter, probe: Probe, finished: Mapping[Candidate, Finished]
) -> tuple[Draft, ...]:
    """Compile each member, and judge its files."""
    drafts = []
    for number, (candidate, learned) in enumerate(finished.items(), 1):
        drafts.append(_member_draft(run, exporter, probe, candidate, learned))
        run.clock.share(number / len(finished))
    return tuple(drafts)


def _member_draft(
    run: PictureRun, exporter: Exporter, probe: Probe, candidate: Candidate, learned: Finished
) -> Draft:
    # zeros pack well, the weights of other members hardly do
    is_packed = candidate.kind == "sparse"
    purpose = FilePurpose(
        candidate.how,
        FileLimits.of(candidate.target, probe.reference),
        lambda content: median(probe.latency(content).median for _ in range(_READINGS)),
        packed=is_packed,
        fastest=candidate.target.is_about_speed_alone,
    )
    file = exporter.export(
        learned.network,
        learned.aware,
        candidate.side,
        purpose,
        int8=run.settings.uses("quantisation"),
    )
    test = run.data.test
    answered = answers(file.content, test, run.preparation)
    answered_float = answers(file.float_content, test, run.preparation)
    network = run.preparation.reshaped(learned.network, candidate.side)
    member = Member(
        name=candidate.name,
        file=f"{candidate.name}.tflite{'.xz' if is_packed else ''}",
        how=candidate.how,
        precision=file.precision,
        size=len(file.content),
        macs=sum(macs(network).values()),
        parameters=_parameters(network),
        latency=UNTIMED,
        accuracy=accuracy_of(answered, test),
        accuracy_float=accuracy_of(answered_float, test),
        valid=file.valid,
        size_float=len(file.float_content),
        latency_float=UNTIMED,
        target=str(candidate.target),
        steps=(*learned.steps, *file.steps),
        layers=layers_of(network, file.precision, file.kept_float),
        confusion=confusion(answered, test),
        curve=tuple(learned.curve),
        kept_float=file.kept_float,
    )
    return Draft(member, file.content, file.float_content, exporter.card, candidate.target)


def teacher_draft(run: PictureRun, exporter: Exporter, curve: Sequence[tuple[int, float]]) -> Draft:
    """Compile the large network."""
    content = exporter.compile(fold(run.large.cpu()), run.preparation.side, "float32")
    network = run.preparation.reshaped(run.large, run.preparation.side)
    answered = answers(content, run.data.test, run.preparation)
    accuracy = accuracy_of(answered, run.data.test)
    description = "the large network"
    if run.answerer is not None:
        description += ", taught by that file"
    member = Member(
        name="teacher",
        file="teacher.tflite",
        how=description,
        precision="float32",
        size=len(content),
        macs=sum(macs(network).values()),
        parameters=_parameters(network),
        latency=UNTIMED,
        accuracy=accuracy,
        accuracy_float=accuracy,
        valid=float(exporter.right(content).mean()),
        size_float=len(content),
        latency_float=UNTIMED,
        layers=layers_of(network, "float32"),
        confusion=confusion(answered, run.data.test),
        curve=tuple(curve) if run.trains_large else (),
    )
    return Draft(member, content, content, exporter.card)


def quantised_draft(run: PictureRun, exporter: Exporter, teacher: Draft) -> Draft:
    """Return what eight bits alone make of the teacher."""
    content = exporter.compile(fold(run.large), run.preparation.side, "int8")
    network = run.preparation.reshaped(run.large, run.preparation.side)
    answered = answers(content, run.data.test, run.preparation)
    member = replace(
        teacher.member,
        name="teacher, int8",
        file="teacher_int8.tflite",
        how="the large network, int8 after training",
        precision="int8",
        size=len(content),
        accuracy=accuracy_of(answered, run.data.test),
        valid=float(exporter.right(content).mean()),
        layers=layers_of(network, "int8"),
        confusion=confusion(answered, run.data.test),
    )
    return Draft(member, content, teacher.content, exporter.card)


def given_teacher(run: PictureRun, file: TeacherFile) -> GivenTeacher:
    """Return the figures of the file that all learned from."""
    answered = file.answers(run.data.test)
    accuracy = accuracy_of(answered, run.data.test)
    name = file.name
    # A name with a point is no member's; without one it might be "teacher".
    if "." not in name:
        name = f"{name} ({_GIVEN})"
    member = Member(
        name=name,
        file=file.name,
        how=f"{_GIVEN}, only read",
        precision="as given",
        size=file.size,
        macs=0,
        parameters=0,
        latency=UNTIMED,
        accuracy=accuracy,
        accuracy_float=accuracy,
        valid=accuracy_of(file.answers(run.data.valid), run.data.valid),
        size_float=file.size,
        latency_float=UNTIMED,
        confusion=confusion(answered, run.data.test),
    )
    return GivenTeacher(member, file.one_call())


def teacher_weights(run: PictureRun) -> bytes:
    """Return the teacher's weights as a safetensors file, to go on from with other data."""
    # Not by safetensors' own way to write: it replaces the file by one that nobody else may read.
    return save(module_state(run.large))  # each in memory of its own, as safetensors wants it


def layers_of(
    network: fx.GraphModule, precision: Precision | str, kept_float: Sequence[str] = ()
) -> tuple[Layer, ...]:
    """Return what each layer adds to a file, the largest first.

    Args:
        network: with shapes; its normalisation is folded here, as in the file.
        precision: of the file. In int8 a weight has one byte, a bias four.
        kept_float: layers that stayed in float32.
    """
    folded = fold(network)
    modules = dict(folded.named_modules())
    weight_bytes = 1
    if precision == "float32":
        weight_bytes = _FLOAT_BYTES
    layers = []
    counted = 0
    for name, operations in macs(folded).items():
        layer = modules.get(name)
        size = 0
        # without one it is a product of activations, which has no weights
        if layer is not None:
            size = _layer_bytes(layer, weight_bytes)
        counted += size
        if layer is not None and name in kept_float:
            size = _layer_bytes(layer, _FLOAT_BYTES)
        layers.append(Layer(name, size, operations))
    # what no operator counts, such as the weights of a scale that stands alone
    uncounted = _layer_bytes(folded, weight_bytes) - counted
    if uncounted:
        layers.append(Layer("other parameters", uncounted, 0))
    return tuple(sorted(layers, key=lambda layer: -layer.size))


def _layer_bytes(layer: nn.Module, weight_bytes: int) -> int:
    """Return the bytes of a layer's parameters in a file."""
    total = 0
    for parameter in layer.parameters():
        parameter_bytes = _BIAS_BYTES
        # what has one axis is a bias, which stays in four bytes
        if parameter.ndim > 1:
            parameter_bytes = weight_bytes
        total += parameter.numel() * parameter_bytes
    return total


def _parameters(network: fx.GraphModule) -> int:
    return sum(parameter.numel() for parameter in network.parameters())
