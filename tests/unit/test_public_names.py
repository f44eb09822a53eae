"""What `import mc2` gives is what its stub says, and what scripts get is among it."""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path

import pytest

import mc2
from mc2.errors import PlanError

STUB = ast.parse((Path(mc2.__file__).parent / "__init__.pyi").read_text("utf-8"))


def stub_names() -> dict[str, object]:
    """The names that the stub declares and exports, with what they are."""
    inner: dict[str, object] = {}
    found: dict[str, object] = {}
    for line in STUB.body:
        match line:
            case ast.ImportFrom(module=str(module), names=names):
                for name in names:
                    home = import_module(module)
                    value = (
                        getattr(home, name.name)
                        if hasattr(home, name.name)
                        else import_module(f"{module}.{name.name}")
                    )
                    (found if name.asname else inner)[name.asname or name.name] = value
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Name(id=given)):
                found[name] = inner[given]
            case ast.AnnAssign(target=ast.Name(id=name)):
                found[name] = getattr(mc2, name)
    return found


def test_the_stub_declares_exactly_the_public_names():
    (exported,) = (
        ast.literal_eval(line.value)
        for line in STUB.body
        if isinstance(line, ast.Assign) and isinstance(line.value, ast.List)
    )
    assert exported == mc2.__all__ == sorted(mc2.__all__)
    assert dir(mc2) == exported
    assert sorted(stub_names()) == exported


@pytest.mark.parametrize("name", mc2.__all__)
def test_each_name_is_what_the_stub_says(name):
    assert getattr(mc2, name) is stub_names()[name]


def test_other_names_are_not_there():
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = mc2.Nothing


def test_a_function_for_rows_is_for_scripts():
    with pytest.raises(PlanError, match="that the script defines"):
        mc2.udf(lambda x: x, "int")
