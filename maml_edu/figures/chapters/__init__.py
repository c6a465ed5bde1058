"""One module per chapter, named as its folder in course/ without the number.

`__all__` of each are the figures that lessons import, all from `maml_edu.figures`.
"""
