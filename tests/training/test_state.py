"""What a run keeps: whole or not at all, also where there is no room."""

import errno
import os
import subprocess
from pathlib import Path

import pytest
import torch

from handheld.errors import FileError, InputError
from handheld.training.state import load_state, save_state


def test_what_was_saved_is_loaded(tmp_path):
    state = {"weights": torch.arange(6.0).reshape(2, 3), "step": 7, "name": "x"}
    save_state(tmp_path / "new" / "state.pt", state)
    loaded = load_state(tmp_path / "new" / "state.pt")
    assert (loaded["step"], loaded["name"]) == (7, "x")
    torch.testing.assert_close(loaded["weights"], state["weights"])
    assert os.listdir(tmp_path / "new") == ["state.pt"]


def test_a_full_disk_is_the_promised_error_and_keeps_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "state.pt"
    save_state(path, {"step": 1})

    def full(self, content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(FileError, match=r"state\.pt: cannot be written: No space left on device"):
        save_state(path, {"step": 2})
    monkeypatch.undo()
    assert load_state(path)["step"] == 1
    assert os.listdir(tmp_path) == ["state.pt"]


def test_a_disk_that_is_really_full(tmp_path):
    """A file system of 64 kB, in a namespace of its own where the system allows one."""
    code = (
        "import torch; from pathlib import Path; from handheld.errors import FileError\n"
        "from handheld.training.state import save_state\n"
        "try: save_state(Path('/mnt/state.pt'), {'w': torch.zeros(100_000)})\n"
        "except FileError as error: print('told:', error)"
    )
    import sys

    mount = 'mount -t tmpfs -o size=64k none /mnt && exec "$@"'
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, "sh"]
    try:
        done = subprocess.run(
            [*command, sys.executable, "-c", code], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        pytest.skip("no unshare here")
    if "unshare" in done.stderr or "mount" in done.stderr:
        pytest.skip(f"no namespace here: {done.stderr.strip()[:100]}")
    assert "told: /mnt/state.pt: cannot be written: No space left on device" in done.stdout, (
        done.stderr
    )


def test_a_folder_that_cannot_be_made_is_the_promised_error(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(FileError, match="cannot be written"):
        save_state(tmp_path / "file" / "state.pt", {"step": 1})


def test_a_damaged_state_says_so(tmp_path):
    (tmp_path / "state.pt").write_bytes(b"PK\x03\x04 no")
    with pytest.raises(InputError, match="it is damaged"):
        load_state(tmp_path / "state.pt")
