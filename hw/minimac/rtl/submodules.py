"""Pieces of a datapath that are modules of their own, which synthesis keeps apart."""

from typing import Any

from amaranth.hdl import Module, Signal, Value

__all__ = ["add_submodule"]


def add_submodule(m: Module, name: str, **inputs: Value) -> tuple[Module, list[Any]]:
    """Add a piece; return its module, and in it the inputs by the names that they have there.

    Pieces that are alike, with names that differ by a number at the end, become one module in
    Verilog, which is mapped once. Behind a sum of products this is more than a matter of time: ABC
    would try to prove, through all multipliers, what a sum cannot be.
    """
    piece = Module()
    m.submodules[name] = piece
    taken = []
    for word, value in inputs.items():
        shape = value.shape()
        signal = Signal(shape, name=word)
        m.d.comb += signal.eq(value)
        taken.append(signal)
    return piece, taken
