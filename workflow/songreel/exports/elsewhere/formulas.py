"""Formulas of frames as Deforum's schedules have them: read, never run as Python.

They are evaluated by numpy, or put into songreel's words. Deforum gives them to numexpr, where `t` is the
frame, `max_f` the last one, `s` the seed.
"""

from __future__ import annotations

import ast
import builtins
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_LETTERS, MOST_DEPTH = 2000, 40
MOST_NUMBER = 1e6  # in a curve of songreel's

Values = NDArray[np.float64]

NAMES = ("t", "max_f", "s", "pi", "e")
FUNCTIONS: Mapping[str, tuple[int, Callable[..., Any]]] = {
    "sin": (1, np.sin),
    "cos": (1, np.cos),
    "tan": (1, np.tan),
    "arcsin": (1, np.arcsin),
    "arccos": (1, np.arccos),
    "arctan": (1, np.arctan),
    "arctan2": (2, np.arctan2),
    "sinh": (1, np.sinh),
    "cosh": (1, np.cosh),
    "tanh": (1, np.tanh),
    "exp": (1, np.exp),
    "expm1": (1, np.expm1),
    "log": (1, np.log),
    "log10": (1, np.log10),
    "log1p": (1, np.log1p),
    "sqrt": (1, np.sqrt),
    "abs": (1, np.abs),
    "floor": (1, np.floor),
    "ceil": (1, np.ceil),
    "min": (2, np.minimum),
    "max": (2, np.maximum),
    "where": (3, lambda test, yes, no: np.where(np.asarray(test) != 0, yes, no)),
}
OPERATORS: Mapping[type, tuple[str, Callable[..., Any]]] = {
    ast.Add: ("+", np.add),
    ast.Sub: ("-", np.subtract),
    ast.Mult: ("*", np.multiply),
    ast.Div: ("/", np.divide),
    ast.Mod: ("%", np.mod),
    ast.Pow: ("**", np.power),
    ast.BitAnd: (" and ", np.logical_and),
    ast.BitOr: (" or ", np.logical_or),
}
COMPARISONS: Mapping[type, tuple[str, Callable[..., Any]]] = {
    ast.Lt: ("<", np.less),
    ast.LtE: ("<=", np.less_equal),
    ast.Gt: (">", np.greater),
    ast.GtE: (">=", np.greater_equal),
    ast.Eq: ("==", np.equal),
    ast.NotEq: ("!=", np.not_equal),
}
# What songreel's curves do not know, of what they know
_WRITTEN: Mapping[str, str] = {
    "sin": "sin({0})",
    "cos": "cos({0})",
    "tan": "(sin({0})/cos({0}))",
    "abs": "abs({0})",
    "min": "min({0}, {1})",
    "max": "max({0}, {1})",
    "sqrt": "({0}**0.5)",
    "exp": "(2.718281828**{0})",
    "floor": "({0} - {0} % 1)",
    "ceil": "({0} + (-{0}) % 1)",
    "where": "({1} if {0} else {2})",
}
_REACHING = (
    (ast.Attribute, "an attribute"),
    (ast.Subscript, "an index"),
    (ast.Lambda, "a lambda"),
    (ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp, "a comprehension"),
    (ast.JoinedStr, "a text"),
    (ast.NamedExpr, "an assignment"),
    (ast.Await | ast.Yield | ast.YieldFrom, "a statement"),
)


class FormulaError(ValueError):
    """A formula that has no counterpart, and why."""


class PythonError(ValueError):
    """A formula that reaches for Python instead of arithmetic: what it reaches for."""


@dataclass(frozen=True)
class Formula:
    """A checked formula."""

    text: str
    tree: ast.expr = field(compare=False, repr=False)

    @property
    def number(self) -> float | None:
        """Its value, where it is a number alone."""
        node = self.tree
        if isinstance(node, ast.UnaryOp) and isinstance(node.operand, ast.Constant):
            sign = -1.0 if isinstance(node.op, ast.USub) else 1.0
            return sign * float(node.operand.value)  # type: ignore[arg-type]
        return float(node.value) if isinstance(node, ast.Constant) else None  # type: ignore[arg-type]

    def values(self, frames: Values, known: Mapping[str, float]) -> Values:
        """Its value at each frame; `known` has all names but `t`. Raises FormulaError where one is none."""
        with np.errstate(all="ignore"):
            found = np.broadcast_to(_value(self.tree, {**known, "t": frames}), frames.shape).astype(float)
        if not np.isfinite(found).all():
            at = int(frames[~np.isfinite(found)][0])
            raise FormulaError(f"{self.text!r} is no number at frame {at}")
        return found

    def written(self, frame: str, known: Mapping[str, float]) -> str | None:
        """The same in songreel's words, where `frame` stands for `t`; None where there are none for it."""
        try:
            text = _text(self.tree, {**{name: _digits(value) for name, value in known.items()}, "t": frame})
        except LookupError:
            return None
        # With the brackets alone that it takes
        text = ast.unparse(ast.parse(text, mode="eval").body)
        return text if len(text) <= MOST_LETTERS // 2 else None


