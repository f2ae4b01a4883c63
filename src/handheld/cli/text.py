"""``handheld text``: classifiers of short texts that fit a size."""

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from handheld.cli._output import Json, Output, Quiet, shown

if TYPE_CHECKING:
    from handheld.data import Dataset
    from handheld.projection import TextClassifier
    from handheld.projection.training.plan import FitFigures

app = typer.Typer(help="Train, judge and use classifiers of short texts.", no_args_is_help=True)

Model = Annotated[Path, typer.Argument(help="A .tflite text model.")]
Outside = Annotated[
    str | None, typer.Option("--oos", help="Label of the texts that are out of scope.")
]
LabelColumn = Annotated[
    str | None,
    typer.Option(
        help="Column of the labels, by its name, or by its number from 1 where there is no header."
    ),
]
TextColumn = Annotated[
    list[str] | None,
    typer.Option(help="Column of the texts, likewise; several are joined by a blank."),
]

NO_ANSWER = "?"

_VALID_FRACTION = 0.1  # of each label's texts, where none are given to validate by
_MAX_NAMED = 5  # rows that were left out, or labels that are not known, that are named

_UNITS = {"": 1, "b": 1, "kb": 1_000, "mb": 1_000_000, "kib": 1 << 10, "mib": 1 << 20}


