"""What the documentation shows is what happens."""

import doctest
import inspect
import re

import copriv
import pytest


def test_the_package_readme(root):
    failed, tried = doctest.testfile(str(root / "python" / "README.md"), module_relative=False)
    assert (failed, tried > 8) == (0, True)


def test_the_project_readme(root, monkeypatch, tmp_path):
    section = (root / "README.md").read_text().split("## From Python")[1].split("\n## ")[0]
    (code,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    exec(compile(code, "README.md", "exec"), {})


def test_everything_is_documented():
    for name in copriv.__all__:
        thing = getattr(copriv, name)
        assert inspect.getdoc(thing), name
        if inspect.isclass(thing) and thing.__module__.startswith("copriv."):
            for key, member in vars(thing).items():
                if not key.startswith("_") and (callable(member) or isinstance(member, property)):
                    assert inspect.getdoc(member), f"{name}.{key}"


@pytest.mark.parametrize("name", ["plan", "run", "evaluate", "zoo", "digits"])
def test_everything_is_typed(name):
    signature = inspect.signature(getattr(copriv, name))
    assert signature.return_annotation is not inspect.Signature.empty
    assert all(p.annotation is not inspect.Parameter.empty for p in signature.parameters.values())