def parse(text: str) -> Formula:
    """The formula that a text is. Raises FormulaError, or PythonError where it reaches for Python."""
    text = text.strip()
    if len(text) > MOST_LETTERS:
        raise FormulaError(f"a formula of {len(text)} letters")
    try:
        tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        if found := re.search(r"\b(__\w+__|import|lambda|exec|eval)\b", text):
            raise PythonError(repr(found[0])) from None
        raise FormulaError(f"{_short(text)}, which is no formula") from None
    # The outermost first, which says most of what is reached for
    waiting: list[tuple[ast.AST, int]] = [(tree, 0)]
    for node, depth in waiting:
        _check_reach(node)
        waiting += [(child, depth + 1) for child in ast.iter_child_nodes(node)]
    deepest = waiting[-1][1]
    if deepest > MOST_DEPTH:
        raise FormulaError(f"{_short(text)}, of more than {MOST_DEPTH} operations in each other")
    _check(tree)
    return Formula(text, tree)


def _check_reach(node: ast.AST) -> None:
    for kinds, what in _REACHING:
        if isinstance(node, kinds):
            raise PythonError(f"{what} ({_short(ast.unparse(node))})")
    if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
        raise PythonError(f"a text ({_short(ast.unparse(node))})")
    reaches = isinstance(node, ast.Name) and (node.id.startswith("_") or hasattr(builtins, node.id))
    if reaches and node.id not in FUNCTIONS:  # type: ignore[attr-defined]
        raise PythonError(repr(node.id))  # type: ignore[attr-defined]


def _check(node: ast.expr) -> None:
    """Raise FormulaError for what is no arithmetic that is known."""
    if isinstance(node, ast.Constant):
        if isinstance(node.value, bool) or not isinstance(node.value, int | float):
            raise FormulaError(f"{ast.unparse(node)!r}, which is no number")
        if not abs(node.value) < 1e300:
            raise FormulaError("a number too large")
        return
    if isinstance(node, ast.Name):
        if node.id not in NAMES:
            raise FormulaError(f"the name {node.id!r}")
        return
    for child in _operands(node):
        _check(child)


def _operands(node: ast.expr) -> list[ast.expr]:
    """What a node computes with. Raises FormulaError for one that is not known."""
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        return [node.left, node.right]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        return [node.operand]
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in COMPARISONS:
        return [node.left, node.comparators[0]]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        count, _ = FUNCTIONS.get(node.func.id, (-1, None))
        if count < 0:
            raise FormulaError(f"the function {node.func.id}()")
        if len(node.args) == count and not node.keywords:
            return list(node.args)
    raise FormulaError(f"{_short(ast.unparse(node))}, which is no arithmetic")


def _value(node: ast.expr, known: Mapping[str, Any]) -> Any:
    if isinstance(node, ast.Constant):
        return float(node.value)  # type: ignore[arg-type]
    if isinstance(node, ast.Name):
        return known[node.id]
    operands = [_value(child, known) for child in _operands(node)]
    return _function(node)(*operands)


def _function(node: ast.expr) -> Callable[..., Any]:
    if isinstance(node, ast.BinOp):
        if isinstance(node.op, ast.Pow):
            return lambda base, power: np.power(np.asarray(base, float), power)
        return OPERATORS[type(node.op)][1]
    if isinstance(node, ast.UnaryOp):
        return np.negative if isinstance(node.op, ast.USub) else np.positive
    if isinstance(node, ast.Compare):
        return COMPARISONS[type(node.ops[0])][1]
    assert isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    return FUNCTIONS[node.func.id][1]


def _text(node: ast.expr, known: Mapping[str, str]) -> str:
    """In songreel's words. Raises LookupError where there are none."""
    if isinstance(node, ast.Constant):
        return _digits(float(node.value))  # type: ignore[arg-type]
    if isinstance(node, ast.Name):
        return known[node.id]
    operands = [_text(child, known) for child in _operands(node)]
    if isinstance(node, ast.BinOp):
        return f"({operands[0]}{OPERATORS[type(node.op)][0]}{operands[1]})"
    if isinstance(node, ast.UnaryOp):
        return f"(-{operands[0]})" if isinstance(node.op, ast.USub) else operands[0]
    if isinstance(node, ast.Compare):
        return f"({operands[0]} {COMPARISONS[type(node.ops[0])][0]} {operands[1]})"
    assert isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    return _WRITTEN[node.func.id].format(*operands)


def _digits(number: float) -> str:
    """A number as a curve may have it. Raises LookupError for one that is too large."""
    if abs(number) > MOST_NUMBER:
        raise LookupError
    text = f"{number:.10f}".rstrip("0").rstrip(".")
    if float(text) != number and abs(number) < 1e-3:
        raise LookupError  # too near to 0 for its digits
    return text if number >= 0 else f"({text})"


def known(last_frame: float, seed: float) -> dict[str, float]:
    """What the names stand for, but `t`."""
    return {"max_f": last_frame, "s": seed, "pi": math.pi, "e": math.e}


def _short(text: str) -> str:
    line = " ".join(text.split())
    return repr(line if len(line) <= 40 else line[:39] + "…")
