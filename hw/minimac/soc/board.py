"""Boards: facts in a folder each, ``minimac/boards/<name>``, and no code."""

from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from minimac.soc.registers import BAUD
from minimac.spec import SpecError
from minimac.spec.errors import nearest
from minimac.spec.loading import parse_yaml

__all__ = ["Board", "boards", "load_board"]

_FACTS = "board.yaml"


@dataclass(frozen=True, kw_only=True)
class Board:
    """A board.

    Parameters
    ----------
    name : str
        Name of its folder.
    title : str
        Its maker's name for it.
    family, part : str
        Family of the FPGA, and its part number.
    synthesis : str
        Command of Yosys, if the part needs another than its family.
    place : tuple of str
        Options that tell nextpnr the part.
    pack : tuple of str
        Options that the packer needs.
    clock_mhz : float
        Clock on the board, in MHz.
    clock_source : str
        Where it is from: a ``pin``, or a processor of :data:`minimac.soc.clocking.PROCESSORS`.
    pins : dict of str to str
        Pins of the :attr:`ports`.
    constraints : str
        File in the folder that tells the tools the same.
    multipliers : int
        Multiplier blocks that an array may use; 0 if it is better off without.
    depth : int
        Words of each buffer.
    link : str
        What the serial line goes to.
    load : str
        Command that loads ``{file}``, or what the board's own Linux knows as ``{name}``.
    source : str
        Where the facts are from.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    name: str
    title: str
    family: str
    part: str
    synthesis: str = ""
    place: tuple[str, ...] = ()
    pack: tuple[str, ...] = ()
    clock_mhz: Annotated[float, Field(ge=BAUD / 1e6)]
    clock_source: Literal["pin", "ps8"] = "pin"
    pins: dict[str, str]
    constraints: str
    multipliers: int = 0
    depth: int = 512
    link: str
    load: str
    source: str

    @property
    def folder(self) -> Traversable:
        """Folder with its files."""
        return _folders().joinpath(self.name)

    @property
    def ports(self) -> tuple[str, ...]:
        """Ports of the top: ``clk``, if it is a pin, ``uart_rx`` (from the host), ``uart_tx``."""
        return (*(["clk"] if self.clock_source == "pin" else []), "uart_rx", "uart_tx")

    def constraint_text(self) -> str:
        """Return what the tools are told of pins and clock."""
        return self.folder.joinpath(self.constraints).read_text(encoding="utf-8")


def _folders() -> Traversable:
    return files("minimac.boards")


def boards() -> list[str]:
    """Return the names of all boards.

    Examples
    --------
    >>> "icebreaker" in boards()
    True
    """
    found = (entry for entry in _folders().iterdir() if entry.is_dir())
    return sorted(entry.name for entry in found if entry.joinpath(_FACTS).is_file())


def load_board(name: str) -> Board:
    """Return a board.

    Raises
    ------
    SpecError
        If there is none of that name, or its file is wrong.

    Examples
    --------
    >>> load_board("icebreaker").clock_mhz
    12.0
    """
    known = boards()
    if name not in known:
        raise SpecError(
            f"--board must be one of {', '.join(known)}, not {name!r}{nearest(name, known)}"
        )
    text = _folders().joinpath(name).joinpath(_FACTS).read_text(encoding="utf-8")
    tree = parse_yaml(text, f"{name}/{_FACTS}")
    try:
        board = TypeAdapter(Board).validate_python({"name": name, **tree})
    except ValidationError as error:
        first: Any = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise SpecError(f"{name}/{_FACTS}: {key}: {first['msg']}") from None
    if set(board.pins) != set(board.ports):
        raise SpecError(
            f"{name}/{_FACTS}: pins: must be those of {', '.join(board.ports)} with "
            f"clock_source: {board.clock_source}, not of {', '.join(board.pins)}"
        )
    return board
