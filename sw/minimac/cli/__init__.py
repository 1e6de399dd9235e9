"""The ``minimac`` command.

Results go to standard output, all else to standard error. Exit status: 0 if all is well, 1 if a
check failed, 2 if the command line or a file is wrong. What a verb needs is imported by the verb:
help and lists come at once.
"""

import io
import os
import signal
import sys
from collections.abc import Sequence

import typer

from minimac.cli.app import app
from minimac.cli.output import complain
from minimac.spec import SpecError

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments, without the program's name; those of the process by default.

    Examples
    --------
    >>> main(["decode", "e2m1", "5"])
    code  bits    value  class   ulp
    0x5   0_10_1      3  normal    1
    0
    """
    if argv is None:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that children are seen to
    if sys.stdout is None:
        sys.stdout = io.StringIO()
    try:
        # Not `app()`: that would see to errors, interrupts and closed pipes in its own way.
        command = typer.main.get_command(app)
        with command.make_context(
            "minimac", list(sys.argv[1:] if argv is None else argv)
        ) as context:
            command.invoke(context)
        sys.stdout.flush()
    except typer.Exit as leaving:
        sys.stdout.flush()
        return leaving.exit_code
    except typer.TyperException as error:
        said = error.format_message().rstrip(".")
        where = getattr(error, "ctx", None)
        complain(f"{said}; see {where.command_path if where else 'minimac'} --help")
        return 2
    except SpecError as error:
        complain(str(error))
        return 2
    except BrokenPipeError:
        # The reader has gone, as with `minimac ... | head`; there is nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        where = f"{error.filename}: " if error.filename is not None else ""
        complain(f"{where}{error.strerror or error}")
        return 2
    except (typer.Abort, KeyboardInterrupt):
        complain("interrupted")
        return 130
    return 0
