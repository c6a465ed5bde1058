"""Interactive figures: sliders and draggable points in front of a pure function → scene.

The figure first shows its static twin (the same function at its first values), which is what
readers without a kernel keep, then the live widgets; in the browser these hide the twin. Start
from `interactive`.
"""

from decimal import Decimal

import numpy as np

from maml_edu.figures.static import draw


def interactive(scene_of, sliders=None, drag=None, twin=None, press="", more=None):
    """A live figure of `scene_of(**values)`, which returns a `Scene` or a list of them.

    sliders: name → (label, low, high, start, step), a slider, integer when all four numbers are;
        (label, [option, …]), a menu whose first option is the start; (label, True or False); (label, "words"), a
        box to type in; (label, low, high, start, step, "play"), of whole numbers, a slider that also plays.
    drag: name → first place (x, y), or places (n, 2), of the `Points` drawn with `drag=name`.
        Points whose `drag` names a slider, and whose axis is "x" or "y", move that slider.
    more: name in `drag` → how many points it may have at most: a click on an empty place adds one, a double
        click (or Delete) takes one away, and so do two buttons; the last one stays. Its places are (n, 2).
    twin: what the static twin shows: a list of values, each {name: value} changed from the start,
        drawn side by side; None shows the start.
    press: the argument of scene_of, a list, that gets the names of all that the reader has clicked (`press`
        of an `Ink` or a `Note`), in order; empty at the start.
    """
    return Interactive(scene_of, sliders or {}, drag or {}, twin or [{}], press, more or {})


class Interactive:
    """A figure that displays itself; `values` are what the reader has set, `scenes` what is seen.

    `set(name=value, …)` moves sliders and points from Python, as a reader would by hand.
    """

    def __init__(self, scene_of, sliders, drag, twin, press="", more=()):
        self._scene_of = scene_of
        self._more = dict(more)
        self._presses = {press: []} if press else {}
        self._places = {name: np.array(place, dtype=float) for name, place in drag.items()}
        for name, most in self._more.items():
            if np.ndim(self._places.get(name)) != 2 or len(self._places[name]) > most:
                raise ValueError(
                    f"more={{{name!r}: {most}}} wants drag={{{name!r}: places (n, 2)}}, n ≤ {most}"
                )
        self._plays = {name for name, spec in sliders.items() if _plays(spec)}
        self.controls = {
            name: _control(name, spec[:5] if name in self._plays else spec)
            for name, spec in sliders.items()
        }
        self.scenes = self._compute()
        pictures = [scene for changes in twin for scene in self._compute(**changes)]
        columns = len(self.scenes) if len(self.scenes) > 1 else None
        self.twin = draw(*pictures, columns=columns)
        self.planes = []
        self._widget = None

    @property
    def values(self):
        """Name → value of every slider and every draggable point, and what was pressed."""
        controls = {name: control.value for name, control in self.controls.items()}
        places = {name: place.copy() for name, place in self._places.items()}
        return {**controls, **places, **{name: list(own) for name, own in self._presses.items()}}

    def set(self, **values):
        """Set sliders and places by name."""
        for name, value in values.items():
            if name in self._places:
                self._put(name, value)
            elif name in self.controls:
                self.controls[name].value = value
            elif name in self._presses:
                self._presses[name] = list(value)
            else:
                known = ", ".join([*self.controls, *self._places, *self._presses])
                raise ValueError(f"this figure has no {name!r}: it has {known}")
        self._redraw()

    def _put(self, name, places):
        """New places of the points `name`: as many as before, unless `more` allows another number."""
        shape = (-1, 2) if name in self._more else self._places[name].shape
        places = np.reshape(places, shape).astype(float)
        if name in self._more and not 1 <= len(places) <= self._more[name]:
            raise ValueError(f"{name} has 1 to {self._more[name]} points, not {len(places)}")
        self._places[name] = places

    @property
    def widget(self):
        """The live part: sliders above, one plane per scene below. Made when first asked for."""
        if self._widget is None:
            self._widget = self._build()
        return self._widget

    def _build(self):
        from ipywidgets import Box, Layout, VBox

        from maml_edu.figures.plane import Plane

        room = Layout(flex="1 1 360px", min_width="300px", max_width="560px")
        self.planes = [
            Plane(scene=scene.as_dict(), more=self._more, layout=room) for scene in self.scenes
        ]
        for control in self.controls.values():
            control.observe(self._redraw, "value")
        for plane in self.planes:
            plane.observe(self._moved, "moved")
            plane.observe(self._pressed, "pressed")
        wrap = Layout(display="flex", flex_flow="row wrap", width="100%")
        buttons = [button for name in self._more for button in self._buttons(name)]
        shown = [_with_player(c) if name in self._plays else c for name, c in self.controls.items()]
        sliders = Box([*shown, *buttons], layout=wrap)
        return VBox([sliders, Box(self.planes, layout=wrap)])

    def _buttons(self, name):
        """Two buttons, for who has no mouse: a point more in the widest gap, the last one less."""
        from ipywidgets import Button, Layout

        layout = Layout(width="auto", margin="2px 4px")
        more, less = (
            Button(description=f"{act} a point", layout=layout) for act in ("Add", "Remove")
        )
        more.tooltip, less.tooltip = "or click on an empty place", "or double-click it"
        more.on_click(lambda _: self._grow(name))
        less.on_click(lambda _: self._shrink(name))
        return more, less

    def _grow(self, name):
        if len(self._places[name]) < self._more[name]:
            limits = next(s.xlim for s in self.scenes for p in s.points if p.drag == name)
            self.set(
                **{name: [*self._places[name], _in_the_widest_gap(self._places[name], limits)]}
            )

    def _shrink(self, name):
        if len(self._places[name]) > 1:
            self.set(**{name: self._places[name][:-1]})

    def _compute(self, **changes):
        scenes = self._scene_of(**{**self.values, **changes})
        return list(scenes) if isinstance(scenes, (list, tuple)) else [scenes]

    def _moved(self, change):
        for name, places in change["new"].items():
            if change["old"].get(name) == places:
                continue
            if name in self._places:
                self._put(name, places)
                self._redraw()
            elif name in self.controls:
                self._slide(name, places[0])

    def _pressed(self, change):
        for own in self._presses.values():
            own.append(change["new"]["name"])
        self._redraw()

    def _slide(self, name, place):
        """Set the slider `name` from a point that was dragged to `place`, in whole slider steps."""
        slider = self.controls[name]
        across = any(p.drag == name and p.axis == "x" for s in self.scenes for p in s.points)
        steps = round((place[0 if across else 1] - slider.min) / slider.step)
        slider.value = min(slider.max, slider.min + steps * slider.step)

    def _redraw(self, change=None):
        self.scenes = self._compute()
        for plane, scene in zip(self.planes, self.scenes, strict=False):
            plane.scene = scene.as_dict()

    def __repr__(self):
        return f"interactive figure: {self.twin.title}"

    def _ipython_display_(self):
        from IPython.display import display

        twin, metadata = self.twin._repr_mimebundle_()
        twin["text/html"] = self.twin.as_html("maml-edu-twin")
        display(twin, metadata=metadata, raw=True)
        live = self.widget._repr_mimebundle_()
        live = live[0] if isinstance(live, tuple) else live
        live["text/plain"] = "(the live figure needs a running kernel)"
        display(live, raw=True)


