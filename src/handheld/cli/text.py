"""``handheld text``: classifiers of short texts that fit a size."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from handheld.data import Dataset

app = typer.Typer(help="Train, judge and use classifiers of short texts.", no_args_is_help=True)

Model = Annotated[Path, typer.Argument(help="A .tflite text model.")]
Outside = Annotated[str | None, typer.Option("--oos", help="Label of the texts that are out of scope.")]

NO_ANSWER = "?"


@app.command()
def train(
    texts: Annotated[Path, typer.Argument(help="Texts to learn from: a line each, label TAB text (.tsv), or .csv.")],
    out: Annotated[Path, typer.Option(help="Where to write the .tflite file.")],
    max_size: Annotated[str, typer.Option(help="Largest file, such as 100KB.")] = "100KB",
    valid: Annotated[Path | None, typer.Option(help="Texts to judge by; a tenth of the others if left out.")] = None,
    oos: Outside = None,
    trainer: Annotated[
        list[str] | None,
        typer.Option(help="Network to learn from too: lstm, transformer, convolutional, package.module:factory."),
    ] = None,
    joint: Annotated[bool, typer.Option(help="The trainer learns along, and not before.")] = False,
    reads: Annotated[str, typer.Option(help="What the model reads: rows of a table that learns, or signs.")] = "rows",
    bits: Annotated[int, typer.Option(help="Of a number in a table that learns: 4 or 8.")] = 4,
    licence: Annotated[str, typer.Option(help="Licence of the model, for its card.")] = "",
    seed: Annotated[int, typer.Option(min=0, help="Of weights and order.")] = 0,
) -> None:
    """Train a classifier that keeps a size. Ctrl-C stops it; the same command goes on where it was."""
    import shutil
    from dataclasses import replace

    from rich.console import Console

    from handheld.cli._bars import stage_bars
    from handheld.cli._text_page import training_page
    from handheld.media import atomic_path
    from handheld.projection.judging import TextData
    from handheld.projection.training.making import Plan, make_text_model
    from handheld.projection.training.recipe import recipe_for

    console = Console(stderr=True)
    known = _read(texts, console)
    if valid is None:
        known, held_out = known.split(0.1, seed=seed)
    else:
        held_out = _read(valid, console, known.classes)
    data, judged_by = TextData.of(known, oos), TextData.of(held_out, oos)
    limit = _bytes(max_size)
    classes = len(data.known.classes)
    recipe = replace(recipe_for(reads, limit, classes), bits=bits)
    recipe = replace(recipe, more=()) if joint else recipe
    trainers = _trainers(trainer or [], classes)
    plan = Plan(limit, recipe=recipe, trainers=trainers, joint=joint, licence=licence, seed=seed)
    state = out.with_name(f".{out.name}.training")
    with stage_bars(console) as progress:
        made = make_text_model(data, judged_by, plan, state=state, progress=progress)
    with atomic_path(out) as temporary:
        temporary.write_bytes(made.content)
    page = training_page(made, out)
    shutil.rmtree(state, ignore_errors=True)
    typer.echo(f"{out}: {len(made.content):,} bytes, {_figures(made.valid)}")
    console.print(f"wrote {page}", soft_wrap=True, highlight=False)


@app.command()
def evaluate(
    model: Model,
    texts: Annotated[Path, typer.Argument(help="Labelled texts: label TAB text (.tsv), or .csv.")],
    oos: Outside = None,
    out: Annotated[Path | None, typer.Option(help="Report to write; beside the model if left out.")] = None,
) -> None:
    """Say how many texts a model labels right, and write a report of its mistakes."""
    from rich.console import Console

    from handheld.cli._text_page import evaluation_page
    from handheld.projection import TextClassifier
    from handheld.projection.judging import TextData, judge

    console = Console(stderr=True)
    with TextClassifier.open(model) as classifier:
        data = _read(texts, console, classifier.labels if oos is None else (*classifier.labels, oos))
        judged = judge(classifier, TextData.of(data, oos))
    page = evaluation_page(judged, model, texts, out)
    typer.echo(f"{model}: {_figures(judged)}")
    console.print(f"wrote {page}", soft_wrap=True, highlight=False)


@app.command()
def predict(
    model: Model,
    reject: Annotated[
        bool, typer.Option(help="Answer ? where the largest probability is below the model's threshold.")
    ] = False,
) -> None:
    """Label each line of standard input: label TAB probability TAB text. A line without text has the label ?."""
    from handheld.projection import TextClassifier

    with TextClassifier.open(model) as classifier:
        least = classifier.threshold if reject else 0.0
        try:
            for line in sys.stdin.buffer:
                text = line.decode("utf-8", "replace").rstrip("\r\n")
                label, share = classifier.classify(text, top=1)[0] if text.strip() else (NO_ANSWER, 0.0)
                answer = f"{label if share >= least else NO_ANSWER}\t{share:.4f}\t{text}\n"
                sys.stdout.buffer.write(answer.encode("utf-8", "replace"))
                sys.stdout.buffer.flush()  # so that whoever asks line by line is answered line by line
        except BrokenPipeError:
            _leave_quietly()


def _leave_quietly() -> None:
    """Let nothing more be written: whoever reads, such as ``head``, has seen enough."""
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _read(path: Path, console: Any, classes: tuple[str, ...] | None = None) -> "Dataset":
    """Read labelled texts; what is left out is told. Raises :class:`InputError`."""
    from handheld.data import read_table
    from handheld.errors import InputError

    data, skipped = read_table(path, classes)
    if not len(data):
        why = f"; the first of {len(skipped)} that were left out, {skipped[0].name}: {skipped[0].reason}" if skipped else ""
        raise InputError(f"{path}: expected lines of label TAB text, got none{why}")
    for one in skipped[:5]:
        console.print(f"left out {one.name}: {one.reason}", highlight=False, soft_wrap=True, markup=False)
    if len(skipped) > 5:
        console.print(f"left out {len(skipped) - 5} more")
    return data


def _bytes(text: str) -> int:
    from handheld.compress.targets import Target
    from handheld.errors import InputError

    limits = Target.of(text)
    if limits.size is None:
        raise InputError(f"--max-size {text!r}: expected bytes, such as 100KB")
    return limits.size


def _trainers(names: list[str], classes: int) -> tuple[Any, ...]:
    """Return names of trainers, and what factories make of the number of classes; modules here are found too."""
    from handheld.config import factory

    return tuple(factory(name, Path())(classes) if ":" in name else name for name in names)


def _figures(judged: Any) -> str:
    text = f"{judged.accuracy:.2%} of {len(judged.data.known):,} texts right"
    if (scope := judged.scope) is None:
        return text
    return (
        f"{text}; out of scope: AUROC {scope.auroc:.4f}, at a probability of {scope.threshold:.3f} "
        f"{scope.accuracy:.2%} answered and right, {scope.recall:.2%} of those out of scope refused"
    )
