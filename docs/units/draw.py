"""Draws the block pictures of the units: ``python docs/units/draw.py`` writes an SVG for each.

A picture is boxes on a grid and arrows between them; registers are the thin grey bars.
"""

import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

CELL_X, CELL_Y, WIDTH, HEIGHT = 128, 64, 92, 34
STYLE = """
  text { font: 12px sans-serif; text-anchor: middle; dominant-baseline: central; fill: #222 }
  .box { fill: #eef3fa; stroke: #30527f; stroke-width: 1.3 }
  .register { fill: #9aa5b1; stroke: none }
  .wire { fill: none; stroke: #444; stroke-width: 1.2; marker-end: url(#tip) }
  .port { font-family: monospace; font-size: 12px }
  .note { font-size: 11px; fill: #555 }
  @media (prefers-color-scheme: dark) {
    text { fill: #ddd } .note { fill: #aaa } .wire { stroke: #bbb } .tip { fill: #bbb }
    .box { fill: #1d2a3a; stroke: #7fa6d8 }
  }
"""


class Box(NamedTuple):
    """A box around a word; ``kind`` is ``box``, ``register`` or ``port``, which has no frame."""

    x: float
    y: float
    text: str
    kind: str = "box"


class Wire(NamedTuple):
    """An arrow from a box to another, by name; around a corner if they are in no line."""

    start: str
    end: str
    note: str = ""


def _shape(box: Box) -> str:
    x, y = box.x * CELL_X + CELL_X / 2, box.y * CELL_Y + CELL_Y / 2
    if box.kind == "register":
        return f'<rect class="register" x="{x - 4}" y="{y - 20}" width="8" height="40"/>'
    if box.kind == "port":
        return f'<text class="port" x="{x}" y="{y}">{box.text}</text>'
    lines = box.text.split("\n")
    words = "".join(
        f'<text x="{x}" y="{y + 13 * (n - (len(lines) - 1) / 2)}">{line}</text>'
        for n, line in enumerate(lines)
    )
    frame = f'x="{x - WIDTH / 2}" y="{y - HEIGHT / 2}" width="{WIDTH}" height="{HEIGHT}"'
    return f'<rect class="box" rx="4" {frame}/>{words}'


def _reach(box: Box) -> tuple[float, float]:
    """Half of what a box takes, sideways and upwards."""
    if box.kind == "register":
        return 6, 22
    if box.kind == "port":
        return 6 + 4 * len(box.text), 10
    return WIDTH / 2 + 2, HEIGHT / 2 + 2


def _arrow(wire: Wire, boxes: dict[str, Box]) -> str:
    a, b = boxes[wire.start], boxes[wire.end]
    (ax, ay), (bx, by) = (
        (box.x * CELL_X + CELL_X / 2, box.y * CELL_Y + CELL_Y / 2) for box in (a, b)
    )
    (aw, ah), (bw, bh) = _reach(a), _reach(b)
    if a.y == b.y:
        side = 1 if bx > ax else -1
        path = f"M{ax + side * aw} {ay}H{bx - side * bw}"
    elif a.x == b.x:
        side = 1 if by > ay else -1
        path = f"M{ax} {ay + side * ah}V{by - side * bh}"
    else:  # up or down first, and in from the side
        side, down = (1 if bx > ax else -1), (1 if by > ay else -1)
        path = f"M{ax} {ay + down * ah}V{by}H{bx - side * bw}"
    middle = (ax + bx) / 2, (ay + by) / 2 - 9
    note = f'<text class="note" x="{middle[0]}" y="{middle[1]}">{wire.note}</text>'
    return f'<path class="wire" d="{path}"/>' + (note if wire.note else "")


def svg(boxes: dict[str, Box], wires: Iterable[Wire]) -> str:
    """Return a picture."""
    wide = max(box.x for box in boxes.values()) + 1
    high = max(box.y for box in boxes.values()) + 1
    size = f'width="{wide * CELL_X:.0f}" height="{high * CELL_Y:.0f}"'
    tip = (
        '<marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto"><path class="tip" d="M0 0L8 4L0 8z" fill="#444"/></marker>'
    )
    parts = [_arrow(wire, boxes) for wire in wires] + [_shape(box) for box in boxes.values()]
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} '
        f'viewBox="0 0 {wide * CELL_X:.0f} {high * CELL_Y:.0f}">\n'
        f"<style>{STYLE}</style>\n<defs>{tip}</defs>\n{body}\n</svg>\n"
    )


def _line(*boxes: Box) -> list[Wire]:
    return [Wire(a.text, b.text) for a, b in itertools.pairwise(boxes)]


def _named(*boxes: Box) -> dict[str, Box]:
    return {box.text: box for box in boxes}


