"""What a class asks of a JupyterHub whose people have accounts on its machine.

/etc/jupyterhub/jupyterhub_config.py, or a part of yours. Who may log in, HTTPS and
the like are yours: https://jupyterhub.readthedocs.io. docs/jupyterhub.md has the rest.
"""

c = get_config()  # noqa: F821

c.Spawner.default_url = "/lab"
c.Spawner.environment = {
    "MAML_EDU_WORK": "~/my_work",  # where everybody's own copies of the lessons go
    "OMP_NUM_THREADS": "1",  # one core a kernel: forty people share this machine
    "JUPYTER_PREFER_ENV_PATH": "0",  # the teacher's ~/.jupyter comes before the environment's files
}
