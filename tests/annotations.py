"""Every annotation is checked while testing, by beartype; where an annotation has shapes, by jaxtyping too.

Its import hook gives every function to jaxtyping, which makes two more functions of it and binds the arguments of each
call. That is half of the time of a test of whole stages, and does nothing where no annotation has a shape. Of an inner
loop, which draws strokes or steps through a dream, the first calls in every test are checked.
"""

import functools
import inspect
from collections import Counter

import jaxtyping
from beartype import BeartypeConf, beartype

NUMBERS = beartype(conf=BeartypeConf(is_pep484_tower=True))
"""A whole number may stand where a `float` is asked for, as Python and mypy have it."""
CHECKED = 100
"""Calls of a function that are checked in each test."""


def check_annotations(packages):
    """Check the annotations of packages that are not imported yet, until the hook that is returned is left."""
    jaxtyping.jaxtyped = _checked
    return jaxtyping.install_import_hook(packages, "beartype.beartype")


def _checked(*, typechecker):
    def decorate(what):
        made = what.__init__ if inspect.isclass(what) else what
        annotations = getattr(made, "__annotations__", {})
        if "jaxtyping" in repr(annotations) or any(isinstance(one, str) for one in annotations.values()):
            if inspect.isclass(what):
                return _with_shapes(what, typechecker=NUMBERS)
            return _first_calls(what, functools.partial(_with_shapes, typechecker=NUMBERS))
        if not inspect.isclass(what):
            return _first_calls(what, NUMBERS)
        if hasattr(what, "__dataclass_fields__") and not hasattr(made, "__wrapped__"):
            what.__init__ = _first_calls(made, NUMBERS)
        return what

    return decorate


_with_shapes = jaxtyping.jaxtyped
_calls = Counter()


def check_anew():
    """Check the first calls of every function again."""
    _calls.clear()


def _first_calls(function, check):
    """Check the first calls of a function; what checks is made at the very first, as many are never called."""
    checked, code = None, function.__code__

    @functools.wraps(function)
    def wrapped(*args, **options):
        __tracebackhide__ = True
        nonlocal checked
        if _calls[code] >= CHECKED or jaxtyping.config.jaxtyping_disable:
            return function(*args, **options)
        _calls[code] += 1
        checked = checked or check(function)
        return checked(*args, **options)

    return wrapped
