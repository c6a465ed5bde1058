"""Tasks are drawn before their step only if the family that says so is the one that draws them."""

import numpy as np
import pytest

from maml_edu.tasks import FewShotImages, Glyphs, Intents, Omniglot, Pendulum, Sinusoids
from maml_edu.tasks.batch import draws_as, may_be_drawn_ahead

BANK = np.zeros((6, 4, 5, 5), np.uint8)


def images(cls=FewShotImages):
    return cls(BANK, ways=2, shots=1, queries=1)


def test_our_own_families_may_be_drawn_ahead():
    assert may_be_drawn_ahead(Sinusoids(5)) and may_be_drawn_ahead(images())
    assert may_be_drawn_ahead(Pendulum(5))
    assert may_be_drawn_ahead(Glyphs(queries=1, alphabets=1, drawers=2))
    assert may_be_drawn_ahead(Omniglot.__new__(Omniglot))  # whatever its data
    assert may_be_drawn_ahead(Intents.__new__(Intents))


def test_a_family_that_says_nothing_is_not_drawn_ahead():
    class Plain:
        def sample(self, rng, tasks=2): ...

    assert not may_be_drawn_ahead(Plain()) and not may_be_drawn_ahead(None)


def test_a_subclass_that_mines_hard_tasks_is_not_drawn_ahead_unless_it_says_so():
    class Hard(Sinusoids):
        def sample(self, rng, tasks=2):
            """Would ask a learner for its losses here."""

    class Harmless(Hard):
        draws_ahead = True

    class HardAgain(Harmless):
        sample = Hard.sample

    assert not may_be_drawn_ahead(Hard(5))
    assert may_be_drawn_ahead(Harmless(5)) and not draws_as(Harmless(5), Sinusoids)
    assert not may_be_drawn_ahead(HardAgain(5))


@pytest.mark.parametrize(
    ("made", "names"),
    [
        (lambda cls: cls(5), ("sample", "draw_waves", "sample_from")),
        (images, ("sample", "draw", "batch")),
    ],
    ids=["waves", "images"],
)
def test_replacing_any_method_of_a_family_takes_its_promise_back(made, names):
    family = Sinusoids if names[1] == "draw_waves" else FewShotImages
    for name in names:
        assert not may_be_drawn_ahead(made(type("Other", (family,), {name: lambda self: None})))
        patched = made(family)
        setattr(patched, name, lambda *a: None)
        assert not may_be_drawn_ahead(patched) and not draws_as(patched, family)


def test_a_mixin_before_the_family_counts_as_well():
    class Mining:
        def sample(self, rng, tasks=2): ...

    class Hard(Mining, Sinusoids): ...

    assert not may_be_drawn_ahead(Hard(5))


def test_a_method_of_a_base_class_replaced_by_another_branch_counts_as_well():
    class Base:
        def sample(self, rng, tasks=2):
            return self.draw(rng)

        def draw(self, rng): ...

    class Promising(Base):
        draws_ahead = True

    class Other(Base):
        def draw(self, rng): ...

    class Both(Promising, Other): ...

    assert may_be_drawn_ahead(Promising()) and not may_be_drawn_ahead(Both())


def test_a_property_or_getattr_that_could_change_the_draws_counts_as_well():
    class Curriculum(Sinusoids):
        steps = 0

        @property
        def shots(self):
            return 1 + self.steps

        @shots.setter
        def shots(self, value): ...

    class Dynamic(Sinusoids):
        def __getattribute__(self, name):
            return super().__getattribute__(name)

    assert not may_be_drawn_ahead(Curriculum(5)) and not may_be_drawn_ahead(Dynamic(5))


def test_what_cannot_change_the_draws_leaves_the_promise():
    class Named(Sinusoids):
        unit = "V"

        def __init__(self, name):
            super().__init__(5)
            self.name = name

        def __repr__(self):
            return self.name

        def title(self):
            return self.name.title()

    assert may_be_drawn_ahead(Named("waves")) and draws_as(Named("waves"), Sinusoids)


def test_an_instance_can_take_the_promise_back_but_not_give_one():
    family, plain = Sinusoids(5), type("Plain", (), {"sample": None})()
    family.draws_ahead, plain.draws_ahead = False, True
    assert not may_be_drawn_ahead(family) and not may_be_drawn_ahead(plain)
