"""How many cores a process may use: its affinity, and the quota of a container, read from files made here."""

import os

import pytest

from maml_edu import machine


@pytest.fixture
def eight(monkeypatch):
    """A machine of 16 cores on 8 of which this process may run."""
    monkeypatch.setattr(os, "process_cpu_count", lambda: 8, raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 16)


V1 = "cpu/docker/ab/cpu.cfs_quota_us", "cpu/docker/ab/cpu.cfs_period_us"
INNER = "0::/machine.slice/one.scope/job"


@pytest.mark.parametrize(("groups", "files", "cores"), [
    ("", {}, 8),
    (None, {"cpu.max": "200000 100000\n"}, 2),  # no /proc to read
    # version 2
    ("0::/", {"cpu.max": "max 100000\n"}, 8),
    ("0::/", {"cpu.max": "300000 100000\n"}, 3),
    ("0::/", {"cpu.max": "250000 100000\n"}, 2),
    ("0::/", {"cpu.max": "50000 100000\n"}, 1),
    ("0::/", {"cpu.max": "1600000 100000\n"}, 8),
    (INNER, {"machine.slice/one.scope/cpu.max": "400000 100000\n"}, 4),
    (INNER, {"machine.slice/cpu.max": "max 100000\n", "machine.slice/one.scope/job/cpu.max": "5000 1000\n"}, 5),
    (INNER, {"machine.slice/cpu.max": "2000 1000\n", "machine.slice/one.scope/job/cpu.max": "5000 1000\n"}, 2),
    (INNER, {"machine.slice/another.scope/cpu.max": "100000 100000\n"}, 8),
    ("0::/docker/ab", {"cpu.max": "200000 100000\n"}, 2),  # the path is the host's
    ("0::/../../other", {"cpu.max": "200000 100000\n", "../other/cpu.max": "100000 100000\n"}, 2),
    # version 1
    ("5:cpu,cpuacct:/docker/ab", dict.fromkeys(V1, "100000"), 1),
    ("5:cpu,cpuacct:/docker/ab", {V1[0]: "-1\n", V1[1]: "100000\n"}, 8),
    ("5:cpu,cpuacct:/a", {"cpu,cpuacct/cpu.cfs_quota_us": "6000", "cpu,cpuacct/cpu.cfs_period_us": "2000"}, 3),
    ("4:memory:/docker/ab\n5:cpuset:/\n3:cpu:/docker", {V1[0]: "100000", V1[1]: "100000"}, 8),
    # both; and what is none
    ("5:cpu:/docker/ab\n0::/", {"cpu.max": "400000 100000", V1[0]: "300000", V1[1]: "100000"}, 3),
    ("0::/", {"cpu.max": "200000 0\n"}, 8),
    ("0::/", {"cpu.max": ""}, 8),
    ("0::/", {"cpu.max": "many 1\n"}, 8),
    ("what is this", {"cpu.max": "200000 100000\n"}, 2),
])  # fmt: skip
def test_a_containers_quota_counts(groups, files, cores, eight, tmp_path):
    if groups is not None:
        (tmp_path / "proc/self").mkdir(parents=True)
        (tmp_path / "proc/self/cgroup").write_text(groups + "\n")
    for name, text in files.items():
        path = tmp_path / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert machine.usable_cores(tmp_path) == cores


def test_without_control_groups_it_is_what_the_system_says(eight, tmp_path, monkeypatch):
    assert machine.usable_cores(tmp_path) == 8
    monkeypatch.setattr(os, "process_cpu_count", lambda: None)
    assert machine.usable_cores(tmp_path) == 1
    monkeypatch.delattr(os, "process_cpu_count")
    assert machine.usable_cores(tmp_path) == 8
    monkeypatch.delattr(os, "sched_getaffinity")
    assert machine.usable_cores(tmp_path) == 16


def test_here_it_is_a_number_that_the_system_knows():
    assert 1 <= machine.usable_cores() <= os.cpu_count()
