"""The doctor finds what is not well, says what to do, and names no folder where a reader looks."""

import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from maml_edu import doctor, places
from maml_edu.doctor import Finding, Report


def the(name, findings):
    return next(finding for finding in findings if finding.name == name)


@pytest.fixture
def small_course(tmp_path, monkeypatch):
    """A course with one built chapter."""
    (tmp_path / "course" / "00_start").mkdir(parents=True)
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "00_start.ipynb").touch()
    monkeypatch.setattr(places, "course_root", lambda: tmp_path)
    return tmp_path


def test_a_healthy_environment_is_well(small_course, tmp_path, monkeypatch):
    monkeypatch.setenv("MAML_EDU_WORK", str(tmp_path / "my_work"))
    report = doctor.doctor()
    assert [finding for finding in report if finding.ok is False] == []
    assert report.well
    names = {finding.name for finding in report}
    assert names >= {"Python", "torch", "torch build", "GPU", "threads", "course", "kernel"}
    assert names >= {"working copies", "progress record", "disk", "Omniglot", "nbgrader"}


def test_whatever_is_not_well_comes_with_advice(tmp_path, monkeypatch):
    """With everything broken at once, each finding still says what to do."""
    a_file = tmp_path / "a_file"
    a_file.touch()
    monkeypatch.setenv("MAML_EDU_WORK", str(a_file))
    monkeypatch.setenv("MAML_EDU_HOME", str(a_file))
    monkeypatch.setattr(doctor, "_FREE_GB", 1e9)
    monkeypatch.setattr(
        places, "course_root", lambda: (_ for _ in ()).throw(FileNotFoundError("x"))
    )
    monkeypatch.setattr(doctor, "_metadata", lambda field: None)
    monkeypatch.setattr(doctor, "_is_this_python", lambda program: False)
    monkeypatch.setattr(doctor, "usable_cores", lambda: 0)
    monkeypatch.setitem(sys.modules, "nbgrader", None)
    report = doctor.doctor()
    ill = {finding.name for finding in report if finding.ok is False}
    assert ill >= {"maml_edu", "threads", "course", "kernel", "working copies", "progress record"}
    assert "disk" in ill
    assert not report.well
    assert all(finding.advice for finding in report if finding.ok is False)


def test_a_missing_and_an_old_package_are_told_apart():
    missing = doctor._package(Requirement("no-such-package-as-this>=1"))
    assert (missing.ok, missing.found) == (False, "missing (needed: >=1)")
    old = doctor._package(Requirement("numpy>=999"))
    assert not old.ok
    assert old.advice == 'Run: pip install "numpy>=999"'
    assert doctor._package(Requirement("numpy>=1")).ok


