"""``handheld reply``: replies to messages, on the device."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from handheld.cli._hosts import LOCAL
from handheld.cli._output import Json, Output, Quiet

if TYPE_CHECKING:
    from handheld.reply import Message, Replier, Suggestions

app = typer.Typer(
    help="Suggest replies to messages, and make the models that do it.", no_args_is_help=True
)

Bundle = Annotated[
    Path | None,
    typer.Option(help="Bundle of replies; the English one that is shipped if left out."),
]
Personal = Annotated[
    Path | None, typer.Option(help="File of what was learned from you; made if there is none.")
]


@app.command()
def suggest(
    messages: Annotated[
        list[str],
        typer.Argument(help="The last messages, the newest last; yours begin with 'me: '."),
    ],
    bundle: Bundle = None,
    personal: Personal = None,
    n: Annotated[int, typer.Option("--number", "-n", min=1, help="Replies.")] = 3,
    fallback: Annotated[
        bool, typer.Option(help="Print the fixed replies where the model is not confident.")
    ] = False,
    why: Annotated[bool, typer.Option(help="Print what speaks for each reply.")] = False,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Print replies to a message, one a line; nothing where the model is not confident."""
    from dataclasses import asdict

    from handheld.reply.conversation import read_message

    output = Output(json=json, quiet=quiet)
    output.reads(bundle, personal)
    replier = _open(bundle, personal)
    suggestions = replier.suggest(list(map(read_message, messages)), n=n, fallback=fallback)
    # on standard error: a script that reads replies gets nothing else
    if suggestions.reason:
        output.say(f"({suggestions.reason})")
    output.result(_words(suggestions, why=why), asdict(suggestions))


@app.command()
def chat(
    bundle: Bundle = None,
    personal: Personal = None,
    why: Annotated[bool, typer.Option(help="Print what speaks for each reply.")] = False,
) -> None:
    """Chat in the terminal.

    Write what the other one says, then pick a reply by its number, or write your own.
    """
    from handheld.reply import Message

    # read once: what is learned on the way counts for the next message
    replier = _open(bundle, personal)
    said: list[Message] = []
    typer.echo(
        "What does the other one say? An empty line ends it; /forget forgets what was learned from "
        "you.",
        err=True,
    )
    while text := _ask("them"):
        if text == "/forget":
            replier.forget()
            continue
        said.append(Message(text))
        # with the fixed replies, so that there is always something to pick
        suggestions = replier.suggest(said, fallback=True)
        _show(suggestions, why=why)
        answer = _ask("you (a number, or your own words)")
        if not answer:
            continue
        answer = _picked(answer, suggestions.texts)
        if reason := _not_learned(replier, said, answer):
            typer.echo(f"(not remembered: {reason})", err=True)
        said.append(Message(answer, mine=True))


def _not_learned(replier: "Replier", said: "list[Message]", answer: str) -> str:
    """Learn an answer; return why it was not, and nothing where it was."""
    from handheld.errors import InputError

    try:
        is_learned = replier.learn(said, answer)
    except InputError as error:
        # A broken byte on standard input must not end the chat.
        return str(error)
    if is_learned:
        return ""
    return replier.reason_against(answer) or "nothing is learned from such a message"


def _show(suggestions: "Suggestions", *, why: bool) -> None:
    if suggestions.reason:
        typer.echo(f"({suggestions.reason})", err=True)
    if suggestions.replies:
        typer.echo(_words(suggestions, why=why))


def _picked(answer: str, texts: Sequence[str]) -> str:
    """Return the reply of a number, or else the answer itself."""
    number = 0
    if answer.isdecimal():
        number = int(answer)
    # another number is an answer of its own, such as a year
    if not 1 <= number <= len(texts):
        return answer
    return texts[number - 1]


