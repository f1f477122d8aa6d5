"""Every annotation is checked while testing, by beartype; where an annotation has shapes, by jaxtyping too.

Its import hook gives every function to jaxtyping, which makes two more functions of it and binds the arguments of each
call. That is half of the time of a test of whole stages, and does nothing where no annotation has a shape.
"""

import functools
import inspect

import jaxtyping
from beartype import BeartypeConf, beartype

NUMBERS = beartype(conf=BeartypeConf(is_pep484_tower=True))
"""A whole number may stand where a `float` is asked for, as Python and mypy have it."""


def check_annotations(packages):
    """Check the annotations of packages that are not imported yet, until the hook that is returned is left."""
    jaxtyping.jaxtyped = _checked
    return jaxtyping.install_import_hook(packages, "beartype.beartype")


def _checked(*, typechecker):
    def decorate(what):
        made = what.__init__ if inspect.isclass(what) else what
        annotations = getattr(made, "__annotations__", {})
        if "jaxtyping" in repr(annotations) or any(isinstance(one, str) for one in annotations.values()):
            return _with_shapes(what, typechecker=NUMBERS)
        if not inspect.isclass(what):
            return _without_shapes(what)
        if hasattr(what, "__dataclass_fields__") and not hasattr(made, "__wrapped__"):
            what.__init__ = _without_shapes(made)
        return what

    return decorate


_with_shapes = jaxtyping.jaxtyped


def _without_shapes(function):
    checked = NUMBERS(function)

    @functools.wraps(function)
    def wrapped(*args, **options):
        __tracebackhide__ = True
        return (function if jaxtyping.config.jaxtyping_disable else checked)(*args, **options)

    return wrapped
