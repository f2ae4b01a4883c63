from datetime import UTC, datetime, timedelta
from importlib.metadata import version

import handheld
from handheld.training.runs import made_by, provenance


def test_what_a_record_says_of_where_it_comes_from():
    record = provenance("numpy")
    assert record.keys() == {"created", "machine", "versions"}
    assert datetime.now(UTC) - datetime.fromisoformat(record["created"]) < timedelta(minutes=1)
    assert record["versions"] == {"handheld": handheld.__version__, "numpy": version("numpy")}
    assert record["machine"]["cores"] >= 1
    assert made_by("text") == f"handheld {handheld.__version__} text"
