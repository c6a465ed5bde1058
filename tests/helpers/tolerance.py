"""How much a printed line may differ from the recorded one: words and whole numbers not at all, others by rounding.

Another processor rounds differently. So two numbers are near
- up to three digits, from 1e-3 on: if they are the same (only a value on the edge could be printed differently);
- four to nine digits: within one in the last digit, or float32's 1e-6 of the number;
- ten digits or more: within 1e-9 of the number, or 1e-6 where the line says float32.
Smaller ones with up to three digits are the gaps between two computations:
- both at most 1e-12 (float64's rounding), or both from 1e-8 to 1e-6 (float32's): within a factor of 20;
- others: within a factor of 2.
Only zero is near zero, and signs agree. Versions and dates within a line are free.
"""

import re

APART = re.compile(r"\d+\.\d+\.\d+\w*|\d{4}-\d\d-\d\d")  # versions and dates
NUMBER = re.compile(r"(?<![\w.])[-−+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?(?!\w)")
GAP = 1e-3  # from here on a number of few digits is no gap
ROUNDING = (0, 1e-12), (1e-8, 1e-6)  # float64's, float32's
SINGLE, DOUBLE = 1e-6, 1e-9  # of the number
EDGE = 1 + 1e-9  # 1.24 − 1.23 is not quite 0.01


def apart(then, now):
    """One text for each pair of lines that are not the same within the tolerance."""
    pairs = list(zip(then, now, strict=False))
    said = [
        f"line {count}:\n    recorded  {a}\n    now       {b}"
        for count, (a, b) in enumerate(pairs, start=1)
        if not alike(a, b)
    ]
    if len(then) != len(now):
        longer, what = (then, "recorded") if len(then) > len(now) else (now, "printed now")
        said.append(
            f"{len(then)} lines recorded, {len(now)} now; only {what}: {longer[len(pairs)]!r}"
        )
    return said


def alike(then, now):
    """True for two lines with the same words, and the same numbers within the tolerance."""
    then, now = (APART.sub("\0", line) for line in (then, now))
    words = [NUMBER.sub("\1", line).split() for line in (then, now)]
    pairs = zip(NUMBER.findall(then), NUMBER.findall(now), strict=False)
    single = "float32" in then
    return words[0] == words[1] and all(near(*pair, single) for pair in pairs)


def near(then, now, single=False):
    """True for two printed numbers that may come from the same computation; `single`: from one in float32."""
    a, b = value(then), value(now)
    if min(a, b) <= 0 <= max(a, b) or (is_whole(then) and is_whole(now)):
        return a == b
    small, large = sorted((abs(a), abs(b)))
    count = max(digits(then), digits(now))
    if count <= 3:
        return large <= factor(small, large) * small * EDGE
    if count < 10:
        unit = min(last_digit(then), last_digit(now))
        return large - small <= max(unit, SINGLE * large) * EDGE
    return large - small <= (SINGLE if single else DOUBLE) * large


def factor(small, large):
    """How many times the smaller of two printed numbers of few digits the larger one may be."""
    if any(low <= small and large <= high for low, high in ROUNDING):
        return 20
    return 2 if large < GAP else 1


def value(text):
    return float(text.replace("−", "-"))


def is_whole(text):
    return not re.search(r"[.eE]", text)


def digits(text):
    """How many digits are significant: 3 in '0.0223', 1 in '9e-08', 2 in '1.0'."""
    mantissa = re.split("[eE]", text)[0]
    return len(re.sub(r"\D", "", mantissa).lstrip("0"))


def last_digit(text):
    """What one in the last printed digit is worth: 0.01 for '3.14', 1 for a whole number."""
    mantissa, _, exponent = text.lower().partition("e")
    return 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))
