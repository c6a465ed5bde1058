"""Submissions that are honest, damaged or hostile, each with the mark it deserves and the harm it must not do.

`cases` has the form in which they are declared, `cases.all_cases()` all of them; the other files hold a
family each. `test_attacks` grades them.
"""
