"""The language of scripts: a small, boring part of Python. Spec: docs/howto/write-a-script.md.

A script comes from an analyst whom nobody has to trust, and every owner compiles it at home. So
what is not on a list here is refused before anything runs, with its line and column: no loops
without an end in sight, no classes, no exceptions, no way to an attribute that is not listed, and
nothing whose outcome differs from machine to machine (sets, `**`, addresses).
"""

from __future__ import annotations

import ast
import unicodedata
from typing import Final

from mc2.errors import PlanError
from mc2.formats.limits import LIMITS
from mc2.planner.dataframe_columns import FUNCTION_NAMES

_ALLOWED_NODES: Final[tuple[type[ast.AST], ...]] = (
    ast.Module, ast.Expr, ast.Assign, ast.AugAssign, ast.AnnAssign, ast.For, ast.If,
    ast.FunctionDef, ast.Return, ast.Pass, ast.Break, ast.Continue, ast.Import, ast.ImportFrom,
    ast.alias, ast.Call, ast.keyword, ast.Name, ast.Load, ast.Store, ast.Attribute, ast.Constant,
    ast.JoinedStr, ast.FormattedValue, ast.List, ast.Tuple, ast.Dict, ast.Subscript, ast.Slice,
    ast.Starred, ast.BinOp, ast.Add, ast.BitAnd, ast.BitOr, ast.Invert,
    ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod,
    ast.UnaryOp, ast.Not, ast.USub, ast.UAdd, ast.BoolOp, ast.And, ast.Or, ast.Compare, ast.Eq,
    ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Is, ast.IsNot, ast.In, ast.NotIn, ast.IfExp,
    ast.ListComp, ast.DictComp, ast.GeneratorExp, ast.comprehension, ast.Lambda, ast.arguments,
    ast.arg,
)  # fmt: skip

_INSTEAD: Final[dict[type[ast.AST], tuple[str, str]]] = {
    ast.While: ("while", "use `for` over a list or a range, which has an end"),
    ast.ClassDef: ("a class", "write functions; a script needs no classes"),
    ast.Try: ("try", "let the error stop the compilation: it says what to change"),
    ast.With: ("with", "a script opens nothing"),
    ast.Raise: ("raise", "use `if` to leave out what does not apply"),
    ast.Assert: ("assert", "use `if`"),
    ast.Delete: ("del", "leave the name alone"),
    ast.Global: ("global", "return the value from the function"),
    ast.Nonlocal: ("nonlocal", "return the value from the function"),
    ast.Set: ("a set", "use a list: the order of a set differs between machines"),
    ast.SetComp: ("a set", "use a list: the order of a set differs between machines"),
    ast.Pow: ("**", "write the number itself: powers differ in the last digit between machines"),
    ast.NamedExpr: (":=", "assign on a line of its own"),
    ast.Yield: ("yield", "return a list"),
    ast.YieldFrom: ("yield", "return a list"),
    ast.AsyncFunctionDef: ("async", "write a plain function"),
    ast.Await: ("await", "call the function plainly"),
    ast.Match: ("match", "use `if`"),
    ast.MatMult: ("@", "scripts hold no matrices; put the arithmetic into SQL"),
    ast.BitAnd: ("&", "use `and`"),
    ast.BitOr: ("|", "use `or`"),
    ast.Invert: ("~", "use `not`"),
}

BUILTINS: Final = (
    "abs", "all", "any", "bool", "dict", "enumerate", "float", "int", "len", "list", "max", "min",
    "range", "reversed", "round", "sorted", "str", "sum", "tuple", "zip",
)  # fmt: skip
"""The built-in functions of a script. `str` shows only values whose text is always the same."""

