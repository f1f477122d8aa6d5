"""Notebooks as scripts of cells (`# %%`), executed as a notebook would: what the last line of a cell is, is shown."""

import ast
import re
from typing import NamedTuple

PARAMETERS = 'tags=["parameters"]'


class Cell(NamedTuple):
    """A cell of a notebook."""

    head: str
    """What stands behind its `# %%`."""
    text: str

    @property
    def words(self):
        """Whether it is text for the reader."""
        return self.head == "[markdown]"


def cells(path):
    """Return the cells of a notebook."""
    parts = re.split(r"^# %%(.*)$", path.read_text(), flags=re.MULTILINE)
    assert parts[0] == "", f"{path}: begins before its first cell"
    return [Cell(head.strip(), text.strip("\n")) for head, text in zip(parts[1::2], parts[2::2], strict=True)]


def executed(path, **parameters):
    """Execute a notebook and return what its cells show; parameters replace those in its cell of that name."""
    names, shown = {"__name__": "__main__"}, []
    for cell in cells(path):
        if cell.words:
            continue
        tree = ast.parse(cell.text)
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, str(path), "exec"), names)
        if last is not None:
            shown.append(eval(compile(ast.Expression(last.value), str(path), "eval"), names))
        if cell.head == PARAMETERS:
            assert parameters.keys() <= names.keys(), f"{path}: has no parameters {parameters.keys() - names.keys()}"
            names.update(parameters)
    return [each for each in shown if each is not None]
