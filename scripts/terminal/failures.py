"""What a console command says of an exception: one line that names it, and where to see the rest."""

import errno
import sys
import traceback

HINT = "`--traceback` shows where"
UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.EPERM)


def report(program: str, error: Exception, shown: bool) -> int:
    """Print what went wrong in one line, before it the traceback if it is to be shown, and return the exit code 1."""
    if shown:
        traceback.print_exception(error, file=sys.stderr)
    print(f"{program}: {in_words(error)}", file=sys.stderr)
    return 1


def in_words(error: Exception) -> str:
    """Return an exception as words for its user.

    Our own errors say what to do and stand as they are; of all others the line names the type too, so that a fault of
    ours is not taken for one of the user's.
    """
    from generative import ComponentError, TrainingDiverged
    from worldmodels.errors import RunError
    from worldmodels.parallel.executor import WorkerError

    kind = type(error).__name__
    if isinstance(error, WorkerError):
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        return f"{lines[0].rstrip(':')}: {lines[-1]}; {HINT}" if len(lines) > 1 else str(error)
    if isinstance(error, RunError | ComponentError | TrainingDiverged):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        where = f" ({error.filename})" if error.filename else ""
        if error.errno in (errno.EISDIR, errno.ENOTDIR, errno.EEXIST):
            place = error.filename2 or error.filename
            return (
                f"{place}: {error.strerror}: something else of that name is in the way; move it, then run the same "
                "command again"
            )
        if error.errno in UNWRITABLE:
            return (
                f"cannot write or read{where}: {error.strerror}. What is finished is kept; make room, mend the "
                "permission or choose another folder, then run the same command again."
            )
        return f"{kind}: {error.strerror}{where}; {HINT}"
    said = " ".join(str(error).split())
    if isinstance(error, MemoryError) or "out of memory" in said.lower() or "allocate memory" in said:
        said = f"out of memory ({said[:200]}); take smaller batches, sizes or fewer workers"
    elif isinstance(error, KeyError):
        said = f"{said} is not there"
    elif isinstance(error, RecursionError):
        said = f"nested too deeply ({said})"
    return f"{kind}: {said[:500] or 'no message'}; {HINT}"
