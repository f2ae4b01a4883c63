"""The whole way from a trainer network for texts to a family of small files; each stage goes on from where a killed run was."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from handheld.compress.assembling import marked, origin, teacher_record
from handheld.compress.family import Family, Latency, Layer, Member, Step
from handheld.compress.measuring import latencies
from handheld.compress.report import write_report
from handheld.compress.settings import Settings, TextEpochs
from handheld.compress.targets import Target
from handheld.compress.teacher_file import guesses, warn
from handheld.compress.teachers import Teacher
from handheld.compress.texts.teacher import Taught, learned, network_of, read_only
from handheld.data import Dataset, Splits
from handheld.engine import Model, embed
from handheld.errors import InputError
from handheld.files import atomic_path
from handheld.projection import TextClassifier
from handheld.projection.cards import reader_of
from handheld.projection.inputs import Bits, Parts, Reader, Rows
from handheld.projection.judging import TextData, TextJudgement, judge
from handheld.projection.training.lessons import TextLesson
from handheld.projection.training.making import make_text_model
from handheld.projection.training.plan import TextModel, TextModelPlan
from handheld.projection.training.recipe import compiled, parts_of, recipe_for
from handheld.projection.training.table import RowTable
from handheld.training.runs import Progress, RunFolder, StageClock, open_run, values_digest

KINDS: Mapping[str, str] = {"nested": "rows", "projected": "signs"}
"""What a target's kind reads; the kind that targets have unless they say another is a table."""

LARGEST = 260_000  # bytes of a file for a target that limits no size
_ROUNDS, _SECONDS = 100, 0.3  # of each file, at least
_KEPT = 128  # bytes, for what a member's card says beside a model's
_UNTIMED = Latency(0.0, 0.0, 0.0, 0)
_FLOAT = "float32 "

_Files = tuple[Member, bytes, bytes]
"""A member, its file, and its float32 file."""


@dataclass(frozen=True, eq=False)
class _Run:
    data: Splits
    settings: Settings
    targets: tuple[Target, ...]
    space: RunFolder
    clock: StageClock
    lesson: TextLesson
    teacher: Taught
    source: Mapping[str, Any]
    notes: Sequence[str]


def ladder(count: int) -> tuple[Target, ...]:
    """Return targets for so many members, each half of the one before. Raises :class:`InputError` for fewer than one."""
    if count < 1:
        raise InputError(f"expected one member or more, got {count}")
    return tuple(Target(size=LARGEST >> step) for step in range(count))


def compress_texts(
    model: nn.Module | Teacher,
    data: Splits,
    *,
    out: Any,
    targets: tuple[Target, ...],
    settings: Settings,
    trained: bool,
    base: Any,
    progress: Progress,
) -> Family:
    """Turn a trainer network for texts into a family; arguments and errors are those of ``compress``."""
    ours = Settings(
        techniques=settings.techniques,
        texts=settings.texts,
        seed=settings.seed,
        threads=settings.threads,
    )
    if settings != ours:
        raise InputError(
            "these are texts, which learn by the recipes of `projection`: of [settings] they take seed, threads and, under "
            "[settings.texts], epochs as teacher and members; the rest is of pictures"
        )
    if odd := [str(target) for target in targets if target.kind not in KINDS]:
        raise InputError(f"target {odd[0]!r}: members for texts are {' or '.join(KINDS)}")
    source = model if isinstance(model, Teacher) else Teacher(network=type(model).__qualname__)
    if source.mean or source.classes:
        raise InputError(
            "mean, std and classes of [teacher] are of a file that takes pictures; these are texts"
        )
    plan: dict[str, Any] = {
        "teacher": source.record,
        "trained": trained or source.trained,
        "seed": settings.seed,
        **({} if settings.texts == TextEpochs() else {"texts": asdict(settings.texts)}),
        "targets": [str(target) for target in targets],
        "data": values_digest(data.train.digest, data.valid.digest, data.test.digest),
    }
    lesson, classes = TextLesson.of(data.train), data.classes
    network = None if source.file else network_of(model, len(classes), settings.seed, Path(base))
    with open_run(out, plan) as space:
        clock = StageClock(progress, kept=space.file("seconds.json"))
        notes: list[str] = []
        with clock.of("teacher"):
            if source.file or network is None:
                taught = read_only(Path(base) / str(source.file), lesson, classes)
            else:
                taught = learned(
                    network, lesson, classes, trained=plan["trained"], epochs=settings.texts.teacher, seed=settings.seed,
                    save=space.file("teacher.pt"), report=clock.steps,
                )  # fmt: skip
        if not taught.curve:
            judged = _judge(taught.content, data.valid)
            name = Path(source.file or source.network).name
            notes = guesses(name, round(judged.accuracy * len(data.valid)), data.valid.labels)
            warn(notes)
        said = teacher_record(source, trained=plan["trained"])
        return _members(_Run(data, settings, targets, space, clock, lesson, taught, said, notes))


def _members(run: _Run) -> Family:
    clock, teacher = run.clock, _teacher(run)
    made: list[_Files] = [(teacher, run.teacher.content, run.teacher.content)]
    for number, target in enumerate(run.targets, 1):
        name = f"{KINDS[target.kind]}_{number}"
        with clock.of(name):
            made.append(_made(run, name, target, target.max_size(teacher)))
    with clock.of("measuring"):
        made = _timed(made, _typical(run.lesson.texts))
        teacher, *members = [_written(run, member, content) for member, content, _ in made]
    members = [
        _judged(member, target, teacher)
        for member, target in zip(members, run.targets, strict=True)
    ]
    members.sort(key=lambda member: (-member.size, member.name))
    targets = [str(target) for target in run.targets]
    settings = {"seed": run.settings.seed, "texts": asdict(run.settings.texts), "targets": targets}
    record = {
        **origin(run.data, run.settings.seed, settings, clock.seconds),
        "teacher": run.source,
        "notes": run.notes,
    }
    family = Family(run.space.folder, run.data.classes, teacher, marked(members), {}, record)
    family.save()
    write_report(family)
    run.space.clear()
    return family


