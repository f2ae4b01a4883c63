"""Every benchmark, one after the other: ``make bench``. Results go to ``benchmarks/results/``.

Benchmarks that need a data set read it from ``HANDHELD_DATA``; without it they are left out, and
named.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
DATA = Path(os.environ.get("HANDHELD_DATA", "../shared/data"))
NEEDS = {
    "bench_agreement.py": "models",
    "challenge_load.py": None,
    "graph_overhead.py": None,
    "privacy_audit.py": None,
    "hands_conformance.py": "hands/video/asl_hand.25fps.mp4",
    "mediapipe_graph.py": "graphs",
    "gestures.py": "hands/photos/digits",
    "hands_redetection.py": "hands/video/book.mkv",
    "hands_vs_mediapipe.py": None,
    "hands_rendering.py": "hands/mesh",
    "text.py": "text/clinc_train.tsv",
    "projection_net.py": "images/fashion_mnist.npz",
    "compress_pruning.py": "images/fashion_mnist.npz",
    "compress_joint.py": "images/fashion_mnist.npz",
    "compress_vs_peers.py": "images/fashion_mnist.npz",
    "propagation.py": "text/planetoid",
    "reply.py": "text/chitchat.jsonl.gz",
}


def main() -> int:
    """Run all; return how many failed."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    failed = 0
    for script, needed in NEEDS.items():
        if needed is not None and not (DATA / needed).exists():
            print(f"left out {script}: needs {needed} in HANDHELD_DATA (docs/data.md)")
            continue
        print(f"--- {script}", flush=True)
        failed += subprocess.run([sys.executable, str(HERE / script)], check=False).returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
