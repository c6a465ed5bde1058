"""One scene in the browser, with points that the reader can move.

A `Plane` is an anywidget: its JavaScript lies beside this file and loads nothing from the network.
Python sends a scene and receives the places of moved points. Most figures want `live.interactive`,
which puts planes and sliders together.
"""

from pathlib import Path

import anywidget
import traitlets

from maml_edu.figures.style import roles_as_json

HERE = Path(__file__).parent


class Plane(anywidget.AnyWidget):
    """A live `Scene`. Set `scene` to `some_scene.as_dict()`; watch `moved`.

    moved: {drag name: [[x, y], …]}, every point of that name, after the reader moved one.
    more: {drag name: how many points it may have}, where the reader may add points and take them away.
    pressed: {"name": what the reader has clicked last, "count": how many clicks there were}.
    """

    _esm = HERE / "plane.js"
    _css = HERE / "plane.css"
    scene = traitlets.Dict().tag(sync=True)
    moved = traitlets.Dict().tag(sync=True)
    pressed = traitlets.Dict().tag(sync=True)
    roles = traitlets.Dict(roles_as_json()).tag(sync=True)
    more = traitlets.Dict().tag(sync=True)
