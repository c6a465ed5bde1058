"""Where student code runs and can do no harm: `box` makes the walls, `inside` is the program behind them.

`syscalls` is what the kernel refuses in there, `protocol` all that passes between the two sides. The program
takes `protocol`, `syscalls` and the standard library, and nothing else of ours before it has warmed up what
notebooks import, this file included: so nothing of the grader is in the process that runs a submission.
"""
