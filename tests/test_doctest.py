"""Every public name has a docstring, and the examples in it are right."""

import doctest
import importlib
import inspect
import pkgutil

import numpy as np
import pytest

import pysr


def public():
    """(name, object) of everything public, in pysr and its modules without an underscore."""
    found = {}
    modules = [pysr]
    for info in pkgutil.walk_packages(pysr.__path__, "pysr."):
        if not any(part.startswith("_") for part in info.name.split(".")):
            modules.append(importlib.import_module(info.name))
    for module in modules:
        found[module.__name__] = module
        names = getattr(
            module, "__all__", [name for name in vars(module) if not name.startswith("_")]
        )
        for name in {*names, *({"round", "format"} & vars(module).keys())}:
            value = getattr(module, name)
            if (inspect.isclass(value) or inspect.isroutine(value)) and value.__module__.startswith(
                "pysr"
            ):
                found[f"{value.__module__}.{name}"] = value
    return sorted(found.items())


@pytest.mark.parametrize(("name", "value"), public(), ids=[name for name, _ in public()])
def test_examples(name, value):
    finder = doctest.DocTestFinder(exclude_empty=False, recurse=inspect.isclass(value))
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert inspect.getdoc(value), f"{name} has no docstring"
    module = value if inspect.ismodule(value) else importlib.import_module(value.__module__)
    names = {"pysr": pysr, "np": np} | vars(module)
    if inspect.ismodule(value):
        runner.run(doctest.DocTestParser().get_doctest(value.__doc__, names, name, None, None))
    else:
        for test in finder.find(value, name, module=False, globs=names):
            runner.run(test)
    assert runner.failures == 0
