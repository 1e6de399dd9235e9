"""What a bench outside this project starts from: vectors, their readers, and a model in C."""

from pathlib import Path

from minimac.model.cmodel import c_dpi, c_model, render
from minimac.model.elementwise import OPERATIONS
from minimac.model.vectors import Vectors, check_unit, draw_vectors
from minimac.spec import Design, SpecError
from minimac.spec.files import make_folder, write_whole

__all__ = ["write_vectors"]


def write_vectors(
    design: Design,
    path: Path,
    *,
    count: int | None = None,
    terms: int | None = None,
    seed: int = 0,
    exhaustive: bool = False,
) -> list[Path]:
    """Write test vectors of a design, or its model in C, or a folder of both.

    Parameters
    ----------
    design : Design
        The design.
    path : Path
        ``.csv``, ``.hex`` or ``.npz``: vectors, as :class:`Vectors` has them. ``.h``: the model.
        Without a suffix, a folder: the vectors in all formats, readers in C and Verilog, the model
        in C and its way into SystemVerilog, two benches that try it all, and a README. Of a unit of
        one operation a transfer there is no model in C, and what needs one is left out.
    count, terms, seed, exhaustive
        As :func:`draw_vectors`.

    Returns
    -------
    list of Path
        What was written; each file is there whole, or as it was.

    Raises
    ------
    SpecError
        As :func:`draw_vectors` and :func:`c_model`; if the suffix is another, or a file cannot be
        written.
    """
    single = path.suffix in _SUFFIXES
    check_unit(design)
    if path.suffix == ".h":
        if type(design) in OPERATIONS:
            raise SpecError(
                f"{path}: there is no model in C of unit {design.unit}; write .csv, .hex or .npz"
            )
        make_folder(path.parent)
        return [write_whole(path, c_model(design))]
    if not (single or path.is_dir() or not path.suffix):
        raise SpecError(
            f"{path}: must end in .csv, .hex, .npz or .h (the model in C), or have no suffix "
            "(a folder of all)"
        )
    vectors = draw_vectors(design, count=count, terms=terms, seed=seed, exhaustive=exhaustive)
    make_folder(path.parent if single else path)
    if single:
        return [write_whole(path, _contents(vectors, path.suffix))]
    files: dict[str, str | bytes] = {
        f"{design.name}{suffix}": _contents(vectors, suffix) for suffix in _SUFFIXES
    }
    files |= _texts(vectors)
    return [write_whole(path / name, content) for name, content in files.items()]


_SUFFIXES = (".csv", ".hex", ".npz")


def _contents(vectors: Vectors, suffix: str) -> str | bytes:
    if suffix == ".npz":
        return vectors.as_npz()
    return vectors.as_csv() if suffix == ".csv" else vectors.as_hex()


def _texts(vectors: Vectors) -> dict[str, str]:
    """Return all that is in a folder besides the vectors, by name of file."""
    design = vectors.design
    name = design.name
    words = {"SUMMARY": design.summary()}
    words |= {"FIELDS": ", ".join(field.name for field in reversed(vectors.fields))}
    readers = {
        "minimac_vectors.h": render(design, "minimac_vectors.h"),
        f"{name}_vectors.vh": _parameters(vectors),
        f"{name}_vectors.v": render(design, "vectors.v", words),
    }
    if type(design) in OPERATIONS:
        return readers
    model = c_model(design)
    call = next(line for line in model.splitlines() if f" {name}_dot(" in line)
    words["CALL"] = call.removeprefix("static inline ")
    return {
        **readers,
        f"{name}_model.h": model,
        **c_dpi(design),
        f"{name}_check.c": render(design, "check.c", {"ARGUMENTS": _arguments(vectors)}),
        f"{name}_tb.sv": render(design, "tb.sv", words | _bench_words(vectors)),
        "README.txt": render(design, "README.txt", words),
    }


def _parameters(vectors: Vectors) -> str:
    """Return the macros that Verilog needs to read the vectors."""
    numbers: dict[str, int | str] = {
        "FILE": f'"{vectors.design.name}.hex"',
        "CASES": len(vectors),
        "TERMS": vectors.terms,
        "CASE_BITS": vectors.case_bits,
    }
    for field in vectors.fields:
        word = field.name.upper()
        numbers |= {f"{word}_WIDTH": field.width, f"{word}_COUNT": field.count}
    lines = [f"`define {vectors.design.name}_{word} {value}" for word, value in numbers.items()]
    return "\n".join([f"// Parameters of the test vectors of {vectors.design.name}.", *lines, ""])


def _range(name: str) -> str:
    word = f"`NAME_{name.upper()}"
    return f"[{word}_COUNT * {word}_WIDTH - 1:0]"


def _arguments(vectors: Vectors) -> str:
    """Return what the model in C is called with."""
    random = ""
    arguments = []
    for field in vectors.fields[:-1]:
        codes = f'minimac_codes(&vectors, i, "{field.name}")'
        if field.name == "random":
            random = f", *{codes}, {field.width}"
        else:
            arguments.append(f"*{codes}" if field.name.endswith("_tensor") else codes)
    return ",\n            ".join([*arguments, 'minimac_count(&vectors, "a")']) + random


def _bench_words(vectors: Vectors) -> dict[str, str]:
    """Return what the words of the bench in SystemVerilog stand for."""

    def code(field: str, index: str) -> str:
        width = f"`NAME_{field.upper()}_WIDTH"
        return f"32'({field}[{index} * {width} +: {width}])"

    fields = {field.name: field for field in vectors.fields}
    variables = [f"bit {_range(name)} {name};" for name in fields]
    scales = [name for name in ("a_scale", "b_scale") if name in fields]
    close = ""
    if scales:
        size = vectors.terms // fields[scales[0]].count
        codes = ",\n          ".join(code(name, f"(k / {size})") for name in scales)
        close = (
            f"        if (k % {size} == {size - 1}) NAME_dpi::model_close(model,\n"
            f"          {codes});\n"
        )
    last = [f", 32'({name})" for name in ("a_tensor", "b_tensor", "random") if name in fields]
    if "random" in fields:
        last.append(f", {fields['random'].width}")
    return {
        "VARIABLES": "\n  ".join(variables),
        "A_CODE": code("a", "k"),
        "B_CODE": code("b", "k"),
        "CLOSE\n": close,
        " LAST": "".join(last),
    }
