"""What both programs say of an exception: one line, and with `--traceback` where in the code it came from."""

import errno

import pytest

from generative import ComponentError, TrainingDiverged
from scripts import cli
from scripts.generative import catalogue
from scripts.generative import cli as generative
from scripts.stages import STAGE_FUNCTIONS
from scripts.terminal.failures import HINT, in_words
from worldmodels.errors import RunError
from worldmodels.parallel.executor import WorkerError
from worldmodels.run.folder import Progress

WORKER = (
    "episode 3 failed in the worker's own code:\nTraceback (most recent call last):\n  File x\nKeyError: 'pixels'\n"
)
FULL = OSError(errno.ENOSPC, "No space left on device", "runs/x/config.yaml")


@pytest.mark.parametrize("error", [RunError, ComponentError, TrainingDiverged, WorkerError])
def test_our_own_errors_stand_as_they_are(error):
    assert in_words(error("vision.type=vea: use vae")) == "vision.type=vea: use vae"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (WorkerError(WORKER), f"episode 3 failed in the worker's own code: KeyError: 'pixels'; {HINT}"),
        (ValueError("two\n  lines"), f"ValueError: two lines; {HINT}"),
        (ZeroDivisionError(), f"ZeroDivisionError: no message; {HINT}"),
        (KeyError("pixels"), f"KeyError: 'pixels' is not there; {HINT}"),
        (RecursionError("maximum"), f"RecursionError: nested too deeply (maximum); {HINT}"),
        (OSError(errno.EIO, "Input/output error", "a/b"), f"OSError: Input/output error (a/b); {HINT}"),
        (OSError("of no number"), f"OSError: of no number; {HINT}"),
    ],
)
def test_other_errors_name_their_type_in_one_line(error, said):
    assert in_words(error) == said


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("CUDA out of memory"),
                                   RuntimeError("DefaultCPUAllocator: can't allocate memory")])  # fmt: skip
def test_too_little_memory_says_what_to_take_less_of(error):
    assert "out of memory" in in_words(error) and "take smaller batches, sizes or fewer workers" in in_words(error)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (errno.ENOSPC, "No space left"),
        (errno.EDQUOT, "Quota exceeded"),
        (errno.EACCES, "Permission denied"),
        (errno.EROFS, "Read-only"),
    ],
)
def test_a_disk_that_takes_nothing_is_the_users_to_mend(number, text):
    said = in_words(OSError(number, text, "a/b"))
    assert said.startswith(f"cannot write or read (a/b): {text}. What is finished is kept") and HINT not in said


@pytest.mark.parametrize("number", [errno.EISDIR, errno.ENOTDIR, errno.EEXIST])
def test_something_in_the_way_is_named(number):
    said = in_words(OSError(number, "In the way", "a.tmp", None, "a"))
    assert said.startswith("a: In the way: something else of that name") and "move it" in said


def test_long_messages_are_cut():
    assert len(in_words(ValueError("x" * 100_000))) < 600


def _worldmodels(error, monkeypatch):
    """A command of `worldmodels` that raises, with its words."""

    def raises(name):
        raise error

    monkeypatch.setattr("scripts.info.run_folder", raises)
    return cli.main, ["info", "x"]


def _generative(error, monkeypatch):
    """A command of `generative` that raises, with its words."""

    def raises(options):
        raise error

    raises.__annotations__ = catalogue.main.__annotations__  # these say what its options are
    monkeypatch.setattr(catalogue, "main", raises)
    return generative.main, ["list"]


@pytest.mark.parametrize("error", [ValueError("an odd\nshape"), RunError("no frames"), FULL, MemoryError()])
@pytest.mark.parametrize("program", [_worldmodels, _generative])
def test_a_command_fails_in_one_line_and_with_traceback_says_where(program, error, monkeypatch, capsys):
    main, words = program(error, monkeypatch)
    line = f"{program.__name__[1:]} {words[0]}: {in_words(error)}\n"
    assert main(words) == 1
    assert capsys.readouterr().err == line
    for place in range(len(words) + 1):
        assert main([*words[:place], "--traceback", *words[place:]]) == 1
        said = capsys.readouterr().err
        assert said.startswith("Traceback (most recent call last)") and said.endswith(line)
        assert "in raises" in said and type(error).__name__ in said


def test_a_stage_that_raises_fails_in_one_line(tmp_path, monkeypatch, capsys):
    def stage(run):
        yield Progress("collect", 0, 2, "episodes")
        raise ValueError("an odd\nshape")

    monkeypatch.setitem(STAGE_FUNCTIONS, "collect", stage)
    words = ["collect", str(tmp_path / "r"), "--preset", "toy"]
    for more, shown in ([], False), (["--traceback"], True):
        assert cli.main(words + more) == 1
        said = capsys.readouterr().err
        assert said.splitlines()[-1] == f"worldmodels collect: ValueError: an odd shape; {HINT}"
        assert ("Traceback" in said and "in stage" in said) is shown


@pytest.mark.parametrize("program", [_worldmodels, _generative])
def test_a_wrong_command_line_has_no_traceback(program, monkeypatch, capsys):
    main, _ = program(ValueError(), monkeypatch)
    assert main(["--traceback", "colect"]) == 2
    said = capsys.readouterr().err
    assert "unknown command `colect`" in said and said.count("\n") == 1
    assert main(["--traceback"]) == 2
