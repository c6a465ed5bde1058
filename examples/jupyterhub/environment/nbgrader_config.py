"""nbgrader for everybody on the Hub: PREFIX/etc/jupyter/nbgrader_config.py."""

c = get_config()  # noqa: F821

c.Exchange.root = "/srv/nbgrader/exchange"  # there, and with mode 0777
c.CourseDirectory.course_id = "maml2026"  # the name of the class folder
# In containers everybody is jovyan, and nbgrader would suspect each hand-in of being another's:
# c.ExchangeCollect.check_owner = False
