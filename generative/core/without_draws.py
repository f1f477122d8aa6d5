"""Building a module without drawing its weights: for one that is only imagined, or is about to be loaded."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor
from torch.nn import init
from torch.overrides import TorchFunctionMode

FILLED = (init.uniform_, init.normal_, init.kaiming_uniform_, init.kaiming_normal_)
"""Of torch's ways to draw weights, those that a mode meets as a whole; others come to a tensor's own methods."""
DRAWS = frozenset({Tensor.normal_, Tensor.uniform_, *FILLED})


class WithoutDraws(TorchFunctionMode):
    """Inside, tensors that a draw would fill stay as they are; `with WithoutDraws(): registry.create(...)`.

    Drawing takes longer than all else in building a module. Without memory (torch's `meta` device) it would import
    torch's compiler besides, which takes seconds.
    """

    def __torch_function__(self, func: Any, types: Sequence[Any], args: Any = (), kwargs: Any = None) -> Any:
        """Carry out what is no draw."""
        given = kwargs or {}
        if func in DRAWS:
            return args[0] if args else given["tensor"]
        return func(*args, **given)
