"""A fixed sequence of operations that is carried out many times: recorded once as a CUDA graph and replayed on a GPU.

Small networks leave a GPU idle: starting an operation takes the processor longer than the GPU needs for it. A replay
starts all of them at once. On any other device the same function is simply called, so there is one path of code.
"""

import contextlib
import functools
import gc
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any, Generic, ParamSpec, TypeVar, cast

import torch

P = ParamSpec("P")
T = TypeVar("T")

WARM_UP = 2
"""Plain calls before the recording: libraries choose their kernels and take their memory in them."""


_recording: ContextVar[bool] = ContextVar("_recording", default=False)
_again: ContextVar[bool] = ContextVar("_again", default=False)


def recording() -> bool:
    """Return whether operations are only being recorded, so that nothing may look at a number."""
    return _recording.get()


@contextlib.contextmanager
def as_recorded() -> Iterator[None]:
    """Do what a recording does: leave out what looks at numbers, such as a check of their range."""
    token = _recording.set(True)
    try:
        yield
    finally:
        _recording.reset(token)


@contextlib.contextmanager
def many_times() -> Iterator[None]:
    """Say that what is called inside is called again and again, so that compiling it (`fused`) pays."""
    token = _again.set(True)
    try:
        yield
    finally:
        _again.reset(token)


class Replayed(Generic[T]):
    """Calls a function of fixed tensors; on a GPU it is recorded after the first calls and then replayed.

    The function takes no argument and does the same operations on the same tensors every time: what differs from call
    to call is copied into these tensors before it. It does not wait for the device, as `Tensor.item` does, while
    `recording()`. What it returns is overwritten by the next call. Where a recording fails, the function is called as
    it is from then on, with one warning.
    """

    def __init__(
        self, function: Callable[[], T], device: torch.device, generators: Sequence[torch.Generator] = ()
    ) -> None:
        """Hold the function.

        Args:
            function: to call.
            device: of all its tensors.
            generators: that it draws from, apart from the device's default one; each replay draws from where they are
                set.
        """
        self._function, self._device, self._generators = function, device, generators
        self._calls, self._failed = 0, False
        self._graph: torch.cuda.CUDAGraph | None = None
        self._result: T | None = None

    def __call__(self) -> T:
        """Carry out the operations and return what the function returned."""
        if self._device.type != "cuda":
            return self._function()
        with many_times():
            return self._on_gpu()

    def _on_gpu(self) -> T:
        if self._failed:
            return self._function()
        if self._graph is None:
            if self._calls < WARM_UP:
                self._calls += 1
                return self._aside()
            try:
                self._graph = self._record()
            except RuntimeError as error:  # also for want of memory: a recording takes its own
                self._failed = True
                why = str(error).splitlines()[0]
                warnings.warn(f"operations cannot be recorded on the GPU and run slower: {why}", stacklevel=2)
                return self._function()
        self._graph.replay()
        return cast(T, self._result)

    def _aside(self) -> T:
        """Call the function on a stream of its own, as a recording asks for."""
        here = torch.cuda.current_stream(self._device)
        stream = torch.cuda.Stream(self._device)
        stream.wait_stream(here)
        with torch.cuda.stream(stream):
            result = self._function()
        here.wait_stream(stream)
        return result

    def _record(self) -> torch.cuda.CUDAGraph:
        graph = torch.cuda.CUDAGraph()
        for generator in self._generators:
            graph.register_generator_state(generator)
        gc.collect()  # what frees memory of the GPU while it records breaks the recording
        collects = gc.isenabled()
        gc.disable()
        try:
            with torch.cuda.device(self._device):
                torch.cuda.synchronize()
                with torch.cuda.graph(graph, stream=torch.cuda.Stream()), as_recorded():
                    self._result = self._function()
        finally:
            if collects:
                gc.enable()
        return graph


def fused(function: Callable[P, T]) -> Callable[P, T]:
    """Compile a function of tensors into few kernels where its first argument is on a GPU, if called `many_times`.

    Otherwise it is called as it is, on a processor to the last digit: compiling takes seconds. Where compiling fails,
    for example because a C compiler is missing, it is called as it is too, with one warning.
    """
    compiled: Callable[..., Any] | None = None
    failed = False

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        nonlocal compiled, failed
        first = args[0]
        if failed or not (_again.get() and isinstance(first, torch.Tensor) and first.is_cuda):
            return function(*args, **kwargs)
        if compiled is None:
            compiled = torch.compile(function, fullgraph=True)
        try:
            result: T = compiled(*args, **kwargs)
        except Exception as error:  # a compiler may fail in any way
            failed = True
            warnings.warn(
                f"{function.__qualname__} is not compiled for the GPU and runs slower: {str(error).splitlines()[0]}",
                stacklevel=2,
            )
            return function(*args, **kwargs)
        return result

    return call
