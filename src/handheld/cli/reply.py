"""``handheld reply``: replies to messages, on the device."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from handheld.cli._hosts import LOCAL
from handheld.cli._output import Json, Output, Quiet

if TYPE_CHECKING:
    from handheld.reply import Replier, Suggestions

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

    replier = _open(bundle, personal)
    found = replier.suggest([read_message(text) for text in messages], n=n, fallback=fallback)
    output = Output(json=json, quiet=quiet)
    if found.reason:
        output.say(f"({found.reason})")
    output.result(_words(found, why=why), asdict(found))


@app.command()
def chat(
    bundle: Bundle = None,
    personal: Personal = None,
    why: Annotated[bool, typer.Option(help="Print what speaks for each reply.")] = False,
) -> None:
    """Chat in the terminal: write what the other one says, then pick a reply by its number, or write your own."""
    from handheld.reply import Message

    replier = _open(bundle, personal)
    said: list[Message] = []
    typer.echo(
        "What does the other one say? An empty line ends it; /forget forgets what was learned from you.",
        err=True,
    )
    while text := _ask("them"):
        if text == "/forget":
            replier.forget()
            continue
        said.append(Message(text))
        found = replier.suggest(said, fallback=True)
        if found.reason:
            typer.echo(f"({found.reason})", err=True)
        if found.replies:
            typer.echo(_words(found, why=why))
        if not (answer := _ask("you (a number, or your own words)")):
            continue
        picked = int(answer) - 1 if answer.isdigit() else -1
        answer = found.texts[picked] if 0 <= picked < len(found.texts) else answer
        if not replier.learn(said, answer):
            typer.echo(f"(not remembered: {replier.reason_against(answer)})", err=True)
        said.append(Message(answer, mine=True))


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

    wanted = read(config)
    wanted = wanted if out is None else replace(wanted, out=out)
    output = Output(json=json, quiet=quiet, out=wanted.out)
    wanted = wanted if base is None else replace(wanted, base=base)
    wanted = wanted if encoder is None else replace(wanted, encoder=encoder)
    with output.stoppable(state_of(wanted)), stage_bars(output.console) as progress:
        bundle, pairs, skipped = make(wanted, progress=progress)
    for each in skipped:
        output.say(f"left out {each.name}: {each.reason}")
    Replier.open(wanted.out)
    size = wanted.out.stat().st_size
    replies = len(bundle.replies)
    intents = len(bundle.intents)
    output.result(
        f"{wanted.out}: {size:,} bytes, {replies} replies of {intents} intents, from {len(pairs):,} answers",
        {
            "file": wanted.out,
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
    most: Annotated[int, typer.Option(min=1, help="Answers that are judged.")] = 2000,
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

    output = Output(json=json, quiet=quiet)
    replier = Replier.open(bundle)
    read = read_conversations(conversations)
    for each in read.skipped:
        output.say(f"left out {each.name}: {each.reason}")
    with output.stoppable(), stage_bars(output.console) as progress:
        evaluation = evaluate_replies(
            replier,
            read.conversations,
            candidates=candidates,
            max_exchanges=most,
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

    if host not in LOCAL:
        typer.echo(
            "everybody who reaches this address may chat here, and read and change what was learned from you",
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


def _words(found: "Suggestions", *, why: bool) -> str:
    lines = []
    for number, reply in enumerate(found.replies, 1):
        reasons = f"\t{reply.intent}, {reply.score:.0%}; {' '.join(reply.words)}"
        lines.append(f"{number}  {reply.text}{reasons if why else ''}")
    return "\n".join(lines)
