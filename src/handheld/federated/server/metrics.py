"""Figures of a server in the text form that Prometheus reads."""

import threading
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

_PREFIX = "handheld_federation_"
_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)

Labels = tuple[tuple[str, str], ...]


class ServerMetrics:
    """Counters and one kind of histogram of this process; safe in threads."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._counts: dict[tuple[str, Labels], float] = defaultdict(float)
        self._times: dict[tuple[str, Labels], list[int]] = {}
        self._sums: dict[tuple[str, Labels], float] = defaultdict(float)

    def count(self, name: str, amount: float = 1.0, /, **labels: str) -> None:
        """Add to a counter."""
        with self._turn:
            self._counts[name, tuple(sorted(labels.items()))] += amount

    def observe(self, name: str, seconds: float, /, **labels: str) -> None:
        """Add a time to a histogram."""
        key = (name, tuple(sorted(labels.items())))
        with self._turn:
            buckets = self._times.setdefault(key, [0] * (len(_BOUNDS) + 1))
            buckets[bisect_left(_BOUNDS, seconds)] += 1
            self._sums[key] += seconds

    def text(self, gauges: Mapping[str, Iterable[tuple[Labels, float]]]) -> str:
        """Return all of it.

        Args:
            gauges: what holds now, by name: values with their labels.
        """
        lines: list[str] = []
        with self._turn:
            for name in sorted({name for name, _ in self._counts}):
                lines.append(f"# TYPE {_PREFIX}{name}_total counter")
                lines += self._of_counter(name)
            for histogram in sorted({name for name, _ in self._times}):
                # Once for all its labels: readers refuse a name whose type comes twice.
                lines.append(f"# TYPE {_PREFIX}{histogram} histogram")
                lines += self._of_histogram(histogram)
        for name, values in gauges.items():
            lines.append(f"# TYPE {_PREFIX}{name} gauge")
            lines += [_line(name, labels, value) for labels, value in values]
        return "\n".join(lines) + "\n"

    def _of_counter(self, counter: str) -> Iterator[str]:
        for (name, labels), value in sorted(self._counts.items()):
            if name == counter:
                yield _line(f"{name}_total", labels, value)

    def _of_histogram(self, histogram: str) -> Iterator[str]:
        for (name, labels), buckets in sorted(self._times.items()):
            if name == histogram:
                yield from self._of_times(name, labels, buckets)

    def _of_times(self, name: str, labels: Labels, buckets: Sequence[int]) -> Iterator[str]:
        # Prometheus's buckets are cumulative: each holds those before it.
        total = 0
        for bound, count in zip((*_BOUNDS, "+Inf"), buckets, strict=True):
            total += count
            yield _line(f"{name}_bucket", (*labels, ("le", str(bound))), total)
        yield _line(f"{name}_sum", labels, self._sums[name, labels])
        yield _line(f"{name}_count", labels, total)


def _line(name: str, labels: Labels, value: float) -> str:
    inside = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels)
    braces = f"{{{inside}}}" if inside else ""
    return f"{_PREFIX}{name}{braces} {value:.12g}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
