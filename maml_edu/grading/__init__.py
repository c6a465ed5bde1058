"""A class: run submissions where they can do no harm, give marks, feedback and exports.

One path, in the order in which a submission takes it: `collect` puts what was handed in elsewhere into the
class folder (`classroom`), where `tasks` says what is asked and `model_answers` tries it on the teacher first
(`own_exercise` begins one): `files` opens folders and zips, `downloads` knows how each system names what it gives
out, `people` who is who (`lists` reads a system's list of the class), `hand_ins` lays it so that nothing is lost;
then `submission` reads it, `sandbox` runs it (`box` makes the walls, `inside` is the program behind them,
`protocol` all that passes between the two), `judge` reaches the verdict out here with the course's own checks,
`results` keeps it, a file a submission, `many` does so for a class, and `run` for a class folder. Then `marks`
adds what people decide (`by_hand`, read on a page by `marking`) and what counts by `policy` and `counting`;
`answers` finds what was asked and answered, as text. `give_back` writes what students and teachers read
(`pages`), and `exports` tells other systems. `commands` are the command line, `terminal` is what they print.
"""
