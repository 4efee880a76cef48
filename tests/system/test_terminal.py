from jaxgan.system.terminal import few


def test_long_lists_are_shortened() -> None:
    names = [f"c{i}" for i in range(2000)]
    assert few(names[:3]) == "c0, c1, c2"
    assert few(names[:9]).count(",") == 8 and "more" not in few(names[:9])  # Not "1 more".
    assert few(names, 2) == "c0, c1 and 1,998 more"