_TEXT_METHODS: Final = (
    "endswith", "join", "lower", "removeprefix", "removesuffix", "replace", "split", "splitlines",
    "startswith", "strip", "title", "upper",
)  # fmt: skip
_CONTAINER_METHODS: Final = (
    "append", "copy", "count", "extend", "get", "index", "insert", "pop", "reverse", "sort",
    "update",
)  # fmt: skip
_DICTIONARY_VIEWS: Final = ("items", "keys", "values")
_API: Final = (
    "Booster", "DMatrix", "Job", "Table", "bound", "column_names", "history", "keep", "kept",
    "limit", "predict",
    "public_table", "release", "release_to_owners", "row_bound", "secret", "sql", "table",
    "train", "udf", "view", "xgboost",
)  # fmt: skip
_XGBOOST: Final = (
    "EarlyStopping", "LearningRateScheduler", "XGBClassifier", "XGBRFClassifier", "XGBRFRegressor",
    "XGBRanker", "XGBRegressor", "apply", "attributes", "best_iteration", "callback", "clone",
    "cv", "evals_result", "feature_importances_", "feature_names", "fit", "get_base_margin",
    "get_booster", "get_dump", "get_fscore", "get_label", "get_params", "get_score",
    "get_split_value_histogram", "get_weight", "get_xgb_params", "num_boosted_rounds", "num_col",
    "num_features", "num_row", "predict_class", "predict_proba", "save_model", "score", "set_attr",
    "set_params", "summary", "trees_to_dataframe",
)  # fmt: skip
_LINEAR: Final = ("ElasticNet", "Lasso", "LinearRegression", "LogisticRegression", "Ridge")
_CLUSTERS: Final = ("KMeans",)
_LEARNING: Final = (*_LINEAR, *_CLUSTERS, "clusters", "decision_function", "linear")
_NUMPY: Final = (
    "abs", "absolute", "add", "arange", "ceil", "clip", "column_stack", "divide", "equal", "exp",
    "expm1", "floor", "greater", "greater_equal", "less", "less_equal", "log", "log1p",
    "logical_and", "logical_not", "logical_or", "max", "maximum", "mean", "min", "minimum",
    "multiply", "negative", "not_equal", "ones_like", "power", "reshape", "shape", "sign", "sqrt",
    "square", "stack", "subtract", "sum", "tanh", "where", "zeros_like",
)  # fmt: skip
_DATAFRAMES: Final = (
    "Window", "agg", "alias", "asc", "asc_nulls_last", "avg", "between", "cast", "columns",
    "contains", "crossJoin", "cube", "currentRow", "desc", "desc_nulls_first", "distinct", "drop",
    "dropDuplicates", "dropna", "eqNullSafe", "fillna", "filter", "functions", "groupBy",
    "intersect", "isNotNull", "isNull", "isin", "join", "like", "max", "min", "offset", "orderBy",
    "otherwise", "over", "partitionBy", "pivot", "rangeBetween", "read", "rlike", "rollup",
    "rowsBetween", "select", "selectExpr", "spark", "substr", "subtract", "sum",
    "unboundedFollowing", "unboundedPreceding", "union", "unionAll", "unionByName", "when",
    "where", "withColumn", "withColumnRenamed", *FUNCTION_NAMES,
)  # fmt: skip
ATTRIBUTES: Final = frozenset(
    {
        *_TEXT_METHODS,
        *_CONTAINER_METHODS,
        *_DICTIONARY_VIEWS,
        *_API,
        *_XGBOOST,
        *_LEARNING,
        *_NUMPY,
        *_DATAFRAMES,
    }
)
"""All that may stand after a dot. `format` is not among them: its text can reach attributes."""

_MANUAL: Final = "docs/howto/write-a-script.md lists what may"
_IMPORTS: Final = {"mc2", "mc2.clusters", "mc2.linear", "mc2.xgboost", "numpy"}
_FROM: Final = {
    "mc2": (*_API, "clusters", "linear"),
    "mc2.clusters": _CLUSTERS,
    "mc2.linear": _LINEAR,
    "mc2.xgboost": (*_API, *_XGBOOST),
    "numpy": _NUMPY,
    "pyspark.sql": ("Window", "functions"),
    "pyspark.sql.functions": FUNCTION_NAMES,
}
"""What `from` may bring: of PySpark, what `mc2.planner.dataframe_columns` has in its place."""
_COLUMN_OPERATORS: Final = (ast.BitAnd, ast.BitOr)
_FUTURE: Final = "annotations"


class Helper:
    """Names that only the rewritten program uses; a script cannot write them."""

    TEXT: Final = "__mc2_text__"
    ITEMS: Final = "__mc2_items__"
    REMAINDER: Final = "__mc2_remainder__"
    BOTH: Final = "__mc2_both__"
    EITHER: Final = "__mc2_either__"
    NOT: Final = "__mc2_not__"


def parse_script(source: str) -> ast.Module:
    """Read a script, check every part of it, and make the three rewrites of `_Rewriter`.

    Raises: PlanError with line and column.
    """
    _check_text(source)
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        raise PlanError(
            f"this is not Python: {error.msg}", line=error.lineno or 0, column=error.offset or 0
        ) from None
    except (RecursionError, MemoryError, ValueError):
        raise PlanError("the script nests too deeply") from None
    try:
        _Checker(source, tree).visit(tree)  # both change the tree in place
        _Rewriter().visit(tree)
        return ast.fix_missing_locations(tree)
    except RecursionError:
        raise PlanError("the script nests too deeply") from None


