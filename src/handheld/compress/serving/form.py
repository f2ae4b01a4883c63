"""The form of a job, and what is said of it at once: whether its values and the kinds of its files
are fine.
"""

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from handheld.compress.serving.limits import CompressLimits
from handheld.compress.serving.magic import check_archive, check_model
from handheld.compress.targets import Target
from handheld.errors import InputError
from handheld.service import FormField, JobKind
from handheld.service.jobs.kinds import Spec

# Of modules that import torch, which a server should not wait for; a test holds them equal.
NETWORKS = ("residual", "mobile", "plain", "projected")
"""Those of ``networks.zoo.pictures``."""

TEXT_NETWORKS = ("lstm", "transformer", "convolutional")
"""Those of ``projection.training.trainers``."""

TECHNIQUES = ("joint", "students", "pruning", "distillation", "quantisation", "sparsity")
"""Those of ``compress.settings``."""

SMALLEST_SIDE = 8  # the networks halve a picture three times
_DIGITS = 20  # of a number of members: more are no number that could be meant
# Endings under which torch, joblib and others write pickles.
_PICKLES = (".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".bin", ".joblib")


class ModelField(FormField):
    """A file field that says why it takes no pickle."""

    def file_name(self, sent: str) -> str:
        """Return the name under which a file is kept.

        Raises :class:`InputError` for an ending that is not accepted.
        """
        # a sentence of its own: such files are what most people have, and have to convert
        if sent.lower().endswith(_PICKLES):
            raise InputError(
                f"{self.label}: {sent[-80:]!r} is a pickle, which can run code where it is "
                "opened, so none is read here; write the weights with "
                "safetensors.torch.save_file(model.state_dict(), 'model.safetensors')"
            )
        return super().file_name(sent)


def job_kind(limits: CompressLimits | None = None) -> JobKind:
    """Return the kind of job that makes a family from an uploaded model and data."""
    limits = limits or CompressLimits()
    return JobKind(
        name="compress",
        title="One big model in, a family of small ones out",
        description="Upload labelled pictures or texts, say how small and fast the models should "
        "be, and take home .tflite files with a report of their measured size, speed and "
        "accuracy.",
        entry="handheld.compress.serving.job:run",
        fields=_fields(limits),
        check=partial(check, limits=limits),
    )


def _fields(limits: CompressLimits) -> Sequence[FormField]:
    return (
        FormField(
            name="data",
            label="Data",
            type="file",
            accept=(".zip", ".tar.gz", ".tgz"),
            help="An archive of pictures in a folder for each class (cat/1.jpg, dog/7.png; or "
            "train, valid and test folders of such), or with one .npz (x, y); or with one .tsv "
            f"of texts (label, tab, text). At most {limits.pictures:,} pictures or texts, "
            f"{limits.classes:,} classes, {limits.unpacked_bytes / 1e9:.3g} GB unpacked.",
        ),
        FormField(
            name="targets",
            label="Targets",
            default="20x smaller; 94x smaller, 27x faster; 70KB, plain",
            help="One for each model, with ; between them: a size (70KB), a latency on this "
            "server (5ms), 94x smaller or 27x faster than the large network, an accuracy (92%), "
            "and what to make (nested, pruned, residual, mobile, plain, projected; of texts "
            "nested or projected). Or only how many models: 6.",
        ),
        FormField(
            name="network",
            label="Large network",
            type="choice",
            choices=(*NETWORKS, *TEXT_NETWORKS),
            default=NETWORKS[0],
            help=f"The small ones learn from it. {', '.join(TEXT_NETWORKS).capitalize()} read "
            "texts, which have recipes of their own: of what follows here they take weights and "
            "the seed.",
        ),
        FormField(
            name="width",
            label="Width",
            type="number",
            default=str(min(32, limits.width)),
            minimum=1,
            maximum=limits.width,
            help="Channels of the large network's first layer.",
        ),
        ModelField(
            name="model",
            label="Your model",
            type="file",
            required=False,
            accept=(".safetensors", ".onnx"),
            help="Weights of such a network (.safetensors) to begin with, or an .onnx model "
            "whose answers all learn from. Pickles (.pt, .pth, .pkl) are refused.",
        ),
        FormField(
            name="trained",
            label="These weights are finished: teach with them, do not train them",
            type="flag",
        ),
        FormField(
            name="epochs",
            label="Epochs",
            type="number",
            default=f"{min(10, limits.epochs):g}",
            minimum=0.1,
            maximum=limits.epochs,
            help="Passes over the data.",
        ),
        FormField(
            name="side",
            label="Side",
            type="number",
            required=False,
            minimum=SMALLEST_SIDE,
            maximum=limits.side,
            help="Pixels to bring pictures to; needed where they differ in size.",
        ),
        FormField(
            name="label_column",
            label="Column of the labels",
            required=False,
            help="Of a table of texts whose header has names of its own, or a number from 1 "
            "where it has none; label, category, intent and other usual names are known.",
        ),
        FormField(
            name="text_columns",
            label="Columns of the texts",
            required=False,
            help="Likewise, with ; between several, which are joined.",
        ),
        FormField(
            name="mirror",
            label="Learn from mirrored pictures too (not of digits, letters, signs)",
            type="flag",
        ),
        FormField(name="quick", label="Quick: try one shape for each target", type="flag"),
        FormField(
            name="techniques",
            label="Techniques",
            default=", ".join(TECHNIQUES[:5]),
            required=False,
            help=f"Some of {', '.join(TECHNIQUES)}.",
        ),
        FormField(
            name="seed",
            label="Seed",
            type="number",
            default="0",
            minimum=0,
            maximum=2**31 - 1,
            help="The same seed gives the same family.",
        ),
    )


def check(upload: Path, spec: Spec, *, limits: CompressLimits) -> Spec:
    """Return the spec of a job as its process takes it.

    Raises :class:`InputError` for what could not work.
    """
    checked = dict(spec)
    for name in ("width", "side", "seed"):
        checked[name] = _whole(name, spec[name])
    checked["techniques"] = _techniques(spec["techniques"] or "")
    checked["targets"] = _targets(spec["targets"], checked["techniques"], limits)
    check_archive(upload / spec["data"])
    if spec["model"] is not None:
        check_model(upload / spec["model"], limits)
    if spec["trained"] and not str(spec["model"]).endswith(".safetensors"):
        raise InputError(
            "Your model: finished weights need a .safetensors file; upload one, or do not tick "
            "that they are"
        )
    # those of today: a job that waits keeps them where the server gets others
    return checked | {"limits": asdict(limits)}


def _whole(name: str, value: float | None) -> int | None:
    if value is None:
        return None
    # a form's numbers are floats
    if value != int(value):
        raise InputError(f"{name.capitalize()}: expected a whole number, got {value:g}")
    return int(value)


def _techniques(text: str) -> list[str]:
    names = [name.strip().lower() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in TECHNIQUES:
            # cut: it comes from a stranger, and is written into a page
            raise InputError(
                f"Techniques: no {name[:80]!r}; expected some of {', '.join(TECHNIQUES)}"
            )
    # each once, in their order
    return list(dict.fromkeys(names))


def _targets(text: str, techniques: Sequence[str], limits: CompressLimits) -> int | list[str]:
    """Return a number of members, or targets as texts that ``Target.of`` reads."""
    if text.strip().isdecimal():
        # Of few digits: converting numbers of thousands of digits takes quadratic time.
        count = int(text.strip()[:_DIGITS])
        limits.require("Targets", count, "members")
        if not count:
            raise InputError("Targets: expected one model or more, got 0")
        return count
    texts = [target for target in map(str.strip, text.split(";")) if target]
    if not texts:
        raise InputError(
            "Targets: expected texts such as '70KB; 94x smaller, 27x faster; 20KB, plain', got none"
        )
    limits.require("Targets", len(texts), "members")
    return [str(_target(target, techniques)) for target in texts]


def _target(text: str, techniques: Sequence[str]) -> Target:
    try:
        target = Target.of(text)
    except InputError as error:
        raise InputError(f"Targets: {error}") from error
    if target.kind in NETWORKS and "students" not in techniques:
        raise InputError(
            f"Targets: '{target}' needs the technique students; add it, or ask for nested or pruned"
        )
    return target


def target_list(stored: Any) -> int | list[Target]:
    """Return the targets of a spec as ``compress`` takes them."""
    if isinstance(stored, int):
        return stored
    return list(map(Target.of, stored))
