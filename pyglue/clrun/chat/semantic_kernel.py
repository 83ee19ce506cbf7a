"""SemanticKernelFilter: the functions that Semantic Kernel calls as steps.

kernel = Kernel()
cl.SemanticKernelFilter(kernel=kernel)
"""

from __future__ import annotations

from typing import Any

from .context import context_var
from .step import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

# The kernel's own name for this kind of filter.
FUNCTION_INVOCATION = "function_invocation"


class SemanticKernelFilter:
    """A filter of function invocations: each is a step of the type "tool".

    excluded_plugins, excluded_functions: names of those that are not shown. kernel: where the
    filter is added; without one, add it with `kernel.add_filter("function_invocation", filter)`.
    """

    def __init__(
        self,
        excluded_plugins: Iterable[str] | None = None,
        excluded_functions: Iterable[str] | None = None,
        *,
        kernel: Any = None,
    ) -> None:
        self._plugins = frozenset(excluded_plugins or ())
        self._functions = frozenset(excluded_functions or ())
        if kernel is not None:
            self.add_to_kernel(kernel)

    def add_to_kernel(self, kernel: Any) -> None:
        """Show the functions that this kernel calls."""
        kernel.add_filter(FUNCTION_INVOCATION, self)

    async def __call__(self, context: Any, next: Callable[[Any], Awaitable[None]]) -> None:
        """What the kernel calls instead of the function. next: goes on to it."""
        plugin, name = context.function.plugin_name, context.function.name
        excluded = plugin in self._plugins or name in self._functions
        if excluded or context_var.get(None) is None:
            await next(context)
            return
        async with Step(name=f"{plugin}-{name}" if plugin else name, type="tool") as step:
            step.input = {key: _plain(value) for key, value in dict(context.arguments).items()}
            await next(context)
            if context.result is not None and not context.is_streaming:
                step.output = _plain(context.result.value)


def _plain(value: Any) -> Any:
    return value if isinstance(value, (str, int, float, bool, dict, list)) else str(value)