def _check_text(source: str) -> None:
    """Refuse characters that make a script look like another one (Trojan Source)."""
    if len(source.encode("utf-8", "surrogatepass")) > LIMITS.script_bytes:
        raise PlanError(f"the script is larger than {LIMITS.script_bytes} bytes")
    for number, line in enumerate(source.split("\n"), 1):
        for column, character in enumerate(line, 1):
            if character == "\r":
                raise PlanError(
                    "the line ends in CR LF",
                    line=number,
                    column=column,
                    hint="save it with LF line ends, so that all owners have the same bytes",
                )
            if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}:
                raise PlanError(
                    f"the script holds the invisible character U+{ord(character):04X}",
                    line=number,
                    column=column,
                    hint="remove it: it can make the script look different from what it does",
                )


class _Checker(ast.NodeTransformer):
    """Refuses what is not allowed; drops annotations, which say nothing to a plan."""

    def __init__(self, source: str, tree: ast.Module) -> None:
        self._lines = source.split("\n")
        self._known = {*BUILTINS, *_assigned_names(tree)}

    def error(self, node: ast.AST, message: str, hint: str = "") -> PlanError:
        line = getattr(node, "lineno", 0)
        if not line:
            return PlanError(message, hint=hint)
        before = self._lines[line - 1].encode("utf-8")[: getattr(node, "col_offset", 0)]
        return PlanError(message, line=line, column=len(before.decode("utf-8")) + 1, hint=hint)

    def visit(self, node: ast.AST) -> ast.AST:
        # Operators carry no position of their own, so their parents speak for them.
        for part in (node, getattr(node, "op", node)):
            if not isinstance(part, _ALLOWED_NODES):
                what, hint = _INSTEAD.get(type(part), (type(part).__name__, _MANUAL))
                raise self.error(node, f"{what} may not stand in a script", hint)
        checked: ast.AST = super().visit(node)
        return checked

    def visit_Name(self, node: ast.Name) -> ast.AST:
        self._check_identifier(node, node.id)
        if isinstance(node.ctx, ast.Load) and node.id not in self._known:
            hint = f"the built-in functions of a script are {', '.join(BUILTINS)}"
            raise self.error(node, f"there is no {node.id!r} in a script", hint)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        if not isinstance(node.ctx, ast.Load):
            raise self.error(node, "a script may not set attributes", "assign to a name instead")
        if node.attr not in ATTRIBUTES:
            hint = "use an f-string" if node.attr == "format" else _MANUAL
            raise self.error(node, f"{node.attr!r} may not stand after a dot in a script", hint)
        return self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if node.value is not None and not isinstance(node.value, (str, int, float, bool)):
            raise self.error(node, f"a {type(node.value).__name__} may not stand in a script")
        return node

    def visit_Import(self, node: ast.Import) -> ast.AST:
        for alias in node.names:
            if alias.name not in _IMPORTS:
                raise self.error(node, *_import_refused(alias.name))
            self._check_identifier(node, alias.asname or "")
        return node

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | None:
        if node.level == 0 and node.module == "__future__":
            if [a.name for a in node.names] != [_FUTURE]:
                raise self.error(node, f"only `{_FUTURE}` may be imported from __future__")
            return None
        if node.level or node.module not in _FROM:
            raise self.error(node, *_import_refused(node.module or "."))
        for alias in node.names:
            if alias.name not in _FROM[node.module]:
                raise self.error(node, f"{node.module} offers scripts no {alias.name!r}")
            self._check_identifier(node, alias.asname or "")
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        if not all(map(_is_udf, node.decorator_list)) or len(node.decorator_list) > 1:
            raise self.error(
                node, "decorators may not stand in a script", "call the function; @job.udf(...) may"
            )
        self._check_identifier(node, node.name)
        node.returns = None
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        self._check_identifier(node, node.arg)
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        if node.value is None or not isinstance(node.target, ast.Name):
            raise self.error(node, "an annotation may only stand where a name gets its value")
        plain = ast.Assign(targets=[node.target], value=node.value)
        return self.generic_visit(ast.copy_location(plain, node))

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST:
        if isinstance(node.op, _COLUMN_OPERATORS):
            raise self.error(node, "&= and |= may not stand in a script", "write x = x & y")
        if isinstance(node.op, ast.Mod) and not isinstance(node.target, ast.Name):
            raise self.error(node, "%= may stand after a name only", "write x = x % y")
        return self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        if isinstance(node.op, _COLUMN_OPERATORS):
            self._check_no_constant(node, node.op, node.left, node.right)
        return self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        if isinstance(node.op, ast.Invert):
            self._check_no_constant(node, node.op, node.operand)
        return self.generic_visit(node)

    def _check_no_constant(self, node: ast.AST, operator: ast.AST, *values: ast.expr) -> None:
        """`&`, `|` and `~` are for columns of DataFrames; the rest is seen when it runs."""
        if any(isinstance(value, ast.Constant) for value in values):
            what, hint = _INSTEAD[type(operator)]
            raise self.error(node, f"{what} may not stand in a script", hint)

    def visit_keyword(self, node: ast.keyword) -> ast.AST:
        self._check_identifier(node, node.arg or "")
        return self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> ast.AST:
        if node.is_async:
            raise self.error(node.target, "async may not stand in a script")
        return self.generic_visit(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        for part in node.values:
            if isinstance(part, ast.FormattedValue) and part.conversion not in (-1, ord("s")):
                raise self.error(node, "!r and !a may not stand in an f-string of a script")
        return self.generic_visit(node)

    def _check_identifier(self, node: ast.AST, name: str) -> None:
        if not name.isascii():
            raise self.error(node, f"the name {name!r} is not of ASCII letters", "rename it")
        if name.startswith("__"):
            raise self.error(node, f"the name {name!r} may not stand in a script", "rename it")


def _is_udf(node: ast.expr) -> bool:
    """Whether a decorator is the one that scripts have: `@job.udf(...)`, `@udf(...)`."""
    if not isinstance(node, ast.Call):
        return False
    function = node.func
    name = function.attr if isinstance(function, ast.Attribute) else ""
    return (function.id if isinstance(function, ast.Name) else name) == "udf"


def _import_refused(name: str) -> tuple[str, str]:
    hint = "a script imports mc2, its parts and numpy; data and files stay outside"
    if name.partition(".")[0] == "pyspark":
        hint = "write `from pyspark.sql import functions as F, Window`, and begin with job.spark"
    if name.partition(".")[0] == "xgboost":
        hint = "write `from mc2 import xgboost`: the model is trained inside the enclave"
    return f"{name!r} may not be imported in a script", hint


def _assigned_names(tree: ast.Module) -> set[str]:
    """Every name that some statement gives a value, wherever it stands."""
    names: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.FunctionDef(name=name) | ast.arg(name):
                names.add(name)
            case ast.alias(name=name, asname=other):
                names.add(other or name.partition(".")[0])
    return names


class _Rewriter(ast.NodeTransformer):
    """Routes some things through helpers, because their plain meaning is not the same everywhere.

    Text of a value in an f-string could hold an address; `%` on text could do the same; and two
    views of dictionaries make a set.
    """

    def visit_FormattedValue(self, node: ast.FormattedValue) -> ast.AST:
        self.generic_visit(node)
        node.value = _helper(Helper.TEXT, node.value)
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.op, ast.Mod):
            return ast.copy_location(_helper(Helper.REMAINDER, node.left, node.right), node)
        if isinstance(node.op, _COLUMN_OPERATORS):
            name = Helper.BOTH if isinstance(node.op, ast.BitAnd) else Helper.EITHER
            return ast.copy_location(_helper(name, node.left, node.right), node)
        return node

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.op, ast.Invert):
            return ast.copy_location(_helper(Helper.NOT, node.operand), node)
        return node

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.op, ast.Mod) and isinstance(node.target, ast.Name):
            old = ast.copy_location(ast.Name(node.target.id, ast.Load()), node)
            value = _helper(Helper.REMAINDER, old, node.value)
            return ast.copy_location(ast.Assign(targets=[node.target], value=value), node)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        self.generic_visit(node)
        if node.attr in _DICTIONARY_VIEWS:
            return _helper(Helper.ITEMS, node.value, ast.Constant(node.attr))
        return node


def _helper(name: str, first: ast.expr, *more: ast.expr) -> ast.Call:
    call = ast.Call(func=ast.Name(name, ast.Load()), args=[first, *more], keywords=[])
    return ast.copy_location(call, first)
