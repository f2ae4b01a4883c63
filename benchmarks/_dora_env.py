"""dora-rs in a virtual environment of its own, and chains of its nodes, each a process."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).parents[1] / ".venv-dora"
NEEDED = ("dora-rs==1.1.0", "dora-rs-cli==1.1.0", "pyarrow")

_SENDER = """
import statistics, sys, time
import pyarrow as pa
from dora import Node
node = Node()
times = []
for number in range({packets} + 20):
    start = time.perf_counter()
    node.send_output("out", pa.array([number]))
    while node.next()["type"] != "INPUT":
        pass
    times.append(time.perf_counter() - start)
open("{result}", "w").write(str(statistics.median(times[20:])))
"""
_PASSER = """
from dora import Node
node = Node()
for event in node:
    if event["type"] == "INPUT":
        node.send_output("out", event["value"])
    elif event["type"] == "STOP":
        break
"""


def dora_command() -> Path:
    """Return dora's command, installed where it is missing."""
    command = FOLDER / "bin" / "dora"
    if not command.exists():
        print(f"making {FOLDER} with {', '.join(NEEDED)}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(FOLDER)], check=True)
        pip = [str(FOLDER / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, *NEEDED], check=True)
    return command


def seconds_of_chain(nodes: int, packets: int) -> float:
    """Return the median time of a packet through a chain of nodes and back to its sender."""
    command = dora_command()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        result = folder / "seconds.txt"
        (folder / "sender.py").write_text(_SENDER.format(packets=packets, result=result))
        (folder / "passer.py").write_text(_PASSER)
        passers = [
            {
                "id": f"n{number}",
                "path": "passer.py",
                "inputs": {"in": f"n{number - 1}/out" if number else "sender/out"},
                "outputs": ["out"],
            }
            for number in range(nodes)
        ]
        sender = {
            "id": "sender",
            "path": "sender.py",
            "inputs": {"back": f"n{nodes - 1}/out"},
            "outputs": ["out"],
        }
        # JSON is YAML too.
        (folder / "flow.yml").write_text(json.dumps({"nodes": [sender, *passers]}))
        environment = {"PATH": f"{command.parent}:/usr/bin:/bin", "HOME": name}
        subprocess.run(
            [command, "run", "flow.yml"],
            cwd=folder,
            env=environment,
            check=True,
            capture_output=True,
            timeout=300,
        )
        return float(result.read_text())
