"""The benchmark of camera names counts a flat truck's pan as right, and measures what it renders."""

from benchmarks.camera_names import Said, measure, share, show


def test_before_a_wall_a_truck_should_be_called_a_pan():
    assert Said("truck left", True, "pan left", 1.0).right
    assert not Said("truck left", False, "pan left", 1.0).right
    assert not Said("truck left", True, "truck left", 1.0).right
    assert Said("static shot", True, "static shot", 1.0).right
    assert share([]) == 1.0


def test_it_renders_and_names_what_was_asked(tmp_path, capsys):
    found = measure(1, 1, tmp_path, ("truck left", "static shot"))
    assert [(one.truth, one.flat) for one in found] == [
        ("truck left", False), ("truck left", True), ("static shot", False),
    ]  # fmt: skip
    assert share(found) == 1.0
    show(found)
    assert "truck left, flat" in capsys.readouterr().out
