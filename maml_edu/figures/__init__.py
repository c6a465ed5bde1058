"""Every picture and interactive figure of the course, one function each.

Use one in a lesson:

    from maml_edu.figures import draw, two_arrows, show_source
    two_arrows()                      # live figure; without a kernel its static twin remains
    draw(scene_a, scene_b)            # pictures side by side, with alt text
    show_source(ref.adapt)            # the code behind a lesson, folded

How to write a new figure
-------------------------
1. Make a module for the chapter (or use it: `start.py`, `descent.py`, `arrows.py` …) and write a
   pure function from parameters to a `Scene` (or a list of scenes: panels side by side). Compute
   with `maml_edu.reference`; do not import matplotlib.

       def parabola_scene(a=1.0, start=(2.0, 2.0)):
           x = np.linspace(-3, 3, 121)
           return Scene(
               title=f"The larger a, the steeper: slope {number(a * start[0])}",  # the finding
               alt="An upward parabola with a black point on its right arm.",  # what is to be seen
               xlabel="parameter θ", ylabel="loss L(θ)", xlim=(-3, 3), ylim=(0, 5),
               curves=[Curve(x, a * x**2 / 2, "surface", "loss")],
               points=[Points(start[0], a * start[0]**2 / 2, "theta", "θ", drag="start", axis="x")],
           )

2. Choose a *role* for each thing (`style.ROLES`): never a colour. A new kind of thing gets a new
   role there, and a line in `LINES` or `MARKS` of tests/figures/test_style.py if it shares panels.
   Small black-and-white images are `Ink`; with `press="name"` an `Ink` or a `Note` can be clicked.
3. A static figure returns `draw(scene, …)`. An interactive one returns

       interactive(parabola_scene, {"a": ("curvature a", 0.2, 2.0, 1.0, 0.1)},
                   drag={"start": (2.0, 2.0)})

   Slider specs: (label, low, high, start, step) is a slider, whole numbers throughout make it
   an integer one; (label, [option, …]) a menu; (label, True) a tick box. `drag` gives the first
   places of draggable points: a pair, or an array (n, 2) for several; each name once a figure.
   `press="answers"` passes the names of what was clicked so far, as a list.
   The function is called with all of these by name. It should take less than 50 ms. Its value
   at the start is the static twin; `twin=[{"a": 0.5}, {"a": 2.0}]` draws several settings side
   by side instead, where one picture does not tell the story.
4. Name the public function in `_WHERE` below and in `FIGURES` of tests/figures/test_figures.py,
   which checks its title, alt text and size. Test the scene's numbers against a closed form.
5. Look at it: `draw(parabola_scene()).save("/tmp/look.png")`, then live in JupyterLab, and once in
   grey.

Words: `number(0.00123)` writes numbers for titles. Greek and minus are Unicode (θ, α, −), not TeX:
the browser shows the same text.
"""

from importlib import import_module

_WHERE = {
    "Arrow": "scene",
    "Band": "scene",
    "Curve": "scene",
    "Ink": "scene",
    "Level": "scene",
    "Note": "scene",
    "Points": "scene",
    "Scene": "scene",
    "contours": "scene",
    "number": "scene",
    "ROLES": "style",
    "Picture": "static",
    "draw": "static",
    "interactive": "live",
    "show_source": "source",
    # Chapter 00
    "fit_a_new_sine": "start",
    "sine_tasks": "start",
    # Chapter 01
    "descent_on_contours": "descent",
    "convergence_by_direction": "descent",
    "stability_limit": "descent",
    "noisy_descent": "descent",
    # Chapter 04
    "two_arrows": "arrows",
    "meta_loss_of_theta": "arrows",
    "two_curvatures": "arrows",
    # Chapter 07
    "scrub_adaptation": "sinusoid_maml",
    "training_curve": "sinusoid_maml",
    "error_against_steps": "sinusoid_maml",
    # Chapter 08
    "nine_suspects": "bug_hunt",
    "where_bugs_cut": "bug_hunt",
    # Chapter 09
    "launch_or_compute": "fast",
    "speed_ladder": "fast",
    "roofline": "fast",
    "memory_against_steps": "fast",
    # Chapter 10
    "an_episode": "few_shot",
    "accuracies": "few_shot",
    "be_the_classifier": "few_shot",
}

__all__ = sorted(_WHERE)


def __getattr__(name):
    """Import a figure's module when it is first asked for (PEP 562): importing this is cheap."""
    if name not in _WHERE:
        raise AttributeError(f"maml_edu.figures has no {name!r}; it has: {', '.join(__all__)}")
    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)


def __dir__():
    return __all__