def _in_the_widest_gap(places, limits):
    """A place in the middle of the widest gap between the points' x, on the line between its neighbours."""
    places = places[np.argsort(places[:, 0])]
    edges = np.concatenate([limits[:1], places[:, 0], limits[1:]])
    widest = int(np.argmax(np.diff(edges)))
    x = edges[widest : widest + 2].mean()
    return x, np.interp(x, *places.T)


def _control(name, spec):
    """The widget for one slider spec."""
    import ipywidgets as widgets

    label, *rest = spec
    wide = widgets.Layout(width="330px", margin="2px 18px 2px 4px")
    shared = {"description": label, "style": {"description_width": "initial"}, "layout": wide}
    if len(rest) == 1 and isinstance(rest[0], bool):
        return widgets.Checkbox(value=rest[0], indent=False, **shared)
    if len(rest) == 1 and isinstance(rest[0], (list, tuple)) and rest[0]:
        return widgets.Dropdown(options=rest[0], value=rest[0][0], **shared)
    if len(rest) == 1 and isinstance(rest[0], str):
        return widgets.Text(value=rest[0], **shared)
    if len(rest) != 4:
        raise ValueError(
            f"the slider {name!r} is {spec!r}: write (label, low, high, start, step), "
            '(label, [option, …]), (label, True), (label, "words"), or a slider of whole numbers and "play"'
        )
    low, high, start, step = rest
    whole = all(isinstance(number, int) for number in rest)
    kind = widgets.IntSlider if whole else widgets.FloatSlider
    places = {} if whole else {"readout_format": f".{_decimals(step)}f"}
    return kind(value=start, min=low, max=high, step=step, **places, **shared)


def _plays(spec):
    """Whether a spec is that of a slider with a button to play it, which wants whole numbers."""
    *numbers, last = spec[1:]
    return len(numbers) == 4 and last == "play" and all(isinstance(n, int) for n in numbers)


def _with_player(slider):
    """A slider of whole numbers and buttons that move it on by themselves, ten steps a second at most.

    They are tied together in the browser, and Python hears of the slider alone.
    """
    from ipywidgets import HBox, Layout, Play, jslink

    ends = {name: getattr(slider, name) for name in ("value", "min", "max", "step")}
    player = Play(interval=100, show_repeat=False, **ends)
    jslink((player, "value"), (slider, "value"))
    return HBox([player, slider], layout=Layout(margin="2px 4px"))


def _decimals(step):
    """How many a multiple of the step has: 3 for 0.025."""
    exponent = Decimal(repr(float(step))).normalize().as_tuple().exponent
    return max(0, -int(exponent))
