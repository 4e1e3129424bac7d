"""The mistakes that somebody could make in a source text, one at a time."""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

MODULE = "<module>"

_SWAPPED = {
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.Lt: ("<", "<="),
    ast.LtE: ("<=", "<"),
    ast.Gt: (">", ">="),
    ast.GtE: (">=", ">"),
    ast.Is: (r"is(?!\s+not)", "is not"),
    ast.IsNot: (r"is\s+not", "is"),
    ast.In: (r"(?<!not )in", "not in"),
    ast.NotIn: (r"not\s+in", "in"),
}
#: Where such a comparison is a whole condition, to negate it is no more than always and never together.
_WHOLE = (ast.Eq, ast.NotEq, ast.Is, ast.IsNot, ast.In, ast.NotIn)
_ARITHMETIC = {ast.Add: ("+", "-"), ast.Sub: ("-", "+"), ast.Mult: (r"\*", "/"), ast.Div: ("/", "*")}
_CALLS = {"min": "max", "max": "min", "any": "all", "all": "any"}
#: A text that is a code, not a sentence.
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_#.-]+")
_JOINT = re.compile(r" (?:AND|OR) ")
#: What only tells people, or logs.
_TELLING = re.compile(r"(logger\.|identify\b|count\b|measure\b)")


@dataclass(frozen=True, slots=True)
class Edit:
    """Bytes `start` to `end` of a source, UTF-8, replaced."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Mutant:
    """One mistake in `function` (its qualified name) of `file`.

    Statements are known by their first lines: who runs none of `lines` cannot notice it, who runs one of `unnoticed_by`
    hardly can, and `around` are the function's first line and its last.
    `before` and `after` are the lines that differ, without indentation and line ends: they tell a mutant again in a
    later state of the file.
    """

    file: str
    function: str
    kind: str
    edits: tuple[Edit, ...]
    lines: tuple[int, ...]
    before: str
    after: str
    name: str = ""
    unnoticed_by: tuple[int, ...] = ()
    around: tuple[int, int] = (0, 0)

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What makes it the same mistake in another state of the file."""
        return self.file, self.function, self.before, self.after

    def of(self, source: str) -> str:
        """The source with the mistake."""
        return edited(source, self.edits)

    def diff(self, source: str) -> str:
        """What it changes."""
        lines = difflib.unified_diff(
            source.splitlines(), self.of(source).splitlines(), self.file, self.file, n=2, lineterm=""
        )
        return "\n".join(lines)


def edited(source: str, edits: Sequence[Edit]) -> str:
    """The source with these edits, which do not overlap."""
    data = source.encode()
    for edit in sorted(edits, key=lambda edit: -edit.start):
        data = data[: edit.start] + edit.text.encode() + data[edit.end :]
    return data.decode()


def changed_lines(source: str, other: str) -> tuple[str, str]:
    """The lines that differ, each side in one line."""
    one, two = source.splitlines(), other.splitlines()
    above = next((at for at, (mine, its) in enumerate(zip(one, two, strict=False)) if mine != its), 0)
    rest = zip(reversed(one[above:]), reversed(two[above:]), strict=False)
    below = next((at for at, (mine, its) in enumerate(rest) if mine != its), min(len(one), len(two)) - above)
    return _one_line(one[above : len(one) - below]), _one_line(two[above : len(two) - below])


def _one_line(lines: Sequence[str]) -> str:
    return " ".join(" ".join(lines).split())


def mutants(file: str, source: str) -> list[Mutant]:
    """Every mistake that we know to make in that source, each once, in its order."""
    finder = _Finder(file, source)
    finder.visit(finder.tree)
    return list(finder.found.values())


