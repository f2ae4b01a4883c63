import pytest

from handheld.errors import FetchError, ModelError
from handheld.hands import HandTracker, ModelPack, load_pack
from handheld.hands.packs import MEDIAPIPE_HANDS


def write_pack(
    folder, fixtures, extra="", palm="tiny_palm.tflite", landmark="tiny_landmark.tflite"
):
    for name in (palm, landmark):
        (folder / name).write_bytes((fixtures / name).read_bytes())
    (folder / "pack.toml").write_text(f'palm = "{palm}"\nlandmark = "{landmark}"\n{extra}')
    return folder


def test_a_folder_with_a_description(tmp_path, fixtures):
    pack = load_pack(write_pack(tmp_path, fixtures, "[landmark_geometry]\ndepth_scale = 0.5\n"))
    assert pack.palm_geometry.anchors == 2016
    assert pack.landmark_geometry.depth_scale == 0.5
    with HandTracker(pack=tmp_path) as tracker:
        assert tracker.pack.name == str(tmp_path)


def test_a_folder_with_mediapipes_files(tmp_path, fixtures):
    (tmp_path / "palm_detection_lite.tflite").write_bytes(
        (fixtures / "tiny_palm.tflite").read_bytes()
    )
    (tmp_path / "hand_landmark_lite.tflite").write_bytes(
        (fixtures / "tiny_landmark.tflite").read_bytes()
    )
    assert load_pack(tmp_path).palm.name == "palm_detection_lite.tflite"


BOTH = 'palm="a"\nlandmark="b"\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("palm = 1", "palm: expected a text, got 1"),
        ("palm = [", "cannot be read as a configuration: .*at end of document"),
        ('palm="a"', "entry 'landmark' is missing"),
        (BOTH + "size=3", "no entry 'size'; expected hand_score, landmark"),
        (BOTH + "palm_geometry=3", "palm_geometry: expected a table"),
        (BOTH + "[palm_geometry]\nsizes=3", "no entry 'sizes'; expected grids, keypoints, size"),
        (
            BOTH + "[palm_geometry]\nsize='big'",
            "palm_geometry.size: expected a whole number, got 'big'",
        ),
        (BOTH + "[palm_geometry]\nsize=0", "palm_geometry.size: expected a whole number"),
        (BOTH + "[palm_geometry]\ngrids=3", "palm_geometry.grids: expected a list"),
        (
            BOTH + "[palm_geometry]\ngrids=[[24, 2, 1]]",
            r"palm_geometry.grids\[0\]: expected a list of length 2",
        ),
        (BOTH + "[palm_geometry]\ngrids=[24, 2]", r"palm_geometry.grids\[0\]: expected a list"),
        (
            BOTH + "[palm_geometry]\nkeypoints=true",
            "palm_geometry.keypoints: expected a whole number",
        ),
        (
            BOTH + "[landmark_geometry]\ndepth_scale='deep'",
            "landmark_geometry.depth_scale: expected a number, got 'deep'",
        ),
        (
            BOTH + "[landmark_geometry]\ndepth_scale=nan",
            r"geometry.depth_scale: expected a number in \(0, inf\), got nan",
        ),
        (
            BOTH + "[landmark_geometry]\nright_if_mirrored=1",
            "right_if_mirrored: expected true or false, got 1",
        ),
    ],
)
def test_a_wrong_description(tmp_path, text, message):
    (tmp_path / "pack.toml").write_text(text)
    with pytest.raises(ModelError, match=message):
        load_pack(tmp_path)


def test_a_pack_that_promises_confidence_needs_a_model_that_gives_it(tmp_path, fixtures):
    pack = load_pack(write_pack(tmp_path, fixtures, "[landmark_geometry]\nconfidence = true\n"))
    with pytest.raises(ModelError, match=r"expected .*float32 \[1, 63\], float32 \[1, 21\], got"):
        pack.open_landmark()


def test_no_such_pack(tmp_path):
    with pytest.raises(ModelError, match="mediapipe-full"):
        load_pack("nosuch")
    with pytest.raises(ModelError, match=r"pack\.toml"):
        load_pack(tmp_path)


