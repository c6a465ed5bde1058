"""A class: run submissions where they can do no harm, give marks, feedback and exports.

One path, in the order in which a submission takes it: `submission` reads what was handed in, `box` runs
it (`inside` is the program in there, `syscalls` what its kernel refuses), `protocol` is all that passes
between the two, `judge` reaches the verdict out here with the course's own checks, `results` keeps it, a
file a submission, and `many` does so for a class. Then `marks` adds what people decide, and `feedback`,
`report` and `exports` tell students, teachers and other systems (`pages` and `tables` write their HTML
and CSV). `classroom` is the folder in which all that lies, `after` fills it, `commands` are the command
line.
"""
