"""What both console commands do with a command line: find the command, carry it out, and end with an exit code.

0 for success, 1 for a run that cannot go on, 2 for a command that cannot be understood, 130 for Ctrl-C.
"""

import difflib
import sys
from collections.abc import Callable, Mapping, Sequence

from scripts.terminal.failures import report
from scripts.terminal.parsing import UsageError
from scripts.terminal.signals import UNREAD, unread


def answer(
    program: str,
    arguments: Sequence[str],
    commands: Mapping[str, str],
    overview: Callable[[], str],
    carry_out: Callable[[str, list[str]], int],
) -> int:
    """Carry out a command line and return the exit code.

    The command is the first word. tyro's subcommands would need the fields of them all, and so PyTorch, before it.

    Args:
        program: name of the console command.
        arguments: its words.
        commands: what can be its first word, each with what it does.
        overview: makes the help of the bare program.
        carry_out: a command with its words; returns the exit code.
    """
    words = [word for word in arguments if word != "--traceback"]
    if not arguments or words[:1] in (["-h"], ["--help"], ["--help-all"], ["help"]):
        print(overview())
        return 0
    if words[:1] in (["-V"], ["--version"]):
        from worldmodels.version import __version__

        print(f"{program} {__version__}")
        return 0
    command = (words or ["--traceback"])[0]
    try:
        if command not in commands:
            raise UsageError(f"unknown command `{command}`; {nearest(command, commands)}known: {', '.join(commands)}")
        return carry_out(command, words[1:])
    except UsageError as error:
        print(f"{program}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        kept = "What is finished is kept; the same command goes on."
        print(f"\n{program} {command}: interrupted. {kept}", file=sys.stderr)
        return 130
    except Exception as error:
        if isinstance(error, BrokenPipeError) and unread():
            return UNREAD
        return report(f"{program} {command}", error, "--traceback" in arguments)


def nearest(word: str, known: Sequence[str] | Mapping[str, str]) -> str:
    """Return the beginning of a hint at the known word that a wrong one is like; empty where there is none."""
    near = difflib.get_close_matches(word, known, 1)
    return f"did you mean `{near[0]}`? " if near else ""
