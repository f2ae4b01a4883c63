"""Models measured as a phone would feel them, and judged by rules.

``bench`` measures a file: latency with intervals, accuracy plain and within a wall time (the rule
of OVIC), memory, energy, and a verdict whether the run can be trusted. ``compare`` sets files side
by side in turns. ``protocol`` holds the rules, ``task`` the seam through which rooms bring what
their models are for; ``ClassificationTask`` and ``DetectionTask`` stand here. ``validate_model``
looks at a file before it is submitted, ``loadgen`` lets MLPerf's generator drive.
"""

from handheld.bench.classification import ClassificationTask
from handheld.bench.compare import Comparison, compare
from handheld.bench.detection import DetectionTask
from handheld.bench.facts import ModelFacts
from handheld.bench.metric import MetricEstimate, WallTimeScore
from handheld.bench.protocol import BenchProtocol, ParetoCurve, fit_pareto
from handheld.bench.record import append_records, read_records
from handheld.bench.report import write_report
from handheld.bench.run import BenchResult, bench
from handheld.bench.task import BenchTask, MeasuredSystem, SystemTask, TaskSession
from handheld.bench.trust import TrustVerdict
from handheld.bench.validate import SubmissionRules, validate_model

__all__ = [
    "BenchProtocol",
    "BenchResult",
    "BenchTask",
    "ClassificationTask",
    "Comparison",
    "DetectionTask",
    "MeasuredSystem",
    "MetricEstimate",
    "ModelFacts",
    "ParetoCurve",
    "SubmissionRules",
    "SystemTask",
    "TaskSession",
    "TrustVerdict",
    "WallTimeScore",
    "append_records",
    "bench",
    "compare",
    "fit_pareto",
    "read_records",
    "validate_model",
    "write_report",
]