@app.command()
def train(
    texts: Annotated[
        Path,
        typer.Argument(
            help="Texts to learn from: .tsv (label TAB text), .csv, .jsonl, fastText's .txt; "
            "or .gz."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Where to write the .tflite file.")],
    max_size: Annotated[str, typer.Option(help="Largest file, such as 100KB.")] = "100KB",
    valid: Annotated[
        Path | None, typer.Option(help="Texts to judge by; a tenth of the others if left out.")
    ] = None,
    oos: Outside = None,
    trainer: Annotated[
        list[str] | None,
        typer.Option(
            help="Network to learn from too: lstm, transformer, convolutional, "
            "package.module:factory."
        ),
    ] = None,
    joint: Annotated[bool, typer.Option(help="The trainer learns along, and not before.")] = False,
    reads: Annotated[
        str,
        typer.Option(
            help="What the model reads: picked n-grams, rows of a table that learns, or signs."
        ),
    ] = "picked",
    effort: Annotated[
        str,
        typer.Option(
            help="default, or high: tables learn too, ten times as long, and the better file is "
            "kept."
        ),
    ] = "default",
    class_weight: Annotated[
        str, typer.Option(help="none, or balanced: each label counts alike, however rare.")
    ] = "none",
    label_column: LabelColumn = None,
    text_column: TextColumn = None,
    bits: Annotated[int, typer.Option(help="Of a number in a table that learns: 4 or 8.")] = 4,
    licence: Annotated[str, typer.Option(help="Licence of the model, for its card.")] = "",
    seed: Annotated[int, typer.Option(min=0, help="Of weights and order.")] = 0,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Train a classifier that keeps a size.

    Ctrl-C stops it; the same command goes on where it was.
    """
    import shutil
    from dataclasses import asdict, replace

    from handheld.cli._bars import stage_bars
    from handheld.config import code_in
    from handheld.files import atomic_path
    from handheld.projection.judging import TextData
    from handheld.projection.report import training_page, training_page_of
    from handheld.projection.training.making import make_text_model
    from handheld.projection.training.plan import TextModelPlan
    from handheld.projection.training.recipe import recipe_for

    output = Output(json=json, quiet=quiet, out=[out, training_page_of(out)])
    output.reads(texts, valid)
    # A wrong size is told before the data is read.
    limit = _bytes(max_size)
    columns = _Columns(label_column, tuple(text_column or ()))
    known, held_out = _train_and_valid(texts, valid, columns, seed, output)
    data = TextData.of(known, oos)
    valid_data = TextData.of(held_out, oos)
    classes = len(data.known.classes)
    if joint and reads == "picked":
        reads = "rows"  # what learns along with a trainer is a network
    recipe = replace(recipe_for(reads, limit, classes), bits=bits)
    if joint:
        # a trainer learns along with one table, not with several
        recipe = replace(recipe, more=())
    plan = TextModelPlan(
        limit,
        recipe=recipe,
        trainers=_trainers(trainer or [], classes),
        joint=joint,
        licence=licence,
        seed=seed,
        class_weight=class_weight,
        high_effort=_is_high(effort),
    )
    # a trainer's factory may stand in this folder: no result must be written over its code
    output.reads(*code_in(Path()))
    # hidden, and beside the file: the same command finds it again
    state = out.with_name(f".{out.name}.training")
    with output.stoppable(state), stage_bars(output.console) as progress:
        model = make_text_model(data, valid_data, plan, state=state, progress=progress)
    with atomic_path(out) as temporary:
        temporary.write_bytes(model.content)
    page = training_page(model, out)
    # Last: a run that is killed before goes on from it.
    shutil.rmtree(state, ignore_errors=True)
    output.result(
        f"{out}: {len(model.content):,} bytes, {_figures(model.valid)}\n{_fit_line(model.fit)}",
        {
            "file": out,
            "bytes": len(model.content),
            **_values(model.valid),
            "fit": asdict(model.fit),
            "report": page,
        },
    )
    for warning in model.fit.warnings:
        output.say(f"note: {warning}")
    output.say(f"wrote {page}")


def _train_and_valid(
    texts: Path, valid: Path | None, columns: "_Columns", seed: int, output: Output
) -> tuple["Dataset", "Dataset"]:
    """Return texts to learn from and texts to validate by, and say what is odd about them."""
    from handheld.data.dataset import overlap_note

    known = _read(texts, output, columns)
    if valid is None:
        known, held_out = _set_apart(known, seed, output)
    else:
        # with the classes of the first: a label that is not among them cannot be validated
        held_out = _read(valid, output, columns, known.classes)
    if NO_ANSWER in known.classes:
        output.warn(
            f"the label {NO_ANSWER!r} is also what predict prints where it has no answer, with a "
            "probability of 0: rename it"
        )
    if note := overlap_note(known, held_out, "validation"):
        output.say(f"note: {note}")
    return known, held_out


@app.command()
def evaluate(
    model: Model,
    texts: Annotated[Path, typer.Argument(help="Labelled texts: label TAB text (.tsv), or .csv.")],
    oos: Outside = None,
    out: Annotated[
        Path | None, typer.Option(help="Report to write; beside the model if left out.")
    ] = None,
    label_column: LabelColumn = None,
    text_column: TextColumn = None,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Say how many texts a model labels right, and write a report of its mistakes."""
    from handheld.projection import TextClassifier
    from handheld.projection.judging import TextData, judge
    from handheld.projection.report import evaluation_page, evaluation_page_of

    page = out or evaluation_page_of(model)
    output = Output(json=json, quiet=quiet, out=page)
    output.reads(model, texts)
    with output.stoppable(), TextClassifier.open(model) as classifier:
        columns = _Columns(label_column, tuple(text_column or ()))
        # In the model's order, so that its numbers mean the same; others come behind.
        known = classifier.labels
        if oos is not None:
            known = (*known, oos)
        data = _read(texts, output, columns, known, keep_unknown=True)
        _tell_unknown(data, known, texts, output)
        judged = judge(classifier, TextData.of(data, oos))
    evaluation_page(judged, model, texts, page)
    output.result(
        f"{model}: {_figures(judged)}", {"file": model, **_values(judged), "report": page}
    )
    output.say(f"wrote {page}")


@app.command()
def predict(
    model: Model,
    reject: Annotated[
        bool,
        typer.Option(help="Answer ? where the largest probability is below the model's threshold."),
    ] = False,
    json: Annotated[
        Path | None,
        typer.Option(
            help="Write JSON lines, one a text; - writes them to standard output as they come, "
            "in place of words."
        ),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Label each line of standard input: label TAB probability TAB text.

    A line without text has the label ?.
    """
    from contextlib import nullcontext

    from handheld.files import open_lines
    from handheld.projection import TextClassifier

    output = Output(json=json, quiet=quiet)
    output.reads(model)
    # words among JSON lines on standard output would be no JSON
    with_words = not output.is_json
    stopped = False
    lines_file = open_lines(json) if json else nullcontext()
    # The model first: a wrong path is told before a file is made.
    with TextClassifier.open(model) as classifier, lines_file as lines:
        threshold = 0.0
        if reject:
            threshold = classifier.threshold
        try:
            for number, line in enumerate(sys.stdin.buffer, 1):
                answer = _answer(classifier, _line(line, number), threshold)
                if lines is not None:
                    lines.write(answer.to_json() + "\n")
                if with_words:
                    sys.stdout.buffer.write(answer.to_line().encode("utf-8", "replace"))
                    # So that whoever asks line by line is answered line by line.
                    sys.stdout.buffer.flush()
        except BrokenPipeError:
            _leave_quietly()
        except KeyboardInterrupt:
            stopped = True
    if stopped:  # only now, when the lines are whole
        output.stopped("all lines up to here are labelled")


class _Answer(NamedTuple):
    """What ``predict`` says of a text."""

    text: str
    label: str
    probability: float

    def to_json(self) -> str:
        import json

        values = {
            "label": self.label,
            "probability": round(float(self.probability), 4),
            "text": self.text,
        }
        return json.dumps(values, ensure_ascii=False)

    def to_line(self) -> str:
        return f"{shown(self.label, lines=False)}\t{self.probability:.4f}\t{self.text}\n"


def _answer(classifier: "TextClassifier", text: str, threshold: float) -> _Answer:
    """Return the label of a text; none where it is blank, or not as probable as the threshold."""
    if not text.strip():
        return _Answer(text, NO_ANSWER, 0.0)
    label, probability = classifier.classify(text, top=1)[0]
    if probability < threshold:
        label = NO_ANSWER
    return _Answer(text, label, probability)


def _line(content: bytes, number: int) -> str:
    """Return a line as text.

    Raises :class:`InputError` for bytes that are none, as training does.
    """
    from handheld.errors import InputError

    encoding = "utf-8"
    if number == 1:
        # a mark at the begin of a file is no letter of its first text
        encoding = "utf-8-sig"
    try:
        text = content.decode(encoding).rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise InputError(
            f"standard input, line {number}: byte {error.start} is no UTF-8 text "
            f"({error.reason}): write it as UTF-8"
        ) from error
    # what is ASCII in UTF-16 is UTF-8 too, with zeros between
    if "\0" in text:
        raise InputError(
            f"standard input, line {number}: holds zero bytes, as UTF-16 does: write it as UTF-8"
        )
    return text


def _leave_quietly() -> None:
    """Let nothing more be written: whoever reads, such as ``head``, has seen enough."""
    import os

    # Python writes what is left in its buffer when it ends, and would complain of the pipe then
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Columns(NamedTuple):
    """What was said of a table's columns."""

    label: str | None
    texts: tuple[str, ...]


def _set_apart(known: "Dataset", seed: int, output: Output) -> tuple["Dataset", "Dataset"]:
    """Return texts to learn from, and a tenth of each label's to validate by.

    Raises :class:`InputError` where no label has two texts.
    """
    from handheld.errors import InputError

    learned, held_out = known.split(_VALID_FRACTION, seed=seed, keep_single=True)
    if not len(held_out):
        raise InputError("no label has two texts: expected more, or texts to validate by (--valid)")
    if single := int((known.counts == 1).sum()):
        output.say(
            f"note: {single} of {len(known.classes)} labels have one text, which is learned and "
            "not validated by"
        )
    return learned, held_out


def _read(
    path: Path,
    output: Output,
    columns: _Columns,
    classes: tuple[str, ...] | None = None,
    *,
    keep_unknown: bool = False,
) -> "Dataset":
    """Read labelled texts; what is left out is told. Raises :class:`InputError`."""
    from handheld.data import read_table
    from handheld.errors import InputError

    data, skipped = read_table(
        path,
        classes,
        label_column=columns.label,
        text_columns=columns.texts,
        keep_unknown=keep_unknown,
    )
    # with the first row that was left out: mostly all are wrong in the same way
    if not len(data):
        reason = ""
        if skipped:
            first = f"{skipped[0].name}: {skipped[0].reason}"
            reason = f"; the first of {len(skipped)} that were left out, {first}"
        raise InputError(f"{path}: expected lines of label TAB text, got none{reason}")
    for name, reason in skipped[:_MAX_NAMED]:
        output.say(f"left out {name}: {reason}")
    count = len(skipped)
    if count > _MAX_NAMED:
        output.say(f"left out {count - _MAX_NAMED} more, {count} of {count + len(data)} rows")
    return data


def _tell_unknown(data: "Dataset", known: tuple[str, ...], path: Path, output: Output) -> None:
    """Say which labels the model does not know.

    Raises :class:`InputError` if it knows none of them.
    """
    from handheld.errors import InputError

    unknown = data.classes[len(known) :]
    if not unknown:
        return
    count = int((data.labels >= len(known)).sum())
    named = ", ".join(map(repr, unknown[:_MAX_NAMED]))
    if len(unknown) > _MAX_NAMED:
        named += " ..."
    if count == len(data):
        raise InputError(
            f"{path}: the model knows none of the labels {named}; "
            f"it knows {', '.join(known[:_MAX_NAMED])} ..."
        )
    output.say(
        f"{count} texts have labels that the model does not know and count as wrong: {named}"
    )


def _bytes(text: str) -> int:
    """Return a size in bytes. Raises :class:`InputError` for anything that is none."""
    from handheld.errors import InputError

    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*", text)
    size = 0
    if match is not None:
        # 0 for a unit that there is not
        unit = _UNITS.get(match[2].lower(), 0)
        size = round(float(match[1]) * unit)
    if not size:
        raise InputError(f"--max-size {text!r}: expected bytes, such as 100KB, 1.5MB or 98304")
    return size


def _is_high(effort: str) -> bool:
    from handheld.errors import InputError

    if effort not in ("default", "high"):
        raise InputError(f"--effort {effort!r}: expected default or high")
    return effort == "high"


def _fit_line(fit: "FitFigures") -> str:
    gap = 100 * (fit.train_accuracy - fit.valid_accuracy)
    return (
        f"of its own texts {fit.train_accuracy:.2%} right (loss {fit.train_loss:.3f}), "
        f"of the validation texts {fit.valid_accuracy:.2%} (loss {fit.valid_loss:.3f}; "
        f"{fit.balanced:.2%} in the mean of the labels), a gap of {gap:.1f} points; "
        f"the commonest label {fit.majority:.2%}"
    )


def _trainers(names: list[str], classes: int) -> tuple[Any, ...]:
    """Return names of trainers, and what factories make of the number of classes.

    Modules in this folder are taken too.
    """
    from handheld.config import factory

    trainers: list[Any] = []
    for name in names:
        # only factories have a colon in their names
        if ":" in name:
            trainers.append(factory(name, Path())(classes))
        else:
            trainers.append(name)
    return tuple(trainers)


def _figures(judged: Any) -> str:
    text = f"{judged.accuracy:.2%} of {len(judged.data.known):,} texts right"
    scope = judged.scope
    if scope is None:
        return text
    return (
        f"{text}; out of scope: AUROC {scope.auroc:.4f}, at a probability of {scope.threshold:.3f} "
        f"{scope.accuracy:.2%} answered and right, {scope.recall:.2%} of those out of scope refused"
    )


def _values(judged: Any) -> dict[str, Any]:
    """Return the figures of :func:`_figures` by name."""
    from dataclasses import asdict

    scope = None
    # there is none where no text is out of scope
    if judged.scope is not None:
        scope = asdict(judged.scope)
    return {"texts": len(judged.data.known), "accuracy": judged.accuracy, "out_of_scope": scope}
