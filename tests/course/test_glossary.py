"""One spelling per term: the glossary of chapter 00 is used by the lessons, and so are no variants of it."""

import re

import pytest
from course_files import found_chapters, source

START = "00_start_here"
FILES = ("lesson.py", "exercises.py", "checks.py", "wrong_answers.py")

# The spelling of the course → what else is seen in print. Titles (*in italics*) keep their own.
VARIANTS = {
    "backpropagation": r"back[- ]propagation|back-?props?\b",
    "batch norm": r"batch-norm\b|batch[- ]normali[sz]ation|\bbatchnorm (?!needs)",
    "data set": r"\bdataset\b|data-set",
    "eigenvalue": r"eigen[- ]values?\b",
    "eigenvector": r"eigen[- ]vectors?\b",
    "fine-tuning": r"\bfine tun(e|es|ed|ing)\b|\b(?-i:[Ff]inetun)(e|es|ed|ing)\b",
    "first-order MAML": r"\bfirst order MAML|1st[- ]order",
    "gradient descent": r"gradient-descent",
    "Hessian-vector product": r"hessian vector product|\b(?-i:HVP)s?\b",
    "hyperparameter": r"hyper[- ]parameters?\b",
    "inner loop": r"\binnerloops?\b|\binner-loops?\b",
    "inner rate": r"\binner[- ]learning[- ]rate",
    "inner step": r"\binnersteps?\b|\binner-steps?\b|\binner updates?\b",
    "meta-batch": r"\bmeta ?batch(es)?\b",
    "meta-gradient": r"\bmeta ?gradients?\b",
    "meta-learning": r"\bmeta ?learn(s|ed|er|ers|ing)?\b",
    "meta-loss": r"\bmeta ?loss(es)?\b",
    "meta-parameters": r"\bmeta ?param(eter)?s?\b",
    "meta-training": r"\bmeta ?train(s|ed|ing)?\b",
    "outer loop": r"\bouterloops?\b|\bouter-loops?\b",
    "outer rate": r"\bouter[- ]learning[- ]rate|\bmeta[- ]learning[- ]rate",
    "outer step": r"\boutersteps?\b|\bouter-steps?\b|\bouter updates?\b",
    "overfitting": r"\bover[- ]fit(s|ting|ted)?\b",
    "pretrained": r"\bpre-train(s|ed|ing)?\b",
    "query set": r"\bqueryset|\bquery-sets?\b",
    "support set": r"\bsupportset|\bsupport-sets?\b",
    "step size": r"\bstepsizes?\b|\bstep-sizes?\b",
}


def words_of(path):
    """The prose of a source: without code in backticks, links and the titles of books and papers."""
    text = path.read_text(encoding="utf-8")
    text = re.sub(r"```.*?```|`[^`\n]*`|\]\([^)]*\)|https?://\S+", " ", text, flags=re.S)
    comments = re.sub(r"\n# ?", "\n", text)
    return re.sub(r"(?<!\*)\*[^*\n]+(\n[^*\n]+)?\*(?!\*)", " ", comments)


def glossary():
    """The terms of chapter 00's last cell, in order."""
    text = source(START, "lesson.py").read_text(encoding="utf-8").split("# ## Glossary")[1]
    entries = re.findall(r"^# - (.*?):", text, re.M)
    return [term for entry in entries for term in re.findall(r"\*\*(.+?)\*\*", entry)]


def lessons():
    """The prose of all lessons, each space a single one, in small letters, without the glossary itself."""
    paths = [source(chapter, "lesson.py") for chapter in found_chapters()]
    texts = [words_of(path).split("## Glossary")[0] for path in paths]
    return " ".join(" ".join(texts).split()).replace("**", "").lower()


def sources():
    paths = [source(chapter, name) for chapter in found_chapters() for name in FILES]
    return [path for path in paths if path.is_file()]


def test_the_glossary_is_in_alphabetical_order_and_says_each_term_once():
    terms = glossary()
    assert len(terms) > 30 and len(set(terms)) == len(terms)
    assert terms == sorted(terms, key=str.lower)


@pytest.mark.parametrize("term", glossary())
def test_a_term_of_the_glossary_is_used_by_a_lesson(term):
    assert re.search(rf"\b{re.escape(term.lower())}", lessons())


@pytest.mark.parametrize("term", VARIANTS)
def test_a_term_is_spelt_one_way_in_all_chapters(term):
    found = [
        f"{path.parent.name}/{path.name}: {' '.join(match.group().split())!r}"
        for path in sources()
        for match in re.finditer(VARIANTS[term], words_of(path), re.I)
        if "_" not in match.group()
    ]
    assert not found, f"write {term!r}: {found}"


def test_a_variant_is_none_of_the_spellings_of_the_course():
    for term, variants in VARIANTS.items():
        assert not any(re.search(variants, other, re.I) for other in VARIANTS), term
