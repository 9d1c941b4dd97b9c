"""The README and the pages are right: Python blocks as doctests, the C block compiled and run."""

import doctest
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import pysr

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


PAGES = {
    page.relative_to(ROOT).as_posix(): text
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
    if ">>>" in (text := page.read_text(encoding="utf-8"))
}


@pytest.mark.parametrize("page", PAGES)
def test_python(page):
    blocks = "\n".join(re.findall(r"```python\n(.*?)```", PAGES[page], re.S))
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    runner.run(doctest.DocTestParser().get_doctest(blocks, {}, page, page, 0))
    assert runner.tries == PAGES[page].count(">>>")
    assert runner.failures == 0


def test_c(tmp_path):
    (block,) = re.findall(r"```c\n(.*?)```", README, re.S)
    main = """
    #include <stdio.h>
    int main(void)
    {
        float x[100], y[100];
        for (int i = 0; i < 100; i++) x[i] = (float)i / 7;
        if (round_to_bfloat16(100, x, y)) return 1;
        for (int i = 0; i < 100; i++) printf("%a\\n", (double)y[i]);
        return 0;
    }
    """
    (tmp_path / "example.c").write_text(block + main)
    compiler = shlex.split(os.environ.get("CC", "cc"))
    assert shutil.which(compiler[0]), f"no C compiler ({compiler[0]})"
    sources = [str(path) for path in sorted((ROOT / "srcore/src").glob("*.c"))]
    program = str(tmp_path / "example")
    flags = ["-std=c11", "-Wall", "-Wextra", "-Werror", f"-I{ROOT / 'srcore/include'}"]
    subprocess.run(
        [*compiler, *flags, str(tmp_path / "example.c"), *sources, "-o", program], check=True
    )
    printed = subprocess.run([program], check=True, capture_output=True, text=True).stdout.split()
    x = np.arange(100, dtype=np.float32) / np.float32(7)
    assert [float.fromhex(word) for word in printed] == pysr.round(x, "bfloat16", rng=7).tolist()


def test_links():
    for target in re.findall(r"\]\(([^)]+)\)", README):
        assert target.startswith("https://") or (ROOT / target).exists(), target
