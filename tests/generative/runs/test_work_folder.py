import multiprocessing
import time

import pytest

from generative import ComponentError
from generative.runs.work_folder import WorkFolder


class Refused(Exception):
    pass


class Folder(WorkFolder):
    error = Refused


def _hold(path, held, release):
    with WorkFolder(path).at_work():
        held.set()
        release.wait(20)


@pytest.mark.slow
def test_one_process_works_at_a_time(tmp_path):
    context = multiprocessing.get_context("spawn")
    held, release = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(tmp_path, held, release))
    other.start()
    try:
        assert held.wait(60)
        with pytest.raises(ComponentError, match="another process is working in"), WorkFolder(tmp_path).at_work():
            pass
        with pytest.raises(Refused, match="another process is working in"), Folder(tmp_path).held():
            pass
    finally:
        release.set()
        other.join(60)
    with WorkFolder(tmp_path).at_work():
        pass


def test_the_time_is_noted_however_work_ends(tmp_path):
    folder = WorkFolder(tmp_path)
    with folder.at_work(stage="one", cores=2):
        time.sleep(0.01)
    with pytest.raises(KeyError), folder.at_work(stage="two"):
        raise KeyError("stop")
    first, second = folder.spent()
    assert (first["stage"], first["cores"], second["stage"]) == ("one", 2, "two") and first["seconds"] >= 0.01


def test_rows_come_by_step_and_what_was_written_twice_counts_once(tmp_path):
    folder = Folder(tmp_path)
    for stage, step, loss in (("a", 1, 0.5), ("b", 1, 9.0), ("a", 3, 0.3), ("a", 2, 0.4), ("a", 3, 0.2)):
        folder.add_row({"stage": stage, "step": step, "loss": loss})
    assert [(row["step"], row["loss"]) for row in folder.rows(stage="a")] == [(1, 0.5), (2, 0.4), (3, 0.2)]
    assert [row["loss"] for row in folder.rows(stage="b")] == [9.0] and len(folder.rows()) == 3


def test_a_damaged_log_is_refused_with_the_folder_s_own_error(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "crc": 5}\n{"step": 2, "crc": 6}\n')
    with pytest.raises(Refused, match=r"metrics\.jsonl"):
        Folder(tmp_path).rows()