class _Finder(ast.NodeVisitor):
    """Walks over a module, and keeps what could go wrong."""

    def __init__(self, file: str, source: str) -> None:
        self.tree = ast.parse(source)
        self.found: dict[str, Mutant] = {}
        self._file = file
        self._source = source
        self._data = source.encode()
        self._starts = [0]
        for line in self._data.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))
        self._functions: list[str] = []
        self._depth = 0
        self._lines: tuple[int, ...] = ()
        self._unnoticed_by: tuple[int, ...] = ()
        self._around = (0, 0)

    # --- Text ---------------------------------------------------------------------------------------------------------

    def _span(self, node: ast.expr | ast.stmt | ast.keyword) -> tuple[int, int]:
        end_line, end_column = node.end_lineno or node.lineno, node.end_col_offset or 0
        return self._starts[node.lineno - 1] + node.col_offset, self._starts[end_line - 1] + end_column

    def _text(self, node: ast.expr | ast.stmt) -> str:
        start, end = self._span(node)
        return self._data[start:end].decode()

    def _keep(self, kind: str, start: int, end: int, text: str) -> None:
        edits = (Edit(start, end, text),)
        other = edited(self._source, edits)
        if other in self.found or other == self._source:
            return
        try:
            compile(other, self._file, "exec", dont_inherit=True)
        except SyntaxError:
            return
        before, after = changed_lines(self._source, other)
        function = ".".join(self._functions) or MODULE
        self.found[other] = Mutant(
            self._file,
            function,
            kind,
            edits,
            self._lines,
            before,
            after,
            unnoticed_by=self._unnoticed_by,
            around=self._around,
        )

    def _instead(self, kind: str, node: ast.expr | ast.stmt, text: str) -> None:
        start, end = self._span(node)
        self._keep(kind, start, end, text)

    def _swap(self, kind: str, left: ast.expr, right: ast.expr, tokens: tuple[str, str]) -> None:
        start, end = self._span(left)[1], self._span(right)[0]
        between = self._data[start:end].decode()
        token, other = tokens
        wordy = rf"\b{token}\b" if token[0].isalpha() or token.startswith("(?<") else re.sub(r"^\+$", r"\\+", token)
        self._keep(kind, start, end, re.sub(wordy, other, between, count=1))

    def _members(self, kind: str, members: Sequence[ast.expr], spans: Sequence[tuple[int, int]]) -> None:
        """Leave each member of a listing out."""
        if len(members) < 2:  # noqa: PLR2004 - nothing would be left
            return
        for number, (start, end) in enumerate(spans):
            if number:
                self._keep(kind, spans[number - 1][1], end, "")
            else:
                self._keep(kind, start, spans[1][0], "")

    # --- Where we are -------------------------------------------------------------------------------------------------

    def visit(self, node: ast.AST) -> None:
        """Visit a node, with what is known of the statement that it is in."""
        if not isinstance(node, ast.stmt):
            super().visit(node)
            return
        before = self._lines
        self._lines = (node.lineno,) if self._depth else self._readers(node)
        super().visit(node)
        self._lines = before

    @contextmanager
    def _in(self, statement: ast.stmt | None) -> Iterator[None]:
        """What is kept inside can be noticed only by who runs that statement, of a function."""
        before = self._lines
        if statement and self._depth:
            self._lines = (statement.lineno,)
        yield
        self._lines = before

    def _readers(self, node: ast.stmt) -> tuple[int, ...]:
        """The statements that read what one outside functions sets."""
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if hasattr(node, "target") else []
        names = {target.id for target in targets if isinstance(target, ast.Name)}
        functions = [one for one in ast.walk(self.tree) if isinstance(one, ast.FunctionDef)]
        statements = [one for function in functions for one in _statements(function.body)]
        reading = [
            one.lineno
            for one in statements
            if any(isinstance(name, ast.Name) and name.id in names for name in _own_expressions(one))
        ]
        return tuple(sorted(set(reading)))

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._functions.append(node.name)
        self._visit_all(_without_docstring(node.body))
        self._functions.pop()

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._functions.append(node.name)
        self._depth += 1
        around = self._around
        if self._depth == 1:
            self._around = (node.lineno, node.end_lineno or node.lineno)
        body = _without_docstring(node.body)
        self._lines = (body[0].lineno,) if body else ()
        self._visit_all([default for default in (*node.args.defaults, *node.args.kw_defaults) if default])
        self._visit_all(body)
        self._around = around
        self._depth -= 1
        self._functions.pop()

    def _visit_all(self, nodes: Sequence[ast.AST]) -> None:
        for node in nodes:
            self.visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """A sentence: its parts have no positions of their own before Python 3.12."""

    def visit_Import(self, node: ast.Import) -> None:
        """Nothing of a rollout."""

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        """Nothing of a rollout."""

    # --- Statements ---------------------------------------------------------------------------------------------------

    def visit_Expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Constant) or _TELLING.match(self._text(node)):
            return
        self._instead("statement left out", node, "pass")
        self.visit(node.value)

    def visit_Raise(self, node: ast.Raise) -> None:
        self._instead("not raised", node, "pass")

    def visit_Return(self, node: ast.Return) -> None:
        if node.value is None:
            return
        if not isinstance(node.value, ast.Constant):
            self._instead("returns nothing", node, "return None")
        self.visit(node.value)

    def visit_Assign(self, node: ast.Assign) -> None:
        if isinstance(node.targets[0], (ast.Subscript, ast.Attribute)):
            self._instead("not set", node, "pass")
        self.visit(node.value)
        if not self._depth and isinstance(node.value, ast.Tuple):
            self._members("member left out", node.value.elts, [self._span(one) for one in node.value.elts])

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self._instead("not added", node, "pass")
        self.visit(node.value)

    def visit_For(self, node: ast.For) -> None:
        self._instead("only the first", node.iter, f"[*{_grouped(node.iter, self._text(node.iter))}][:1]")
        self.visit(node.iter)
        self._visit_all([*node.body, *node.orelse])

    def visit_Continue(self, node: ast.Continue) -> None:
        self._instead("loop ends", node, "break")

    def visit_Break(self, node: ast.Break) -> None:
        self._instead("loop goes on", node, "continue")

    def visit_If(self, node: ast.If) -> None:
        self._condition(node.test, node.body[0])
        self._visit_all([*node.body, *node.orelse])

    def visit_While(self, node: ast.While) -> None:
        self._condition(node.test, node.body[0])
        self._visit_all(node.body)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        if node.type is not None:
            self._instead("caught too", node.type, "Exception")
            with self._in(node.body[0]):
                self._instead("not caught", node.type, "()")
                if isinstance(node.type, ast.Tuple):
                    self._members("not caught", node.type.elts, [self._span(one) for one in node.type.elts])
        self._visit_all(node.body)

    # --- Expressions --------------------------------------------------------------------------------------------------

    def _condition(self, test: ast.expr, body: ast.stmt | None = None) -> None:
        """Always and never; `body` is the first statement that it guards."""
        if isinstance(test, ast.Constant):
            return
        text = self._text(test)
        with self._in(body):
            self._instead("never", test, f"({text}) and False")
        self._unnoticed_by = (body.lineno,) if body and self._depth else ()
        self._instead("always", test, f"({text}) or True")
        self._unnoticed_by = ()
        if isinstance(test, ast.UnaryOp):
            self.visit(test.operand)
        elif isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], _WHOLE):
            self.generic_visit(test)
        else:
            self.visit(test)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        if not (_is_sentence(node.body) and _is_sentence(node.orelse)):
            self._condition(node.test)
        self._visit_all([node.body, node.orelse])

    def visit_comprehension(self, node: ast.comprehension) -> None:
        self.visit(node.iter)
        for test in node.ifs:
            self._condition(test)

    def visit_Compare(self, node: ast.Compare) -> None:
        operands = [node.left, *node.comparators]
        for number, operator in enumerate(node.ops):
            self._swap("comparison", operands[number], operands[number + 1], _SWAPPED[type(operator)])
        self.generic_visit(node)
        for operand in node.comparators:
            if isinstance(operand, ast.Tuple):
                self._members("member left out", operand.elts, [self._span(one) for one in operand.elts])

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        joint = " and " if isinstance(node.op, ast.And) else " or "
        for left_out in node.values:
            if not any(isinstance(one, ast.NamedExpr) for one in ast.walk(left_out)):
                kept = [_grouped(one, self._text(one)) for one in node.values if one is not left_out]
                self._instead("condition left out", node, joint.join(kept))
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.Not):
            self._instead("not negated", node, f"({self._text(node.operand)})")
        self.visit(node.operand)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        tokens = _ARITHMETIC.get(type(node.op))
        if tokens and not _is_text(node.left) and not _is_text(node.right):
            self._swap("arithmetic", node.left, node.right, tokens)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Name) and (other := _CALLS.get(node.func.id)):
            self._instead("other end", node.func, other)
        before: ast.expr | ast.keyword | None = max(node.args, key=lambda one: self._span(one)[1], default=None)
        for keyword in node.keywords:
            start, end = self._span(keyword)
            if before is not None and not isinstance(keyword.value, ast.Constant):
                self._keep("argument left out", self._span(before)[1], end, "")
            elif before is None and len(node.keywords) == 1 and not isinstance(keyword.value, ast.Constant):
                self._keep("argument left out", start, end, "")
            before = keyword
        self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        self.visit(node.value)
        if not isinstance(node.slice, ast.Constant):
            self.visit(node.slice)

    def visit_List(self, node: ast.List) -> None:
        self._members("member left out", node.elts, [self._span(one) for one in node.elts])
        self.generic_visit(node)

    def visit_Set(self, node: ast.Set) -> None:
        self._members("member left out", node.elts, [self._span(one) for one in node.elts])
        self.generic_visit(node)

    def visit_Dict(self, node: ast.Dict) -> None:
        spans = []
        for key, value in zip(node.keys, node.values, strict=True):
            start, end = self._span(value)
            # Two characters before a value that has no key stand its asterisks.
            spans.append((self._span(key)[0] if key else start - 2, end))
        self._members("member left out", node.values, spans)
        self._visit_all(node.values)

    def visit_Constant(self, node: ast.Constant) -> None:
        value = node.value
        if isinstance(value, bool):
            self._instead("constant", node, str(not value))
        elif isinstance(value, (int, float)):
            self._instead("constant", node, repr(value + 1))
            if value > 0:
                self._instead("constant", node, repr(value - 1))
        elif isinstance(value, str):
            parts = _JOINT.split(value)
            for part in parts if len(parts) > 1 else ():
                self._instead("condition left out", node, repr(part))
            if _CODE.fullmatch(value):
                self._instead("other text", node, '"mutated"')


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    first = body[0] if body else None
    is_docstring = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    return body[1:] if is_docstring else body


def _statements(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    for statement in body:
        yield from (one for one in ast.walk(statement) if isinstance(one, ast.stmt))


def _own_expressions(statement: ast.stmt) -> Iterator[ast.AST]:
    """What a statement evaluates itself, not what the statements in it do."""
    for child in ast.iter_child_nodes(statement):
        if not isinstance(child, ast.stmt):
            yield from ast.walk(child)


def _grouped(node: ast.expr, text: str) -> str:
    loose = (ast.BoolOp, ast.IfExp, ast.Lambda, ast.NamedExpr, ast.BinOp, ast.Tuple, ast.Starred, ast.GeneratorExp)
    return f"({text})" if isinstance(node, loose) else text


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _is_sentence(node: ast.expr) -> bool:
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str) and not _CODE.fullmatch(node.value)
    return isinstance(node, ast.JoinedStr)