def _row(*words: str, y: float = 0) -> list[Box]:
    """Boxes in a line; ``i.`` and ``o.`` begin ports, ``|`` a register, each with its own name."""
    boxes, x = [], 0.0
    for word in words:
        kind = "register" if word[0] == "|" else "port" if word[:2] in ("i.", "o.") else "box"
        boxes.append(Box(x, y, word, kind))
        x += 0.62 if kind == "register" else 1
    # A register stands closer to what is before it.
    return [box._replace(x=box.x - 0.19) if box.kind == "register" else box for box in boxes]


def _straight(*words: str) -> str:
    boxes = _row(*words)
    return svg(_named(*boxes), _line(*boxes))


def _chain(*before: str) -> str:
    """Draw what goes into a sum, the sum, and its foot."""
    boxes = _row("i.a, i.b", *before, "|1", "add", "|state", "foot", "|2", "o.sum")
    boxes = [box._replace(y=1) for box in boxes]
    back = Box(_named(*boxes)["add"].x, 0, "clear after\ni.last")
    wires = [*_line(*boxes), Wire("|state", back.text), Wire(back.text, "add")]
    return svg(_named(*boxes, back), wires)


def _array(east: str, north: str, south: str, inside: str) -> str:
    boxes, wires = {}, []
    for column in range(3):
        boxes[f"n{column}"] = Box(column + 1, 0, north, "port")
        boxes[f"f{column}"] = Box(column + 1, 4, "foot")
        boxes[f"s{column}"] = Box(column + 1, 5, south, "port")
        wires += [Wire(f"n{column}", f"0{column}"), Wire(f"2{column}", f"f{column}")]
        wires += [Wire(f"f{column}", f"s{column}")]
    for row in range(3):
        boxes[f"w{row}"] = Box(0, row + 1, east, "port")
        for column in range(3):
            boxes[f"{row}{column}"] = Box(column + 1, row + 1, inside)
            wires.append(Wire(f"{row}{column - 1}" if column else f"w{row}", f"{row}{column}"))
            if row:
                wires.append(Wire(f"{row - 1}{column}", f"{row}{column}"))
    return svg(boxes, wires)


def _broadcast() -> str:
    boxes, wires = {}, []
    for column in range(3):
        y = column
        boxes |= {
            f"p{column}": Box(1, y, "weights,\nproducts"),
            f"t{column}": Box(2, y, "adder tree"),
            f"f{column}": Box(3, y, "foot"),
            f"s{column}": Box(4, y, "o.sums", "port"),
        }
        wires += [
            Wire("a", f"p{column}"),
            Wire(f"p{column}", f"t{column}"),
            Wire(f"t{column}", f"f{column}"),
            Wire(f"f{column}", f"s{column}"),
        ]
    boxes["a"] = Box(0, 1, "i.activations", "port")
    return svg(boxes, wires)


def _fused() -> str:
    """Draw a group of terms, and above it how far they move."""
    front = _row("i.a, i.b", "multiply", "|1", "align", "tree of\nfull adders", "normalise,\nround")
    front = [box._replace(y=1) for box in front]
    rest = [
        Box(front[-1].x + 0.8, 1, "|state", "register"),
        Box(front[-1].x + 1.6, 1, "foot"),
        Box(front[-1].x + 2.4, 1, "|2", "register"),
        Box(front[-1].x + 3.2, 1, "o.sum", "port"),
    ]
    largest = Box(front[3].x, 0, "largest\nexponent")
    wires = [
        *_line(*front, *rest),
        Wire("|1", largest.text),
        Wire("|state", largest.text),
        Wire(largest.text, "align"),
    ]
    return svg(_named(*front, *rest, largest), wires)


def _blocks() -> str:
    """Draw elements in a line, and scales above."""
    front = _row(
        "i.a, i.b", "multiply,\ntree", "|1", "times\nscales", "|2", "add,\nround", "|state"
    )
    front = [box._replace(y=1) for box in front]
    end = front[-1].x
    rest = [
        Box(end + 0.8, 1, "foot"),
        Box(end + 1.6, 1, "|3", "register"),
        Box(end + 2.4, 1, "o.sum", "port"),
    ]
    scales = Box(front[3].x, 0, "i.a_scale, i.b_scale", "port")
    back = Box(front[5].x, 2, "clear after\ni.last")
    wires = [
        *_line(*front, *rest),
        Wire(scales.text, "times\nscales"),
        Wire("|state", back.text),
        Wire(back.text, "add,\nround"),
    ]
    return svg(_named(*front, *rest, scales, back), wires)


