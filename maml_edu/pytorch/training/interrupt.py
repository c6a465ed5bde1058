"""Ctrl-C that waits for the end of an iteration: `CtrlC`."""

from __future__ import annotations

import contextlib
import signal
import threading


class CtrlC(contextlib.AbstractContextManager):
    """While it is open, the first Ctrl-C only sets `asked`; a second one raises KeyboardInterrupt at once.

    So a step is never stopped half-way unless somebody insists. If Ctrl-C does something other than raise
    KeyboardInterrupt (in another thread, with the user's own handler, or ignored), it is left alone.
    """

    asked = False

    def __enter__(self):
        main = threading.current_thread() is threading.main_thread()
        self.ours = main and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if self.ours:
            signal.signal(signal.SIGINT, self._handle)
        return self

    def _handle(self, number, frame):
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True

    def __exit__(self, *error):
        if self.ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)
