"""Members of a family for texts, and their teacher, as drafts."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import nn

from handheld.compress.drafts import UNTIMED, Draft, FamilyRequest
from handheld.compress.family import Layer, Member, TechniqueStep
from handheld.compress.targets import Target
from handheld.compress.texts.teacher import TextTeacher
from handheld.data import Dataset, Splits
from handheld.engine import Model
from handheld.projection import TextClassifier
from handheld.projection.inputs import Bits, Parts, Reader, Rows
from handheld.projection.judging import TextData, TextJudgement, judge
from handheld.projection.training.plan import TextModel, TextModelPlan
from handheld.projection.training.recipe import compiled, parts_of, recipe_for
from handheld.projection.training.table import RowTable

KINDS: Mapping[str, str] = {"nested": "rows", "projected": "signs"}
"""What a target's kind reads; the kind that targets have unless they say another is a table."""

LARGEST = 260_000
"""Bytes of a file for a target that limits no size."""

_CARD_BYTES = 128  # for what a member's card says beside a model's


def teacher_draft(teacher: TextTeacher, data: Splits) -> Draft:
    """Judge the teacher's file."""
    judged = _judged(teacher.content, data.test)
    member = Member(
        name="teacher",
        file="teacher.tflite",
        how=teacher.how,
        precision="float32" if teacher.curve else "as given",
        size=len(teacher.content),
        macs=0,
        parameters=teacher.parameters,
        latency=UNTIMED,
        accuracy=judged.accuracy,
        accuracy_float=judged.accuracy,
        valid=_judged(teacher.content, data.valid).accuracy,
        size_float=len(teacher.content),
        latency_float=UNTIMED,
        confusion=judged.confusion,
        curve=teacher.curve,
    )
    return Draft(member, teacher.content, teacher.content, _card(teacher.content))


def member_plan(request: FamilyRequest, target: Target, max_size: float | None) -> TextModelPlan:
    """Return how a member learns.

    Args:
        request: what was asked for.
        target: what the member is for.
        max_size: bytes that its file may have, if one can be so small; None: as many as
            :data:`LARGEST`.
    """
    max_bytes = int(max_size or LARGEST) - _CARD_BYTES
    recipe = recipe_for(KINDS[target.kind], max_bytes, len(request.data.classes))
    epochs = request.settings.texts.members
    if epochs is not None:
        recipe = replace(recipe, schedule=replace(recipe.schedule, epochs=epochs))
    return TextModelPlan(max_bytes, recipe=recipe, seed=request.settings.seed, nearest=True)


def member_draft(
    name: str, target: Target, model: TextModel, data: Splits, texts: tuple[str, ...]
) -> Draft:
    """Judge the files of a member that has learned.

    Args:
        name: of the member.
        target: what it is for.
        model: the member.
        data: that it is judged by.
        texts: that it learned from, to compile it in float32.
    """
    content = model.content
    # what rounding costs is told by the same network, not rounded
    in_float = compiled(model.networks, model.reader, texts, model.card, precision="float32")
    judged = _judged(content, data.test)
    precision = "int4"
    # only tables learn on a grid of four bits
    if isinstance(model.reader, Bits):
        precision = "int8"
    layers = _layers(model)
    member = Member(
        name=name,
        file=f"{name}.tflite",
        how=_how(model.reader),
        precision=precision,
        size=len(content),
        macs=sum(layer.macs for layer in layers),
        parameters=sum(_parameters(network) for network in model.networks),
        latency=UNTIMED,
        accuracy=judged.accuracy,
        accuracy_float=_judged(in_float, data.test).accuracy,
        valid=model.valid.accuracy,
        size_float=len(in_float),
        latency_float=UNTIMED,
        target=str(target),
        steps=_steps(model, in_float, data.valid),
        layers=layers,
        confusion=judged.confusion,
        curve=tuple(model.curves["model"]),
    )
    return Draft(member, content, in_float, _card(content), target)


def _steps(model: TextModel, in_float: bytes, valid: Dataset) -> tuple[TechniqueStep, ...]:
    """Return what rounding contributed: a table learns on its grid, other layers are rounded."""
    technique = "four bits while learning"
    if isinstance(model.reader, Bits):
        technique = "int8 weights"
    return (
        TechniqueStep("float32 file", _judged(in_float, valid).accuracy, len(in_float)),
        TechniqueStep(technique, model.valid.accuracy, len(model.content)),
    )


def _card(content: bytes) -> dict[str, Any]:
    with Model.load(content) as model:
        return dict(model.card)


def _judged(content: bytes, data: Dataset) -> TextJudgement:
    with TextClassifier(Model.load(content)) as model:
        return judge(model, TextData(data))


def _how(reader: Reader) -> str:
    if isinstance(reader, Rows):
        return f"a table of {reader.rows:,} rows"
    if isinstance(reader, Parts):
        return f"{len(reader.tables)} tables of {reader.tables[0].rows:,} rows each"
    assert isinstance(reader, Bits)  # no recipe has another reader
    return f"{reader.signs.size:,} signs of random projections, and layers on them"


def _layers(model: TextModel) -> tuple[Layer, ...]:
    """Return layers by their bytes; of a table each row that is read counts once."""
    layers: list[Layer] = []
    readers = parts_of(model.reader)
    for number, (network, reader) in enumerate(zip(model.networks, readers, strict=True), 1):
        for name, layer in network.named_modules():
            if isinstance(layer, nn.Linear):
                count = layer.weight.numel()  # bytes in eight bits, and products of one text
                layers.append(Layer(f"{name} {number}", count, count))
        if isinstance(network, RowTable) and isinstance(reader, Rows):
            rows, width = network.table.shape
            size = rows * width * network.bits // 8
            layers.append(Layer(f"table {number}", size, reader.length * width))
    return tuple(sorted(layers, key=lambda layer: -layer.size))


def _parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())
