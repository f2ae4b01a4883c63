"""What a run came to, for people and for programs."""

from handheld.federated.report.history import TensorBoard, require_tensorboard, write_parquet
from handheld.federated.report.page import RunFacts, write_report
from handheld.federated.report.run import files_of, write_run

__all__ = [
    "RunFacts",
    "TensorBoard",
    "files_of",
    "require_tensorboard",
    "write_parquet",
    "write_report",
    "write_run",
]
