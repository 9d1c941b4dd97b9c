"""The real array of `make demo`: demo_array.py make|show DIRECTORY."""

import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_breast_cancer


def main(what: str, directory: Path) -> None:
    """Write the array to cells.npy, or show what rounding made of it."""
    if what == "make":
        directory.mkdir(exist_ok=True)
        np.save(directory / "cells.npy", load_breast_cancer().data)
        return
    names = ("cells", "rounded", "codes")
    arrays = {name: np.load(directory / f"{name}.npy") for name in names}
    print("\nthe first four measurements of the first nucleus:")
    for name, array in arrays.items():
        print(f"  {name:8}", *(f"{value:>10}" for value in array[0, :4]), f"  {array.dtype}")
    x, y = arrays["cells"], arrays["rounded"]
    relative = np.abs(y - x)[x != 0] / np.abs(x[x != 0])
    print(f"largest relative error {relative.max():.5f}, below 2^-7 = {2**-7:.5f}")
    print(f"mean of all 17070 measurements: {x.mean():.5f}, of the rounded ones: {y.mean():.5f}")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
