"""The largest networks that fit a target, found by compiling and measuring them."""

import json
import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path

import numpy as np

from handheld.compress.family import Latency
from handheld.compress.pictures.candidates import LEVELS, Builder, Candidate
from handheld.compress.pictures.probe import Figures, Probe
from handheld.compress.pictures.run import PictureRun
from handheld.compress.targets import MOST_MEMBERS, Target
from handheld.config import from_table
from handheld.engine import compact
from handheld.errors import InputError
from handheld.files import atomic_path
from handheld.networks.structure import removable_blocks
from handheld.ranges import whole_in_range
from handheld.training.runs import damaged, read_kept

_SURE = 0.8  # of a limit: an estimate below it, or as far above, needs no measuring
# The finished file has a longer card than the one that is measured, and timings spread.
_SIZE_MARGIN = 0.97
_LATENCY_MARGIN = 0.9
_WRONG = 0.2  # chance that a reading of the latency is on the wrong side of a limit
_CERTAIN = 0.99  # that a level is the highest that fits, when no more readings are taken
# Where two levels are on both sides of a limit by less than the noise, either will do.
_MOST_READINGS = 50
_SMALLER_SIDE = 0.75  # of the pictures that a small variant of a member looks at
_LEAST_SIDE = 20  # pixels, of pictures that may become smaller still

# Targets of a family of which only the number of members is said: each half of the one before.
_FIRST_RATIO = 8.0
_OTHERS = (Target(smaller=64.0, kind="plain"), Target(smaller=16.0, kind="pruned"))
_FEW = 2  # members, of which none is of another kind


def plan(run: PictureRun, builder: Builder, measured: Callable[[], Probe]) -> tuple[Candidate, ...]:
    """Return the candidates for each target, of different depths and resolutions.

    Only that needs the converter and the runtime before the files do: what is planned can learn on
    a machine without them.

    Args:
        run: whose folder keeps what was found before.
        builder: of candidates.
        measured: gives the probe; called only if there is something to measure.
    """
    path = run.space.file("candidates.json")
    if path.exists():
        return planned(path, run.targets, run.preparation.side)
    candidates: list[Candidate] = []
    probe = measured()
    for number, target in enumerate(run.targets, 1):
        name = f"{target.kind}_{number}"
        variants = run.settings.variants
        candidates += search(builder, probe, probe.reference, target, name, variants=variants)
        run.clock.share(number / len(run.targets))
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps([asdict(candidate) for candidate in candidates]))
    return tuple(candidates)


def planned(path: Path, targets: Sequence[Target], side: int) -> tuple[Candidate, ...]:
    """Read the candidates that a run found.

    Args:
        path: of the file that keeps them.
        targets: of the run.
        side: shorter side of its pictures.

    Raises:
        InputError: the file is damaged, or no such run wrote it.
    """
    entries = read_kept(path)
    try:
        candidates = tuple(
            from_table(Candidate, entry, f"$[{number}]") for number, entry in enumerate(entries)
        )
        _require_found(candidates, targets, side)
    except (TypeError, InputError) as error:
        raise damaged(path, error) from error
    return candidates


def _require_found(candidates: Sequence[Candidate], targets: Sequence[Target], side: int) -> None:
    """Refuse candidates that :func:`search` cannot have found, of a file that somebody changed.

    Raises:
        InputError: names the candidate that is wrong, or says that they are those of other
            targets.
    """
    for candidate in candidates:
        if not _can_be_found(candidate, side):
            raise InputError(f"{candidate} is no candidate of this run")
    names = {candidate.name for candidate in candidates}
    asked = {candidate.target for candidate in candidates}
    if len(names) < len(candidates) or asked != set(targets):
        raise InputError("its candidates are not those of the run's targets")


def _can_be_found(candidate: Candidate, side: int) -> bool:
    if re.fullmatch(r"\w+", candidate.name, re.ASCII) is None:  # files are named after it
        return False
    if candidate.kind != candidate.target.kind or (candidate.blocks or 0) < 0:
        return False
    return 1 <= candidate.level <= LEVELS and candidate.side in (side, _smaller(side))


def search(
    builder: Builder, probe: Probe, teacher: Figures, target: Target, name: str, *, variants: bool
) -> Iterator[Candidate]:
    """Yield, for each depth and resolution, the widest candidate that fits a target.

    Sizes and latencies are measured. A target that none fits yields one that is marked as not met:
    the smallest, where the size is out of reach; where the latency is, the widest within the size
    of those that are as fast as the fastest.
    """
    side = builder.shape.side
    first = Candidate(name, target.kind, LEVELS, None, side, target)
    options = [first]
    if target.kind == "nested" and variants:
        if removable_blocks(builder.large):
            options.append(replace(first, name=f"{name}_shallow", blocks=0))
        smaller = _smaller(side)
        if side >= _LEAST_SIDE and builder.takes(smaller):
            options.append(replace(first, name=f"{name}_small", side=smaller))
    for option in options:
        yield widest(option, builder, probe, teacher)


