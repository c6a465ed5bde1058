"""What is measured and drawn for docs/: scripts to be run from a clone, and imported by their tests.

`compare/`: maml_edu beside its peers (`make bench`); `reproduce/`: the published tables (`make reproduce`),
speed and scaling; `grading/`: a class of a thousand, and damaged submissions; `pictures/`: those of docs/.
"""
