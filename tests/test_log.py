from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from jaxgan.log import Log, duration, grid, read_metrics


def test_everything_said_is_in_files(tmp_path: Path, capsys) -> None:
    with Log(tmp_path, "gan") as log:
        log.line("hello")
        log.metrics(1, {"loss": 0.5})
        log.metrics(2, {"loss": 0.25})
        log.image(2, "samples", np.full((4, 4, 3), 7, np.uint8))
    assert capsys.readouterr().out == "gan: hello\n" == (tmp_path / "log.txt").read_text()
    assert read_metrics(tmp_path) == [{"step": 1, "loss": 0.5}, {"step": 2, "loss": 0.25}]
    assert (np.asarray(Image.open(tmp_path / "samples" / "0000002.png")) == 7).all()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard_reads_it_back(tmp_path: Path) -> None:
    with Log(tmp_path) as log:
        log.metrics(3, {"loss": 0.5})
        log.image(3, "samples", np.zeros((4, 6, 3), np.uint8))
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    (event,) = events.Tensors("loss")
    assert (event.step, event.tensor_proto.float_val[0]) == (3, 0.5)
    assert events.Tensors("samples")[0].tensor_proto.string_val[:2] == [b"6", b"4"]


def test_rewind_drops_later_and_cut_off_rows(tmp_path: Path) -> None:
    with Log(tmp_path) as log:
        for step in (1, 2, 3):
            log.metrics(step, {"loss": step})
        with (tmp_path / "metrics.jsonl").open("a") as file:
            file.write('{"step": 2, "lo')
        log.rewind(2)
    assert [row["step"] for row in read_metrics(tmp_path)] == [1, 2]
    assert (tmp_path / "metrics.jsonl").read_text().endswith("}\n")


def test_grid_places_pictures_in_rows() -> None:
    images = np.stack([np.full((2, 3, 3), i, np.uint8) for i in range(5)])
    sheet = grid(images, columns=3)
    assert sheet.shape == (2 * 2 + 2, 3 * 3 + 2 * 2, 3)
    assert (sheet[:2, 5:8] == 1).all() and (sheet[4:, :3] == 3).all()
    assert (sheet[2:4] == 255).all() and (sheet[4:, 10:] == 255).all()


@pytest.mark.parametrize(("seconds", "text"), [(5, "0:05"), (65.4, "1:05"), (3723, "1:02:03")])
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text