def test_a_torch_that_cannot_be_imported_is_a_finding_not_a_crash(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    [finding] = doctor._torch()
    assert finding.ok is False
    assert "Install again" in finding.advice


@pytest.mark.parametrize(
    ("threads", "cores", "load", "ok", "advice"),
    [
        (1, 2, 9.0, True, ""),
        (2, 2, 0.5, True, ""),
        (8, 2, 0.0, False, "set OMP_NUM_THREADS=2"),
        (2, 2, 5.0, None, "OMP_NUM_THREADS=1"),
    ],
)
def test_threads_that_get_in_each_others_way_are_noticed(threads, cores, load, ok, advice):
    finding = doctor.threads(threads, cores, load)
    assert finding.ok is ok
    assert advice in finding.advice


class Torch:
    """As much of torch as a look at the GPU needs."""

    def __init__(self, cuda=None, reachable=False):
        self.version = type("version", (), {"cuda": cuda})
        self.cuda = type(
            "cuda",
            (),
            {
                "is_available": staticmethod(lambda: reachable),
                "get_device_name": staticmethod(lambda index: "Fast GPU"),
                "device_count": staticmethod(lambda: 2),
                "get_device_properties": staticmethod(
                    lambda index: type("properties", (), {"total_memory": 80 * 2**30})
                ),
            },
        )
        mps = type("mps", (), {"is_available": staticmethod(lambda: False)})
        self.backends = type("backends", (), {"mps": mps})


def test_a_gpu_is_named_and_one_that_cannot_be_used_is_explained(monkeypatch):
    monkeypatch.setattr(doctor.shutil, "which", lambda name: "/bin/nvidia-smi")
    assert doctor._gpu(Torch("13.0", reachable=True)).found == "2 × Fast GPU, 80 GiB"
    assert "CUDA build of torch" in doctor._gpu(Torch()).advice
    assert "NVIDIA driver" in doctor._gpu(Torch("13.0")).advice
    monkeypatch.setattr(doctor.shutil, "which", lambda name: None)
    none = doctor._gpu(Torch())
    assert (none.ok, none.found) == (None, "none")


def test_a_kernel_of_another_python_is_not_ours():
    assert doctor._is_this_python("python")
    assert doctor._is_this_python(sys.executable)
    assert doctor._is_this_python(str(Path(sys.executable).with_name("python3")))
    assert not doctor._is_this_python("/somewhere/else/bin/python3")
    assert not doctor._is_this_python(str(Path(sys.executable).with_name("ruby")))


def test_a_kernel_whose_program_is_gone_is_noticed(tmp_path, monkeypatch):
    folder = tmp_path / "kernels" / "ghost"
    folder.mkdir(parents=True)
    spec = '{"argv": ["/gone/bin/python", "-f", "{connection_file}"], "display_name": "Ghost"}'
    (folder / "kernel.json").write_text(spec)
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    ghost = next(f for f in doctor._other_kernels() if f.found.startswith("ghost"))
    assert ghost.ok is None
    assert "jupyter kernelspec remove ghost" in ghost.advice


def test_a_course_with_a_chapter_that_was_not_built_is_not_well(small_course):
    [before] = doctor._course()
    (small_course / "course" / "04_slope").mkdir()
    [after] = doctor._course()
    assert before.ok and not after.ok
    assert after.found == "2 chapters, 1 notebooks"
    assert "make notebooks" in after.advice


def test_omniglot_is_optional_and_found_where_the_environment_says(tmp_path, monkeypatch):
    monkeypatch.setenv("MAML_EDU_DATA", str(tmp_path))
    [without] = doctor._data_sets()
    assert without.ok is None and "glyphs" in without.advice
    assert "maml-edu data get omniglot" in without.advice
    (tmp_path / "omniglot").mkdir()
    (tmp_path / "omniglot" / "images_background.zip.part").touch()
    assert next(doctor._data_sets()).ok is None, "a download that was interrupted is no data set"
    for name in ("images_background.zip", "images_evaluation.zip"):
        (tmp_path / "omniglot" / name).touch()
    assert next(doctor._data_sets()).ok is True


def test_looking_creates_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("MAML_EDU_WORK", str(tmp_path / "work"))
    list(doctor._writing()), list(doctor._disk())
    assert list(tmp_path.iterdir()) == []


def test_what_a_notebook_shows_names_no_folder(small_course, tmp_path, monkeypatch):
    monkeypatch.setenv("MAML_EDU_WORK", str(tmp_path / "my_work"))
    report = doctor.doctor()
    shown = report._repr_html_() + repr(report)
    for place in (tmp_path, Path.home(), sys.prefix, places.user_data()):
        assert str(place) not in shown


def test_the_table_and_its_plain_twin_say_the_same():
    report = Report([Finding("a <b>", False, "x & y", "do this"), Finding("c", None, "d")])
    assert repr(report) == "NOT WELL  a <b>  x & y do this\nnote      c      d"
    assert "<td>a &lt;b&gt;</td><td>x &amp; y</td><td>do this</td>" in report._repr_html_()


def test_notes_do_not_make_a_report_unwell():
    assert Report([Finding("a", None, ""), Finding("b", True, "")]).well
    assert not Report([Finding("a", None, ""), Finding("b", False, "")]).well
