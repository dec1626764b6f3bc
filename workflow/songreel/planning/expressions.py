"""Expressions of time and sound, as a user writes them: read, checked and evaluated, and nothing else is.

simpleeval evaluates. What it is given has been reduced to arithmetic on floats before, so that no expression
reaches Python's objects, takes long or grows large.
"""

from __future__ import annotations

import ast
import difflib
import inspect
import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from simpleeval import NameNotDefined, SimpleEval

from songreel.ground.errors import UserError
from songreel.planning.rows import shown
from songreel.planning.waves import Moment, Waves

TIMES = ("t", "T", "n")
SOUNDS = ("amp", "low", "mid", "high", "onset", "beat")
EXPECTED = "a number, an expression such as 1 + 0.1*sin(p=2s), or keys such as 0s:(1.05), 2s:(1)"
# Characters of a text, operations inside each other, and how far from 0 a value may be
MOST_LENGTH, MOST_DEPTH, MOST = 2000, 40, 1e6

# Python reads neither numbers with units nor its own words as names of arguments.
_UNIT = re.compile(r"(?<![\w.])([0-9]+(?:\.[0-9]*)?|\.[0-9]+)([sfb])(?![\w.])")
_WORD = re.compile(r"\b(in|from)(\s*=)(?!=)")

OPERATORS: Mapping[type, Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
    ast.Pow: math.pow,
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
    ast.Not: operator.not_,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_SHAPES = (ast.BinOp, ast.UnaryOp, ast.Compare, ast.BoolOp, ast.IfExp, ast.Call, ast.Name, ast.Constant)
_PASSED = (ast.keyword, ast.Load, ast.And, ast.Or)
_REFUSED: Mapping[type[ast.AST], str] = {
    ast.Attribute: "an attribute",
    ast.Subscript: "an index",
    ast.ListComp: "a comprehension",
    ast.SetComp: "a comprehension",
    ast.DictComp: "a comprehension",
    ast.GeneratorExp: "a comprehension",
    ast.Lambda: "a lambda",
    ast.JoinedStr: "a text",
    ast.NamedExpr: "an assignment",
}
SIGNATURES = {
    name: inspect.signature(function)
    for name, function in Waves(Moment(0, 0)).functions().items()
    if name not in ("min", "max")
}
FUNCTIONS = (*(name for name in SIGNATURES if not name.startswith("in_")), "min", "max")


@dataclass(frozen=True)
class Expression:
    """A checked expression."""

    text: str  # as written
    what: str  # whose it is, for messages
    tree: ast.expr = field(compare=False, repr=False)

    @property
    def constant(self) -> float | None:
        """Its value where it is a plain number."""
        value = self.tree.value if isinstance(self.tree, ast.Constant) else None
        return value if isinstance(value, float) else None

    @property
    def names(self) -> frozenset[str]:
        """The variables that it reads."""
        calls = {id(node.func) for node in ast.walk(self.tree) if isinstance(node, ast.Call)}
        names = (node for node in ast.walk(self.tree) if isinstance(node, ast.Name))
        return frozenset(node.id for node in names if id(node) not in calls)

    @property
    def calls(self) -> frozenset[str]:
        """The functions that it calls, of numbers with a unit `in_s`, `in_f` or `in_b`."""
        calls = (node.func for node in ast.walk(self.tree) if isinstance(node, ast.Call))
        return frozenset(call.id for call in calls if isinstance(call, ast.Name))

    def at(self, moment: Moment) -> float:
        """Its value. Raises UserError, with the time, where it has none or one too large."""
        if self.constant is not None:
            return self.constant
        names = {"t": moment.t, "T": moment.T, "n": float(moment.n), **moment.sound}
        room = SimpleEval(operators=OPERATORS, functions=Waves(moment).functions(), names=names)
        try:
            value = float(room.eval(self.text, previously_parsed=self.tree))
        except LookupError as error:
            raise self._none(str(error.args[0]), moment, "set the config key 'tempo'") from None
        except NameNotDefined as error:
            raise self._none(f"{error.name}, of which nothing is heard", moment, "name a song") from None
        except ZeroDivisionError:
            raise self._none("a division by zero", moment) from None
        except OverflowError:
            raise self._none("a number too large", moment) from None
        except ValueError as error:
            # What math says is not what a user calls it.
            found = "no real number" if "math" in str(error) else str(error)
            raise self._none(found, moment) from None
        if not abs(value) <= MOST:  # nan is not, either
            raise self._none(f"{value:g}", moment)
        return value

    def _none(self, found: str, moment: Moment, remedy: str = "correct it there") -> UserError:
        return UserError(
            f"{self.what}: found {found} at {moment.t:.3f} s of the line in {shown(self.text)}, expected a"
            f" number from -{MOST:g} to {MOST:g}; {remedy}."
        )


def parse(text: str, what: str) -> Expression:
    """The expression that a text says. Raises UserError, which names `what`, for anything else."""
    if len(text) > MOST_LENGTH:
        raise refused(what, f"{len(text)} characters", f"{MOST_LENGTH} at most", "leave some out")
    python = _WORD.sub(r"\1_\2", _UNIT.sub(r"in_\2(\1)", text.strip()))
    try:
        tree = ast.parse(python, mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise refused(what, shown(text), EXPECTED, "correct it") from None
    for node, depth in _walk(tree):
        if depth > MOST_DEPTH:
            raise refused(what, f"more than {MOST_DEPTH} operations inside each other", EXPECTED, "part it")
        _check(node, text, what)
    return Expression(text.strip(), what, _folded(tree))


def refused(what: str, found: str, expected: str, remedy: str) -> UserError:
    """The one sentence that tells the user what to mend."""
    return UserError(f"{what}: found {found}, expected {expected}; {remedy}.")


def _walk(tree: ast.AST) -> Iterator[tuple[ast.AST, int]]:
    """Each node with how deep it lies, without names that are called."""
    waiting = [(tree, 0)]
    while waiting:
        node, depth = waiting.pop()
        yield node, depth
        children = [*ast.iter_child_nodes(node)]
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            children = [*node.args, *node.keywords]
        waiting += [(child, depth + 1) for child in children]


def _check(node: ast.AST, text: str, what: str) -> None:
    """Raise UserError for what is not arithmetic. Makes whole numbers floats, which grow no further."""
    if isinstance(node, ast.operator | ast.unaryop | ast.cmpop):
        if type(node) not in OPERATORS:
            raise refused(what, f"the operator {type(node).__name__} in {shown(text)}", EXPECTED, "remove it")
    elif isinstance(node, ast.Constant):
        node.value = _number(node, what)
    elif isinstance(node, ast.Name):
        _check_known(node.id, (*TIMES, *SOUNDS), "a variable", what)
    elif isinstance(node, ast.Call):
        _check_call(node, what)
    elif not isinstance(node, _SHAPES + _PASSED):
        kind = _REFUSED.get(type(node), "what is no number")
        raise refused(what, f"{kind} ({shown(ast.unparse(node))})", EXPECTED, "remove it")


def _number(node: ast.Constant, what: str) -> float:
    value = node.value
    if isinstance(value, bool) or not isinstance(value, int | float):
        kind = "a text" if isinstance(value, str | bytes) else "what is no number"
        raise refused(what, f"{kind} ({shown(ast.unparse(node))})", EXPECTED, "remove it")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not number <= MOST:
        raise refused(what, "a number too large", f"numbers up to {MOST:g}", "write a smaller one")
    return number


def _check_call(node: ast.Call, what: str) -> None:
    if not isinstance(node.func, ast.Name):
        kind = _REFUSED.get(type(node.func), "what is no function")
        raise refused(what, f"{kind} ({shown(ast.unparse(node.func))})", EXPECTED, "remove it")
    name = node.func.id
    if name == "ease":
        raise refused(
            what, "ease inside an expression", "ease around a key's value as in 2s:(ease(1))", "move it"
        )
    _check_known(name, FUNCTIONS if not name.startswith("in_") else tuple(SIGNATURES), "a function", what)
    keywords = {keyword.arg or "**": keyword.value for keyword in node.keywords}
    starred = any(isinstance(argument, ast.Starred) for argument in node.args)
    try:
        if starred or (name in ("min", "max") and (keywords or len(node.args) < 2)):
            raise TypeError
        if name in SIGNATURES:
            SIGNATURES[name].bind(*node.args, **keywords)
    except TypeError:
        expected = "at least two numbers" if name in ("min", "max") else f"{name}{_arguments(name)}"
        raise refused(what, shown(ast.unparse(node)), expected, "correct it") from None


def _arguments(name: str) -> str:
    names = (parameter.name.strip("_") for parameter in SIGNATURES[name].parameters.values())
    return f"({', '.join(names)})"


def _check_known(name: str, known: tuple[str, ...], kind: str, what: str) -> None:
    if name in known:
        return
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    remedy = f"write {near[0]} instead" if near else "remove it"
    raise refused(what, shown(name), f"{kind} among {', '.join(known)}", remedy)


def _folded(tree: ast.expr) -> ast.expr:
    """A lone number, with its sign, as one node, which takes no evaluation."""
    if isinstance(tree, ast.UnaryOp) and isinstance(tree.operand, ast.Constant):
        sign = {ast.USub: -1, ast.UAdd: 1}.get(type(tree.op))
        if sign and isinstance(tree.operand.value, float):
            return ast.Constant(sign * tree.operand.value)
    return tree
