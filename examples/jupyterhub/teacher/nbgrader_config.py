"""nbgrader for the teacher, wherever it is started: ~/.jupyter/nbgrader_config.py."""

from pathlib import Path

c = get_config()  # noqa: F821

c.CourseDirectory.root = str(Path.home() / "maml2026")  # the class folder