def _hadamard() -> str:
    boxes, wires = {}, []
    for lane in range(4):
        boxes[f"i{lane}"] = Box(0, lane, "i.a", "port")
        boxes[f"p{lane}"] = Box(1, lane, "place")
        boxes[f"f{lane}"] = Box(4.2, lane, "foot")
        boxes[f"|{lane}"] = Box(5, lane, "", "register")
        boxes[f"o{lane}"] = Box(5.6, lane, "o.result", "port")
        wires += [
            Wire(f"i{lane}", f"p{lane}"),
            Wire(f"p{lane}", f"first{lane // 2}"),
            Wire(f"second{lane // 2}", f"f{lane}"),
            Wire(f"f{lane}", f"|{lane}"),
            Wire(f"|{lane}", f"o{lane}"),
        ]
    for half in range(2):
        boxes[f"first{half}"] = Box(2, 2 * half + 0.5, "x + y, x - y")
        boxes[f"second{half}"] = Box(3.2, half + 1, "x + y, x - y")
        wires += [Wire(f"first{half}", f"second{other}") for other in range(2)]
    return svg(boxes, wires)


def _softmax() -> str:
    first = _row("i.a, i.last", "x log2 e", "|1", "table, line:\nm, n", "|2", "align, add", "|sum")
    first = [box._replace(y=0) for box in first]
    divide = Box(first[-1].x, 1, "1 / sum,\na bit a cycle")
    memory = Box(first[3].x, 1, "memory:\n2 vectors")
    second = [
        Box(divide.x, 2, "m / sum,\nn - n sum"),
        Box(divide.x + 1, 2, "round"),
        Box(divide.x + 1.8, 2, "|out", "register"),
    ]
    end = Box(divide.x + 2.6, 2, "o.result, o.last", "port")
    boxes = [*first, divide, memory, *second, end]
    wires = [
        *_line(*first),
        Wire(first[3].text, memory.text),
        Wire(first[-1].text, divide.text),
        Wire(memory.text, second[0].text),
        Wire(divide.text, second[0].text),
        *_line(*second, end),
    ]
    return svg(_named(*boxes), wires)


def _quantizer(first: list[str], work: str, *others: str) -> str:
    """Numbers wait below while their scale is found above; others come in from the top."""
    top = len(others)
    above = _row("i.a", "largest", "|1", *first, "|2", "o.scale")
    above = [box._replace(y=top) for box in above]
    element = Box(above[-2].x + 0.8, top + 1, work)
    after = [
        Box(element.x + 1, top + 1, "round,\nsaturate"),
        Box(element.x + 1.8, top + 1, "|3", "register"),
        Box(element.x + 2.6, top + 1, "o.elements", "port"),
    ]
    above[-1] = above[-1]._replace(x=after[-1].x)
    wait = Box(above[1].x, top + 1, "numbers")
    ports = [Box(above[3].x, n, word, "port") for n, word in enumerate(others)]
    wires = [
        *_line(*above),
        Wire("i.a", wait.text),
        Wire(wait.text, work),
        Wire("|2", work),
        *_line(element, *after),
        *(Wire(port.text, first[0]) for port in ports),
    ]
    return svg(_named(*above, wait, element, *after, *ports), wires)


PICTURES = {
    "multiplier": _straight("i.a, i.b", "unpack", "multiply", "|1", "round", "|2", "o.result"),
    "adder": _straight("i.a, i.b", "align", "add", "|1", "normalise,\nround", "|2", "o.result"),
    "fma": _straight(
        "i.a, i.b, i.c",
        "multiply",
        "|1",
        "align",
        "add",
        "|2",
        "normalise,\nround",
        "|3",
        "o.result",
    ),
    "convert": _straight(
        "i.a, i.b",
        "unpack,\nmultiply",
        "|1",
        "find leading\none, shift",
        "|2",
        "round,\nsaturate",
        "|3",
        "o.result",
    ),
    "quantize_power": _quantizer(["exponent,\nby the rule"], "subtract\nexponents"),
    "quantize": _quantizer(
        ["divide by\ntensor", "round\nto a scale", "scale x\ntensor"], "align,\ndivide", "i.tensor"
    ),
    "mac": _chain("multiply"),
    "dot_exact": _chain("Booth digits,\nproducts", "tree of\nfull adders"),
    "dot_fused": _fused(),
    "dot_blocks": _blocks(),
    "systolic_ws": _array("i.activations", "w, i.partial", "o.sums", "weight held\na*w + north"),
    "systolic_os": _array("i.a", "i.b", "o.sums", "sum held\nsum += a*b"),
    "systolic_broadcast": _broadcast(),
    "hadamard": _hadamard(),
    "activation": _straight(
        "i.a",
        "cut off,\nlimit",
        "|1",
        "table:\nsegment",
        "line",
        "|2",
        "times a",
        "round",
        "|3",
        "o.result",
    ),
    "softmax": _softmax(),
}

if __name__ == "__main__":
    for name, picture in PICTURES.items():
        (Path(__file__).parent / f"{name}.svg").write_text(picture, encoding="utf-8")
