"""How a program ends that is stopped, or has nowhere to write to, from its first moment on."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn, TypeVar

#: Why a stream takes nothing more; of a file, the error would name it.
_BLOCKED = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EBADF})
_Ending = TypeVar("_Ending")


def plainly(name: str, run: Callable[[], _Ending]) -> _Ending:
    """What `run` gives, which imports what takes a while; Ctrl-C and closed doors end the program in one sentence.

    What was printed last is written here: at the end of a program nobody could say that it failed.
    """
    try:
        try:
            return run()
        finally:
            if sys.stdout:
                sys.stdout.flush()
    except KeyboardInterrupt:
        _end(f"{name}: stopped", 130)
    except BrokenPipeError:
        # Whoever read has seen enough.
        _end(None, 1)
    except OSError as error:
        if error.errno not in _BLOCKED or error.filename:
            raise
        _end(f"{name}: nothing more can be written to standard output: {error.strerror}", 2)


def _end(why: str | None, code: int) -> NoReturn:
    """End at once: Python would flush once more at exit (its documentation on SIGPIPE)."""
    if why and sys.stderr:
        with suppress(OSError):
            print(why, file=sys.stderr, flush=True)  # noqa: T201 - a command line prints
    os._exit(code)