def _made(run: _Run, name: str, target: Target, max_size: float | None) -> _Files:
    """Train a member; return it without latencies, its file, and its float32 file."""

    def report(stage: str, done: float, text: str) -> None:
        run.clock.progress(run.clock.stage, done, f"{stage} {text}".strip())

    limit = int(max_size or LARGEST) - _KEPT
    recipe = recipe_for(KINDS[target.kind], limit, len(run.data.classes))
    if run.settings.texts.members is not None:
        recipe = replace(
            recipe, schedule=replace(recipe.schedule, epochs=run.settings.texts.members)
        )
    plan = TextModelPlan(limit, recipe=recipe, seed=run.settings.seed)
    one = make_text_model(
        TextData(run.data.train), TextData(run.data.valid), plan,
        answers=run.teacher.answers, state=run.space.state, progress=report,
    )  # fmt: skip
    in_float = compiled(one.networks, one.reader, run.lesson.texts, one.card, precision="float32")
    judged, floated = _judge(one.content, run.data.test), _judge(in_float, run.data.test)
    is_table, layers = not isinstance(one.reader, Bits), _layers(one)
    member = Member(
        name=name,
        file=f"{name}.tflite",
        how=_how(one.reader),
        precision="int4" if is_table else "int8",
        size=len(one.content),
        macs=sum(layer.macs for layer in layers),
        parameters=sum(
            values.numel() for network in one.networks for values in network.parameters()
        ),
        latency=_UNTIMED,
        accuracy=judged.accuracy,
        accuracy_float=floated.accuracy,
        valid=one.valid.accuracy,
        size_float=len(in_float),
        latency_float=_UNTIMED,
        target=str(target),
        steps=(
            Step("float32 file", _judge(in_float, run.data.valid).accuracy, len(in_float)),
            Step(
                "four bits while learning" if is_table else "int8 weights",
                one.valid.accuracy,
                len(one.content),
            ),
        ),
        layers=layers,
        confusion=judged.confusion,
        curve=tuple(one.curves["model"]),
    )
    return member, one.content, in_float


def _teacher(run: _Run) -> Member:
    content, judged = run.teacher.content, _judge(run.teacher.content, run.data.test)
    return Member(
        name="teacher",
        file="teacher.tflite",
        how=run.teacher.how,
        precision="float32" if run.teacher.curve else "as given",
        size=len(content),
        macs=0,
        parameters=run.teacher.parameters,
        latency=_UNTIMED,
        accuracy=judged.accuracy,
        accuracy_float=judged.accuracy,
        valid=_judge(content, run.data.valid).accuracy,
        size_float=len(content),
        latency_float=_UNTIMED,
        confusion=judged.confusion,
        curve=run.teacher.curve,
    )


def _judge(content: bytes, data: Dataset) -> TextJudgement:
    with TextClassifier(Model.load(content)) as model:
        return judge(model, TextData(data))


def _timed(made: Sequence[_Files], text: str) -> list[_Files]:
    """Measure all files side by side, reading one text."""
    files = {
        kind + one.name: file
        for one, *both in made
        for kind, file in zip(("", _FLOAT), both, strict=True)
    }
    timed = latencies(
        files,
        rounds=_ROUNDS,
        min_seconds=_SECONDS,
        inputs=lambda model: [reader_of(model.card.get("text")).of([text])],
    )
    return [
        (
            replace(one, latency=timed[one.name], latency_float=timed[_FLOAT + one.name]),
            content,
            in_float,
        )
        for one, content, in_float in made
    ]


def _typical(texts: Sequence[str]) -> str:
    """Return the text of middle length."""
    return sorted(texts, key=len)[len(texts) // 2]


def _written(run: _Run, member: Member, content: bytes) -> Member:
    """Write a file whose card says how good it is, and return the member with the file's size."""
    with Model.load(content) as model:
        card = dict(model.card)
    figures = {"test": round(member.accuracy, 4), "examples": len(run.data.test)}
    content = embed(content, {**card, "accuracy": figures, "how": member.how})
    with atomic_path(run.space.folder / member.file) as temporary:
        temporary.write_bytes(content)
    return replace(member, size=len(content))


def _judged(member: Member, target: Target, teacher: Member) -> Member:
    misses = target.misses(member, teacher)
    return replace(member, met=not misses, reason="; ".join(misses))


def _how(reader: Reader) -> str:
    if isinstance(reader, Rows):
        return f"a table of {reader.rows:,} rows"
    if isinstance(reader, Parts):
        return f"{len(reader.tables)} tables of {reader.tables[0].rows:,} rows each"
    assert isinstance(reader, Bits)
    return f"{reader.signs.size:,} signs of random projections, and layers on them"


def _layers(one: TextModel) -> tuple[Layer, ...]:
    """Return layers by their bytes; of a table each row that is read counts once."""
    found = []
    for number, (network, part) in enumerate(
        zip(one.networks, parts_of(one.reader), strict=True), 1
    ):
        linear = [
            (name, layer.weight.numel())
            for name, layer in network.named_modules()
            if isinstance(layer, nn.Linear)
        ]
        found += [Layer(f"{name} {number}", count, count) for name, count in linear]
        if isinstance(network, RowTable) and isinstance(part, Rows):
            rows, width = network.table.shape
            found.append(
                Layer(f"table {number}", rows * width * network.bits // 8, part.length * width)
            )
    return tuple(sorted(found, key=lambda layer: -layer.size))
