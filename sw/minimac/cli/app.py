"""The verbs of the command, in the order of its help."""

from collections.abc import Callable
from typing import Annotated

import typer

from minimac.cli.boards import build
from minimac.cli.comparing import compare
from minimac.cli.costs import cost, predict, workload
from minimac.cli.formats import decode, encode, table
from minimac.cli.lists import list_
from minimac.cli.sweeps import explore, report
from minimac.cli.units import generate, simulate, vectors

__all__ = ["app"]

app = typer.Typer(
    name="minimac",
    help="Few-bit multiply-accumulate hardware: generated, verified and costed.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

#: Lets numbers with a minus be arguments.
_NUMBERS = {"ignore_unknown_options": True}


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"minimac {version('minimac')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    pass


app.command("list")(list_)
app.command(context_settings=_NUMBERS)(decode)
app.command(context_settings=_NUMBERS)(encode)
_VERBS: tuple[Callable[..., None], ...] = (
    table,
    generate,
    vectors,
    simulate,
    cost,
    predict,
    workload,
    compare,
    build,
    explore,
    report,
)
for _verb in _VERBS:
    app.command()(_verb)