def test_a_pack_that_was_not_fetched_names_the_command(tmp_path, monkeypatch):
    monkeypatch.setenv("HANDHELD_CACHE", str(tmp_path))
    with pytest.raises(FetchError, match="handheld models fetch mediapipe-hands"):
        HandTracker(pack="mediapipe-full")


@pytest.mark.parametrize("name", ["handheld", "handheld-lite"])
def test_the_packs_that_ship_need_nothing_fetched(name, tmp_path, monkeypatch):
    monkeypatch.setenv("HANDHELD_CACHE", str(tmp_path))
    pack = load_pack(name)
    assert pack.name == name
    sizes = [file.stat().st_size for file in (pack.palm, pack.landmark)]
    assert max(sizes) <= 4_000_000
    assert sum(sizes) <= 6_000_000
    assert pack.landmark_geometry.confidence


def test_the_pack_that_ships_is_the_default(tmp_path, monkeypatch):
    monkeypatch.setenv("HANDHELD_CACHE", str(tmp_path))
    with HandTracker() as tracker:
        assert tracker.pack.name == "handheld"
        assert tracker.options.min_palm_score == 0.2
        assert tracker.options.min_hand_score == 0.3
        assert tracker.options.min_new_hand_score == 0.9


def test_the_lite_pack_does_six_tenths_of_the_work():
    def work(pack):
        with pack.open_palm() as palm, pack.open_landmark() as landmark:
            return palm.cost.macs + landmark.cost.macs

    assert work(load_pack("handheld-lite")) < 0.6 * work(load_pack("handheld"))


def test_models_of_the_wrong_geometry(fixtures):
    swapped = ModelPack("swapped", fixtures / "tiny_landmark.tflite", fixtures / "tiny_palm.tflite")
    with pytest.raises(
        ModelError,
        match=r"tiny_landmark.tflite: not a palm model.*\[1, 192, 192, 3\]"
        r".*got.*\[1, 224, 224, 3\]",
    ):
        HandTracker(pack=swapped)
    foreign = ModelPack("foreign", fixtures / "tiny_palm.tflite", fixtures / "tiny_add.tflite")
    with pytest.raises(ModelError, match="not a landmark model"):
        HandTracker(pack=foreign)


def test_a_truncated_model(tmp_path, fixtures, tiny_pack):
    cut = tmp_path / "cut.tflite"
    cut.write_bytes(tiny_pack.palm.read_bytes()[:1000])
    with pytest.raises(ModelError, match=r"cut\.tflite"):
        HandTracker(pack=ModelPack("cut", cut, tiny_pack.landmark))


def test_mediapipes_hashes_are_the_published_ones():
    hashes = {file: sha256 for file, (_, sha256) in MEDIAPIPE_HANDS.files.items()}
    assert hashes["palm_detection_full.tflite"].startswith("1b14e942")
    assert hashes["hand_landmark_full.tflite"].startswith("11c272b8")


def test_a_description_that_is_no_text_is_named(tmp_path):
    (tmp_path / "pack.toml").write_bytes(b"palm = '\xff'")
    with pytest.raises(
        ModelError, match=r"pack\.toml cannot be read as a configuration: line 1 is not in UTF-8"
    ):
        load_pack(tmp_path)


@pytest.mark.parametrize("name", ["a\0b", "x" * 300, ""])
def test_a_name_that_no_folder_can_have(name):
    with pytest.raises(ModelError, match="no model pack"):
        load_pack(name)


def test_a_pack_says_how_sure_its_detector_must_be(tmp_path, fixtures):
    pack = write_pack(tmp_path, fixtures, "palm_score = 0.25\n")
    with HandTracker(pack=pack) as tracker:
        assert tracker.options.min_palm_score == 0.25
    with HandTracker(pack=pack, min_palm_score=0.5) as tracker:
        assert tracker.options.min_palm_score == 0.5


@pytest.mark.parametrize("score", ["0.0", "1.0", "nan", "-1"])
def test_a_score_that_decides_nothing_is_refused(tmp_path, fixtures, score):
    with pytest.raises(ModelError, match=r"pack\.toml: .*palm_score"):
        load_pack(write_pack(tmp_path, fixtures, f"palm_score = {score}\n"))
