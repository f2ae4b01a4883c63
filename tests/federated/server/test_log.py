"""Logs and metrics: lines that others' programs read."""

import io
import json

import pytest

from handheld.federated.server.log import EventLog
from handheld.federated.server.metrics import ServerMetrics


def test_an_event_is_a_line():
    stream = io.StringIO()
    log = EventLog(stream, clock=lambda: 12.3456)
    log.event("round committed", task="a\nb", clients=3, figure=float("nan"), nothing=None)
    (line,) = stream.getvalue().splitlines()
    assert json.loads(line) == {
        "at": 12.346,
        "event": "round committed",
        "task": "a\nb",
        "clients": 3,
        "figure": "nan",
    }


@pytest.mark.parametrize("update", [b"bytes", bytearray(3), [1, 2], object()])
def test_no_update_gets_into_a_log(update):
    stream = io.StringIO()
    with pytest.raises(TypeError, match="a text or a number"):
        EventLog(stream).event("upload", content=update)
    assert stream.getvalue() == ""


def test_a_long_text_is_cut():
    stream = io.StringIO()
    EventLog(stream).event("failed", error="x" * 10_000)
    assert len(stream.getvalue()) < 400


def test_figures_as_prometheus_reads_them():
    metrics = ServerMetrics()
    metrics.count("selected", task='a"b\\')
    metrics.count("selected", task='a"b\\')
    metrics.observe("request_seconds", 0.003, request="check_in")
    metrics.observe("request_seconds", 7.0, request="check_in")
    lines = metrics.text({"devices": [((("state", "enrolled"),), 5)], "room": [((), 1.0)]})
    lines = lines.splitlines()
    prefix = "handheld_federation_"
    assert f'{prefix}selected_total{{task="a\\"b\\\\"}} 2' in lines
    assert f'{prefix}request_seconds_bucket{{request="check_in",le="0.0025"}} 0' in lines
    assert f'{prefix}request_seconds_bucket{{request="check_in",le="0.005"}} 1' in lines
    assert f'{prefix}request_seconds_bucket{{request="check_in",le="+Inf"}} 2' in lines
    assert f'{prefix}request_seconds_count{{request="check_in"}} 2' in lines
    assert f'{prefix}devices{{state="enrolled"}} 5' in lines
    assert f"{prefix}room 1" in lines


class FullStream(io.StringIO):
    def write(self, _text):
        raise OSError(28, "No space left on device")


def test_a_log_that_cannot_be_written_stops_nobody():
    EventLog(FullStream()).event("the disk is full")
    closed = io.StringIO()
    closed.close()
    EventLog(closed).event("round committed")


def test_a_name_has_its_type_once():
    metrics = ServerMetrics()
    for request in ("check_in", "offer", "poll"):
        metrics.observe("request_seconds", 0.003, request=request)
        metrics.count("requests", request=request)
    lines = metrics.text({}).splitlines()
    types = [line for line in lines if line.startswith("# TYPE")]
    # Readers of the format refuse a second line for the same name.
    assert types == [
        "# TYPE handheld_federation_requests_total counter",
        "# TYPE handheld_federation_request_seconds histogram",
    ]
    assert sum(line.startswith("handheld_federation_request_seconds_count") for line in lines) == 3
