"""Errors that are told to a person in one line, and the exit code that each of them means.

Exit codes (documented in docs/cli.md): 0 done, 1 the user's input, 2 usage, 3 a stage failed or a check found a
fault, 130 interrupted, 141 the reader of the output ended first. Anything that is not a `WatariError` is a defect of ours and keeps its traceback.
"""

from __future__ import annotations

import errno

EXIT_OK = 0
EXIT_INPUT = 1
EXIT_USAGE = 2
EXIT_FAILED = 3
EXIT_INTERRUPTED = 130
EXIT_PIPE = 141
"""Whoever read the output has had enough (`| head`): what programs that SIGPIPE ends leave to the shell."""


class WatariError(Exception):
    """A problem that its reader can act on.

    Args:
        message: One line: what is wrong, with the file, row or field it is about.
        mend: One line: what to do about it. Shown after the message when given.
    """

    exit_code = EXIT_INPUT

    def __init__(self, message: str, mend: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.mend = mend

    def __str__(self) -> str:
        return f"{self.message} ({self.mend})" if self.mend else self.message

    def __reduce__(self) -> tuple[type[WatariError], tuple[str, str | None]]:
        # The default pickles only `args`, and these errors cross a process boundary with their mend.
        return (type(self), (self.message, self.mend))


class UserError(WatariError):
    """The recipe, a file, a row or an argument is wrong: exit code 1."""


class StageFailed(WatariError):
    """A stage could not finish for a reason outside the user's input: exit code 3."""

    exit_code = EXIT_FAILED


class CheckFailed(WatariError):
    """A check (`verify`, `doctor`) did its work and found a fault: exit code 3."""

    exit_code = EXIT_FAILED


class Interrupted(WatariError):
    """The user asked to stop; the work up to now is kept and the next run goes on: exit code 130."""

    exit_code = EXIT_INTERRUPTED


class DryRun(Interrupted):
    """A dry run has told what it would do and stopped before the first step, as asked: exit code 0."""

    exit_code = EXIT_OK


def no_space(error: BaseException) -> bool:
    """Return whether an error, or what it came of, says that the disk is full.

    Rust and C++ libraries only say so in words.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        if "No space left on device" in str(cause) or "os error 28" in str(cause):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
