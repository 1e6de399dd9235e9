"""The innermost loops of compiled code, and what an element costs in each of them."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["Loop", "hot_loops"]

_LABEL = re.compile(r"([\w.$]+):")
_BRANCH = re.compile(r"j\w+\s+([\w.$]+)")
_STEP = re.compile(r"(inc|dec|add|sub)q\s+(?:\$(-?\d+),\s*)?(%r\w+)")
_VECTOR = re.compile(r"%([xyz]mm)")
_PACKED = re.compile(r"(?!vmov)(?:vp\w+|\w+(?<!s[sd]))\s.*%[xyz]mm")


class Loop(NamedTuple):
    """A loop without a loop inside."""

    instructions: int  #: In one turn; of branches that never change their mind, both sides.
    operations: int  #: Those among them that are vector arithmetic.
    register: str  #: The vector registers that most use: "zmm", "ymm", "xmm" or "none".
    lanes: int  #: Elements in one turn.

    @property
    def per_element(self) -> float:
        """Instructions that an element takes."""
        return self.instructions / self.lanes


def hot_loops(assembly: str) -> list[Loop]:
    """Return the innermost loops of x86 assembly in AT&T syntax, those with most arithmetic first.

    Examples
    --------
    >>> hot_loops('''
    ...   xorl %eax, %eax
    ... .LBB0_1:
    ...   vpaddd (%rsi,%rax,4), %ymm0, %ymm1
    ...   vmovdqu %ymm1, (%rdi,%rax,4)
    ...   addq $8, %rax
    ...   cmpq %rax, %rcx
    ...   jne .LBB0_1
    ...   retq''')
    [Loop(instructions=5, operations=1, register='ymm', lanes=8)]
    """
    blocks, successors = _blocks(assembly)
    loops = set(_natural_loops(successors))
    inner = [loop for loop in loops if not any(other < loop for other in loops)]
    bodies = ([line for at in sorted(loop) for line in blocks[at]] for loop in inner)
    return sorted(map(_measure, bodies), key=lambda x: (x.operations, x.instructions), reverse=True)


def _blocks(assembly: str) -> tuple[list[list[str]], list[set[int]]]:
    """Cut code into basic blocks, and say which follow each of them."""
    blocks: list[list[str]] = [[]]
    labels: dict[str, int] = {}
    for text in assembly.splitlines():
        line = text.split("#")[0].strip()
        if label := _LABEL.fullmatch(line):
            if blocks[-1]:
                blocks.append([])
            labels[label[1]] = len(blocks) - 1
        elif line and not line.startswith("."):
            blocks[-1].append(line)
            if line.startswith(("j", "ret")):
                blocks.append([])
    successors: list[set[int]] = []
    for at, block in enumerate(blocks):
        last = block[-1] if block else ""
        branch = _BRANCH.fullmatch(last)
        follow = {labels[branch[1]]} if branch and branch[1] in labels else set()
        if at + 1 < len(blocks) and not last.startswith(("jmp", "ret")):
            follow.add(at + 1)
        successors.append(follow)
    return blocks, successors


def _natural_loops(successors: list[set[int]]) -> Iterator[frozenset[int]]:
    """Find each jump to a block that all ways to the jump lead through, and what lies between."""
    predecessors: list[set[int]] = [set() for _ in successors]
    for at, follow in enumerate(successors):
        for block in follow:
            predecessors[block].add(at)
    for at, follow in enumerate(successors):
        for head in follow:
            body, left = {head}, [at]
            while left:
                block = left.pop()
                if block not in body:
                    body.add(block)
                    left += predecessors[block]
            if all(predecessors[block] for block in body - {head}):
                yield frozenset(body)


def _measure(body: list[str]) -> Loop:
    operations = sum(1 for line in body if _PACKED.match(line))
    uses = Counter(width for line in body for width in set(_VECTOR.findall(line)))
    register = max(uses, key=uses.__getitem__, default="none")
    return Loop(len(body), operations, register, _lanes(body))


def _lanes(body: list[str]) -> int:
    """Return the step of the register that counts elements."""
    steps = {m[3]: abs(int(m[2] or 1)) for line in body if (m := _STEP.match(line))}
    indices = (n for register, n in steps.items() if any(f",{register}" in x for x in body))
    return max(indices, default=1)
