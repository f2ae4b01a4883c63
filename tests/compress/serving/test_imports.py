"""A server imports no torch: it would cost seconds, hundreds of megabytes, and whatever is wrong in
it.
"""

import subprocess
import sys

from uploads import VALUES, shapes, zip_of

CODE = """
import sys
from pathlib import Path
import handheld.cli.app
from handheld.compress.serving import CompressLimits, job_kind
from handheld.service import create_app
kind = job_kind(CompressLimits())
folder, values = Path(sys.argv[1]), {values!r}
spec = kind.check(folder, kind.parse(values, {{"data": "data.zip"}}))
create_app([kind], folder=folder / "server")
print(*{{"torch", "PIL", "onnxruntime"}} & {{name.partition(".")[0] for name in sys.modules}})
import handheld.compress.serving.job
assert "torch" not in sys.modules, "a job unpacks and judges its data before that"
"""


def test_the_server_has_no_torch(tmp_path):
    (tmp_path / "data.zip").write_bytes(zip_of(shapes(1)))
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(values=VALUES), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""