def _smaller(side: int) -> int:
    # A multiple of four, so that two poolings lose no row.
    return 4 * round(_SMALLER_SIDE * side / 4)


def widest(candidate: Candidate, builder: Builder, probe: Probe, teacher: Figures) -> Candidate:
    """Return a candidate at the highest level that keeps its target's limits.

    See :func:`search` for what comes back where none does.
    """
    size = candidate.target.max_size(teacher)
    latency = candidate.target.max_latency(teacher)

    def at(level: int) -> Candidate:
        return replace(candidate, level=level)

    highest = LEVELS
    if size is not None:
        # As many levels fit as there are, from 1 on, before the first that is too large.
        highest = bisect_left(
            range(1, LEVELS + 1),
            True,
            key=lambda level: not size_fits(at(level), builder, probe, size),
        )
    if highest == 0:
        return replace(candidate, level=1, met=False)
    if latency is None:
        return at(highest)
    readings: list[Latency] = []

    @cache
    def file(level: int) -> bytes:
        return probe.file(builder.build(at(level)).network, candidate.side)

    def read(level: int) -> Latency:
        reading = probe.latency(file(level))
        if level == 1:
            readings.append(reading)
        return reading

    level = noisy_bisect(highest, lambda level: read(level).median <= _LATENCY_MARGIN * latency)
    if level > 0:
        return at(level)
    # Nothing is fast enough. Below some level nothing gets faster: there the widest is the best.
    readings.sort(key=lambda reading: reading.median)
    fastest = readings[len(readings) // 2]
    level = noisy_bisect(highest, lambda level: not fastest.clearly_below(read(level)))
    return replace(candidate, level=max(level, 1), met=False)


def noisy_bisect(highest: int, fits: Callable[[int], bool]) -> int:
    """Return the highest level from 1 on that fits, where an answer may be wrong; 0 if none does.

    Probabilistic bisection (Horstein, "Sequential transmission using noiseless feedback", 1963):
    each answer makes the levels that it speaks for likelier, the next question divides what is
    likely in half, and one level must stand out in the end. So both sides of it were asked again
    and again, and a slow moment of the machine is outvoted.

    Args:
        highest: level; 1 or more.
        fits: whether a level fits; where it does, most answers for all below it say so too.
    """
    # Of each level, that it is the highest that fits.
    belief = np.full(highest + 1, 1 / (highest + 1))
    for _ in range(_MOST_READINGS):
        if belief.max() > _CERTAIN:
            break
        # Of each level, that the highest that fits is this one or above.
        reached = belief[::-1].cumsum()[::-1]
        level = 1 + int(np.abs(reached[1:] - 0.5).argmin())
        is_here_or_above = 1 - _WRONG if fits(level) else _WRONG
        belief[level:] *= is_here_or_above
        belief[:level] *= 1 - is_here_or_above
        belief /= belief.sum()
    return int(belief.argmax())


def size_fits(candidate: Candidate, builder: Builder, probe: Probe, size: float) -> bool:
    """Whether a candidate's file has at most so many bytes.

    It is not compiled where an estimate leaves no doubt.
    """
    network = builder.build(candidate).network
    if candidate.kind == "sparse":  # then only the stored file tells
        return len(compact(probe.file(network, candidate.side))) <= _SIZE_MARGIN * size
    ratio = probe.estimate(network, candidate.side) / size
    if not _SURE <= ratio <= 1 / _SURE:
        return ratio < 1
    return len(probe.file(network, candidate.side)) <= _SIZE_MARGIN * size


def ladder(
    count: int, allows: Callable[[str], bool] = lambda member_kind: True
) -> tuple[Target, ...]:
    """Return targets for so many members, each half of the one before.

    From three on there are members of other kinds too.

    Args:
        count: of members, 1 to 16.
        allows: whether members of a kind can be made.

    Raises:
        InputError: for another number, or if no kind is allowed that could make them.
    """
    whole_in_range("targets", count, low=1, high=MOST_MEMBERS)
    first = next(filter(allows, ("nested", "plain", "pruned")), None)
    if first is None:
        raise InputError("techniques: expected some that can make members")
    others = [target for target in _OTHERS if allows(target.kind) and target.kind != first]
    if count <= _FEW:
        others = []
    halves = [
        Target(smaller=_FIRST_RATIO * 2**step, kind=first) for step in range(count - len(others))
    ]
    return (*halves, *others)
