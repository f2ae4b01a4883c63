import numpy as np
import pytest
from mediapipe_nodes import calculator, converted, options, side_packets

from handheld.engine import Model
from handheld.errors import CalculatorError, FetchError, FileError, GraphTextError, InputError
from handheld.graph.testing import NodeRunner
from handheld.hands.mediapipe import MEDIAPIPE_FILES, FolderFiles, ResourceFile
from handheld.hands.mediapipe.resources import resource

ONES = np.ones((1, 4), np.float32)


@pytest.fixture
def files(fixtures):
    return {"a/add.tflite": (fixtures / "tiny_add.tflite").read_bytes()}


def node(text, files, sides=""):
    words = (
        "calculator: 'InferenceCalculator' input_stream: 'TENSORS:a' output_stream: 'TENSORS:b' "
    )
    return calculator(words + sides + options("InferenceCalculatorOptions", text), files)


def test_a_model_runs_whatever_delegate_is_asked_for(files):
    for delegate in ("", "delegate { xnnpack { num_threads: 2 } }", "delegate { gpu {} }"):
        inference = node(f"model_path: 'a/add.tflite' {delegate}", files)
        (total,) = converted(inference, {"TENSORS": [ONES, 2 * ONES]}, "TENSORS")
        assert total.tolist() == (3 * ONES).tolist()


def test_a_model_comes_as_a_file_or_open(files):
    inference = node("", files, "input_side_packet: 'MODEL:m' input_side_packet: 'OP_RESOLVER:r' ")
    file = resource(files, "a/add.tflite")
    side = {"MODEL": file, "OP_RESOLVER": "litert"}
    (total,) = converted(inference, {"TENSORS": [ONES, ONES]}, "TENSORS", side=side)
    assert total.tolist() == (2 * ONES).tolist()
    with Model.load(file.content) as model:
        side = {"MODEL": model, "OP_RESOLVER": "litert"}
        converted(inference, {"TENSORS": [ONES, ONES]}, "TENSORS", side=side)
        # It is for others to close.
        model.run(ONES, ONES)


def test_tensors_may_come_in_another_order(files):
    text = "model_path: 'a/add.tflite' input_output_config { input_tensor_indices_map { "
    inference = node(text + "model_tensor_indices: [1, 0] } }", files)
    with NodeRunner(inference) as runner:
        names = [info.name for info in runner_model(files).inputs]
        runner.add("TENSORS", [ONES, ONES], 0)
        assert len(runner.take("TENSORS")) == 1
    text = text.replace("indices", "names")
    inference = node(text + f"tensor_names: ['{names[1]}', '{names[0]}'] }} }}", files)
    assert converted(inference, {"TENSORS": [ONES, ONES]}, "TENSORS")
    for wrong in ("model_tensor_indices: [0, 0]", "model_tensor_indices: 1"):
        text = "model_path: 'a/add.tflite' input_output_config { input_tensor_indices_map { "
        with pytest.raises((InputError, CalculatorError), match="each of 0 to 1 once"):
            converted(node(text + wrong + " } }", files), {"TENSORS": [ONES, ONES]}, "TENSORS")


def runner_model(files):
    return Model.load(files["a/add.tflite"])


def test_what_is_wrong_is_told(files):
    with pytest.raises(GraphTextError, match="expected a model, as the option model_path"):
        node("", files)
    with pytest.raises(GraphTextError, match="expected a model"):
        node("model_path: 'a'", files, "input_side_packet: 'MODEL:m' ")
    with pytest.raises(GraphTextError, match="feedback_tensor_links"):
        node("model_path: 'a' input_output_config { feedback_tensor_links {} }", files)
    with pytest.raises(GraphTextError, match="no option 'tpu'"):
        node("model_path: 'a' delegate { tpu {} }", files)
    # A graph can be checked without the files; it opens with them.
    missing = node("model_path: 'none.tflite'", files)
    with pytest.raises((InputError, CalculatorError), match=r"no file 'none\.tflite' among .*add"):
        converted(missing, {"TENSORS": []}, "TENSORS")
    inference = node("model_path: 'a/add.tflite'", files)
    with pytest.raises((InputError, CalculatorError), match="expected 2 tensors, got 1"):
        converted(inference, {"TENSORS": [ONES]}, "TENSORS")


def test_the_chain_of_loaders(files):
    words = "calculator: 'ResourceProviderCalculator' output_side_packet: 'RESOURCE:r' "
    provider = calculator(words + "input_side_packet: 'RESOURCE_ID:p' ", files)
    (file,) = side_packets(provider, {"RESOURCE_ID": "a/add.tflite"}).values()
    by_option = options("ResourceProviderCalculatorOptions", "resource_id: 'a/add.tflite'")
    assert side_packets(calculator(words + by_option, files)) == {"RESOURCE": file}
    with pytest.raises(GraphTextError, match="expected an output RESOURCE for each"):
        calculator(words, files)
    words = "calculator: 'LocalFileContentsCalculator' output_side_packet: 'CONTENTS:c' "
    local = calculator(words + "input_side_packet: 'FILE_PATH:p' ", files)
    (content,) = side_packets(local, {"FILE_PATH": "a/add.tflite"}).values()
    assert content == file.content
    words = "calculator: 'TfLiteModelCalculator' output_side_packet: 'MODEL:m' "
    for port, given in (("MODEL_RESOURCE", file), ("MODEL_BLOB", content)):
        model = calculator(words + f"input_side_packet: '{port}:r' ", files)
        assert side_packets(model, {port: given})["MODEL"].content == content
    resolver = "calculator: 'TfLiteCustomOpResolverCalculator' output_side_packet: 'OP_RESOLVER:o' "
    assert side_packets(calculator(resolver)) == {"OP_RESOLVER": "litert"}


def test_files_of_a_folder_by_path_or_by_name(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.bin").write_bytes(b"deep")
    (tmp_path / "y.bin").write_bytes(b"flat")
    (tmp_path.parent / "secret").write_bytes(b"no")
    files = FolderFiles(tmp_path)
    assert files["a/x.bin"] == b"deep"
    assert files["mediapipe/modules/y.bin"] == b"flat"
    assert files["mediapipe/modules/hand_landmark/handedness.txt"] == b"Left\nRight\n"
    assert list(files)[:2] == ["a/x.bin", "y.bin"]
    assert len(files) == 3
    for outside in ("../secret", "a/../../secret", str(tmp_path.parent / "secret"), "", "a"):
        with pytest.raises(InputError, match="no file"):
            resource(files, outside)
    with pytest.raises(FileError, match="expected a folder"):
        FolderFiles(tmp_path / "none")


def test_mediapipes_own_files_are_named_and_fetched_by_a_command(tmp_path, monkeypatch):
    monkeypatch.setenv("HANDHELD_CACHE", str(tmp_path))
    path = "mediapipe/modules/hand_landmark/hand_landmark_full.tflite"
    assert path in list(MEDIAPIPE_FILES)
    assert len(MEDIAPIPE_FILES) == 5
    with pytest.raises(FetchError, match="handheld models fetch mediapipe-hands"):
        resource(MEDIAPIPE_FILES, path)


def test_a_file_is_shown_by_its_name():
    assert repr(ResourceFile("a.bin", b"123")) == "ResourceFile('a.bin', 3 bytes)"
