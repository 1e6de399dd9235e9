"""Designs that boards are tested with."""

from minimac.spec import load_design


def design(**keys):
    tree = {"name": "board", "unit": "systolic", "a": "int8", "b": "int8", "out": "int32"}
    tree |= {"accumulate": {"kind": "exact"}, "array": {"rows": 2, "columns": 2}}
    return load_design(tree | keys)


FLOAT = {"kind": "float", "width": 16, "normalize": "approx(1,2)"}

#: Arrays of each sort.
DESIGNS = {
    "int8": design(array={"rows": 3, "columns": 2}),
    "bf16": design(
        a="bf16",
        b="bf16",
        out="bf16",
        accumulate=FLOAT,
        array={"rows": 2, "columns": 3, "double_buffer": True, "foot": "shared"},
    ),
    "os": design(
        a="e4m3fn",
        b="e5m2",
        out="fp16",
        accumulate={"kind": "rounded", "format": "fp16"},
        array={"rows": 2, "columns": 3, "dataflow": "os"},
    ),
}

#: Those for which there is time with --exhaustive.
MORE = {
    "broadcast": design(
        a="uint4", b="int8", array={"rows": 4, "columns": 2, "dataflow": "broadcast"}
    ),
    "offset": design(  # no product is zero: missing rows need other operands
        a="bin", b="tern", out="int8", array={"rows": 3, "columns": 5}, pipeline=1
    ),
    "one": design(a="e2m1", b="e2m1", out="bf16", array={"rows": 1, "columns": 1}),
    "os_shared": design(array={"rows": 4, "columns": 2, "dataflow": "os", "foot": "shared"}),
}
