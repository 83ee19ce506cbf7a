/* async_method.h: AsyncMethod, a method in C that inspect and asyncio take for what it is to its
 * callers: an `async def`. Frameworks look before they call: Starlette's background tasks run
 * anything else in a thread and never await what it returns.
 *
 * From Python, in a class that derives from Server:
 *   @AsyncMethod
 *   async def emit(self, event, data=None, …): "the documentation"
 * The function is never called. It names the method of Server that does the work, and answers for
 * the signature, the documentation and the code flags.
 *
 * Threads:  the interpreter lock must be held.
 * Lifetime: a Python object.
 */
#pragma once

#include "state.h"

/* 0, or -1 with an exception. */
CLR_NODISCARD int clr_async_method_init_type(PyObject *module, clr_state_t *st);
