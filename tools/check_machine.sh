#!/bin/sh
# Says what a build needs and this machine lacks: check_machine.sh PYTHON CC
python=$1
cc=$2
missing=0

lack() {
    echo "missing: $1" >&2
    missing=1
}

if ! command -v "$python" >/dev/null 2>&1; then
    lack "Python 3.11 or later ($python); on Debian: apt install python3"
elif ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    lack "Python 3.11 or later; $python is $("$python" -V 2>&1). Name another one: make PYTHON=python3.12"
else
    "$python" -c 'import venv, ensurepip' 2>/dev/null ||
        lack "Python's venv module; on Debian: apt install python3-venv"
    "$python" -c 'import os, sysconfig; open(os.path.join(sysconfig.get_path("include"), "Python.h"))' 2>/dev/null ||
        lack "Python's C headers (Python.h); on Debian: apt install python3-dev"
fi
if ! command -v "${cc%% *}" >/dev/null 2>&1; then
    lack "a C compiler ($cc); on Debian: apt install gcc. Or name another one: make CC=clang"
fi
exit $missing
