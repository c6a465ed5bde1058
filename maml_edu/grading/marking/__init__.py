"""Marking on a page: `session` shows every answer that a person has to read, in a browser on this machine.

`desk` knows what there is to read and writes what is given; `pages.render` makes what students wrote
harmless; `server` speaks HTTP on loopback; page.html, page.js and page.css are all that a browser gets.
"""

from __future__ import annotations

import contextlib
import webbrowser
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..classroom import Classroom


def session(
    room: Classroom, chapters: list[str], anonymous: bool, port: int, browser: bool, show: Callable
) -> None:
    """Serve the page until Ctrl-C; show: what to say meanwhile. The database of marks is made anew at the end.

    Raises ValueError where nothing waits or the port is taken, or for mistakes in by_hand.csv or policy.toml.
    """
    from .. import marks, run
    from .desk import Desk
    from .server import Server

    marks.bind_to_results(room.results, room.by_hand)
    desk = Desk(room, chapters, anonymous)
    if not desk.sheets:
        raise ValueError(
            f"nothing waits for a person in {room.root}: maml-edu classroom grade comes first."
        )
    try:
        server = Server(desk, port)
    except OSError as error:
        raise ValueError(f"port {port} cannot be had ({error.strerror}): take another.") from error
    with server, contextlib.suppress(KeyboardInterrupt):
        show(f"{len(desk.sheets)} answers: {server.url}")
        show("The address is for you alone. Ctrl-C ends it; every mark is in by_hand.csv at once.")
        if browser:
            webbrowser.open(server.url)
        server.serve_forever(poll_interval=0.2)
    waiting = sum(len(mark.waiting) for mark in run.write_marks(room).marks)
    show(f"{waiting} answers still wait. Next: maml-edu classroom feedback, report, export.")