@app.command()
def train(
    config: Annotated[Path, typer.Argument(help="TOML file: conversations and settings.")],
    out: Annotated[
        Path | None, typer.Option(help="The bundle, instead of the configuration's.")
    ] = None,
    base: Annotated[
        Path | None,
        typer.Option(help="Bundle whose ranker and replies stay as they are; the rest is learned."),
    ] = None,
    encoder: Annotated[
        Path | None,
        typer.Option(
            help="Folder of a sentence encoder that teaches the detector of grave topics."
        ),
    ] = None,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Make a bundle of conversations. Ctrl-C stops it; the same command goes on where it was."""
    from dataclasses import replace

    from handheld.cli._bars import stage_bars
    from handheld.reply import Replier
    from handheld.reply.training.config import read
    from handheld.reply.training.run import state_of
    from handheld.reply.training.run import train as make

    # before anything is opened: the bundle is written where the command line says, if it does
    settings = read(config)
    settings = replace(
        settings,
        out=out or settings.out,
        base=base or settings.base,
        encoder=encoder or settings.encoder,
    )
    output = Output(json=json, quiet=quiet, out=settings.out)
    output.reads(config, *settings.files)
    with output.stoppable(state_of(settings)), stage_bars(output.console) as progress:
        bundle, pairs, skipped = make(settings, progress=progress)
    for name, reason in skipped:
        output.say(f"left out {name}: {reason}")
    # Opened once: a bundle that cannot be used is told now.
    Replier.open(settings.out)
    size = settings.out.stat().st_size
    replies = len(bundle.replies)
    intents = len(bundle.intents)
    output.result(
        f"{settings.out}: {size:,} bytes, {replies} replies of {intents} intents, "
        f"from {len(pairs):,} answers",
        {
            "file": settings.out,
            "bytes": size,
            "replies": replies,
            "intents": intents,
            "answers": len(pairs),
        },
    )


@app.command()
def evaluate(
    bundle: Annotated[Path, typer.Argument(help="Bundle of replies.")],
    conversations: Annotated[
        Path, typer.Argument(help="Conversations that it has not seen: .jsonl or .jsonl.gz.")
    ],
    candidates: Annotated[
        int, typer.Option(min=2, help="Answers to choose from, one of them true.")
    ] = 100,
    max_exchanges: Annotated[
        int, typer.Option("--most", min=1, help="Answers that are judged.")
    ] = 2000,
    seed: Annotated[int, typer.Option(min=0, help="Of the draw.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Write a report: an HTML page.")] = None,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Say how well a bundle ranks answers, when it speaks, and how often it is right."""
    from dataclasses import asdict

    from handheld.cli._bars import stage_bars
    from handheld.reply import Replier, read_conversations
    from handheld.reply.evaluation import evaluate as evaluate_replies
    from handheld.reply.report import write_report

    output = Output(json=json, quiet=quiet, out=out)
    output.reads(bundle, conversations)
    replier = Replier.open(bundle)
    read = read_conversations(conversations)
    for name, reason in read.skipped:
        output.say(f"left out {name}: {reason}")
    with output.stoppable(), stage_bars(output.console) as progress:
        evaluation = evaluate_replies(
            replier,
            read.conversations,
            candidates=candidates,
            max_exchanges=max_exchanges,
            seed=seed,
            report=lambda done, count: progress("evaluate", done / count, ""),
        )
    ranking = evaluation.ranking
    output.result(
        f"R@1 {ranking.recall_at_1:.1%}, R@10 {ranking.recall_at_10:.1%}, MRR {ranking.mrr:.3f}"
        f" of {candidates} candidates, {evaluation.exchanges} answers\n"
        f"suggests for {evaluation.trigger_rate:.1%}, of these {evaluation.hit_rate:.1%} hold the"
        f" intent that was answered, {evaluation.diversity:.1%} have three intents\n"
        f"recall@3 by intent {evaluation.recall_at_3:.1%};"
        f" of what is offered {evaluation.offered_recall_at_3:.1%};"
        f" the three commonest intents {evaluation.baseline_recall_at_3:.1%}"
        f" ({evaluation.known_exchanges} answers with one)",
        asdict(evaluation),
    )
    if out is not None:
        write_report(out, replier.bundle, evaluation)


@app.command()
def serve(
    bundle: Bundle = None,
    personal: Personal = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")
    ] = 8080,
) -> None:
    """Chat in a page on this machine; Ctrl-C stops it."""
    from handheld.reply.page import serve as answer

    # the page has no accounts: who opens it is who it learns from
    if host not in LOCAL:
        typer.echo(
            "everybody who reaches this address may chat here, and read and change what was "
            "learned from you",
            err=True,
        )
    answer(_open(bundle, personal), personal=personal, host=host, port=port, on_start=typer.echo)


def _open(bundle: Path | None, personal: Path | None) -> "Replier":
    from handheld.reply import Replier

    return Replier.open(bundle, personal=personal)


def _ask(who: str) -> str:
    try:  # not by typer.prompt, for which Ctrl-C and the end of the input are one
        return input(f"{who}: ").strip()
    except EOFError:
        return ""


def _words(suggestions: "Suggestions", *, why: bool) -> str:
    lines = []
    for number, reply in enumerate(suggestions.replies, 1):
        line = f"{number}  {reply.text}"
        if why:
            line += f"\t{reply.intent}, {reply.score:.0%}; {' '.join(reply.words)}"
        lines.append(line)
    return "\n".join(lines)
