from handheld.cli.doctor import check_isolation, check_parts
from handheld.engine import isolation


def test_what_is_missing_is_named_with_the_extra_that_brings_it():
    rows = {
        name.partition(":")[0]: (works, advice)
        for name, works, advice in check_parts(find=lambda module: None if module == "av" else 1)
    }
    assert rows["graph"] == (True, "")
    assert rows["engine"][0]
    assert not rows["hands"][0]
    assert "handheld\\[hands]" in rows["hands"][1]
    assert "missing: av" in rows["hands"][1]


def test_what_isolates_models_is_told():
    assert check_isolation() == ("isolated models", True, isolation())
