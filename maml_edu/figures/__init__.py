"""Every picture and interactive figure of the course, one function each.

Use one in a lesson:

    from maml_edu.figures import draw, two_arrows, show_source
    two_arrows()                      # live figure; without a kernel its static twin remains
    draw(scene_a, scene_b)            # pictures side by side, with alt text
    show_source(ref.adapt)            # the code behind a lesson, folded

How to write a new figure
-------------------------
1. In `chapters/`, make a module for the chapter (or use it), named as its folder in course/ without the
   number, and write a pure function from parameters to a `Scene` (or a list of scenes: panels side by
   side). Compute with `maml_edu.reference`; do not import matplotlib. What several chapters draw lies
   beside the machinery, as `sines.py` does.

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
   A confidence interval is an `Interval` (its caps are taller than marks), a length from 0 a `Bar` (cut
   at the end of its axis it is marked so; on a logarithmic axis it is refused: draw `Points`). Nodes and
   arrows want `diagram=True`, rows with names `rows=True`, and no label for an axis that is not drawn.
   The legend takes a free corner, and a strip below if there is none: leave it a corner, or write names
   beside the curves, `Note(x, y, "MAML", role="maml")`, and no labels. `legend="lower left"` decides.
3. A static figure returns `draw(scene, …)`. An interactive one returns

       interactive(parabola_scene, {"a": ("curvature a", 0.2, 2.0, 1.0, 0.1)},
                   drag={"start": (2.0, 2.0)})

   Slider specs: (label, low, high, start, step) is a slider, whole numbers throughout make it
   an integer one; (label, [option, …]) a menu; (label, True) a tick box;
   (label, "words") a box to type in; (label, low, high, start, step, "play") a slider that can
   play by itself. `drag` gives the first places of draggable points: a pair, or an array (n, 2) for
   several; each name once a figure.
   `more={"start": 12}` lets the reader add points to such an array, up to 12, and take them away, down
   to one: by a click on an empty place, a double click or Delete on a point, or two buttons. The
   function then gets an array (n, 2) whose n changes.
   `press="answers"` passes the names of what was clicked so far, as a list.
   The function is called with all of these by name. It should take less than 50 ms. Its value
   at the start is the static twin; `twin=[{"a": 0.5}, {"a": 2.0}]` draws several settings side
   by side instead, where one picture does not tell the story.
4. Name the public function in the `__all__` of its module, in `_WHERE` below and, with small arguments,
   in `FIGURES` of tests/figures/test_figures.py, which checks title, alt text, size and words. Test the
   scene's numbers against a closed form in tests/figures/chapters/.
5. Look at it: `draw(parabola_scene()).save("/tmp/look.png")`, on white and on #111111, then live in
   JupyterLab, light and dark, and once in grey. Pictures are transparent, in one palette for both
   (`style.py` says why): alt texts call a `LINE` grey, since only a live figure has it black or white.

Words: `number(0.00123)` writes numbers for titles, `number(cosine, places=2)` with so many places; use them
instead of a format, which writes "-0.00". Greek and minus are Unicode (θ, α, −), not TeX: the browser
shows the same text.
"""

from importlib import import_module

_WHERE = {  # module: its public names
    "scene": "Arrow Band Bar Curve Ink Interval Level Note Points Scene contours number",
    "style": "ROLES",
    "static": "Picture draw",
    "live": "interactive",
    "source": "show_source",
    "chapters.start_here": "fit_a_new_sine sine_tasks",
    "chapters.gradient_descent": "descent_on_contours convergence_by_direction stability_limit noisy_descent "
    "momentum_map",
    "chapters.backpropagation": "break_the_tape price_of_a_gradient",
    "chapters.many_tasks": "learned_average fit_by_hand intervals_and_truth leak_prices",
    "chapters.gradient_of_a_step": "two_arrows meta_loss_of_theta two_curvatures two_tasks",
    "chapters.hessians": "factor_on_a_vector second_derivatives_by_layer spectrum_by_rank",
    "chapters.many_inner_steps": "wandering_star signal_walking_back rate_finds_itself "
    "short_and_long_horizons sets_in_memory",
    "chapters.maml_in_numpy": "scrub_adaptation training_curve error_against_steps what_the_start_has",
    "chapters.maml_in_pytorch": "nine_suspects six_curves where_bugs_cut",
    "chapters.fast_maml": "launch_or_compute speed_ladder roofline memory_against_steps",
    "chapters.few_shot_images": "an_episode accuracies by_company be_the_classifier",
    "chapters.maml_family": "where_each_pulls curvature_along_training frontier who_is_as_good taylor_check",
    "chapters.what_did_it_learn": "who_may_move moved_and_alike by_number_of_tasks surgery surgery_on_waves",
    "chapters.navigation": "return_against_rate reach_against_distance walk_to_a_goal",
    "chapters.break_the_robot": "break_the_robot",
    "chapters.language": "five_boxes gained_or_lost",
    "chapters.other_frameworks": "find_the_factor",
    "chapters.your_own": "three_learners",
}
_MODULE = {name: module for module, names in _WHERE.items() for name in names.split()}

__all__ = sorted(_MODULE)


def __getattr__(name):
    """Import a figure's module when it is first asked for (PEP 562): importing this is cheap."""
    if name not in _MODULE:
        raise AttributeError(f"maml_edu.figures has no {name!r}; it has: {', '.join(__all__)}")
    return getattr(import_module(f"{__name__}.{_MODULE[name]}"), name)


def __dir__():
    return __all__
