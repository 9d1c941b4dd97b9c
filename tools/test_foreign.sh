#!/bin/sh
# The C tests on machines that this one is not, by cross compilers and qemu: AArch64 (the NEON path) and S/390 (bytes in
# the other order). test_foreign.sh [aarch64 | s390x ...]
set -eu
cd "$(dirname "$0")/../srcore"
build=../build/foreign
missing=0

lack() {
    echo "missing: $1; on Debian: apt install $2" >&2
    missing=1
}

machines=${*:-aarch64 s390x}
for machine in $machines; do
    case $machine in
    aarch64) debian=arm64 ;;
    *) debian=$machine ;;
    esac
    cc=$machine-linux-gnu-gcc
    mkdir -p "$build/$machine"
    command -v "qemu-$machine" >/dev/null || lack "qemu-$machine" qemu-user
    if ! command -v "$cc" >/dev/null; then
        lack "$cc" "gcc-$machine-linux-gnu"
    elif ! echo 'int main(void) { return 0; }' | "$cc" -static -x c - -o "$build/$machine/empty" 2>/dev/null; then
        lack "the C library that $cc links with" "libc6-dev-$debian-cross"
    fi
done
[ $missing = 0 ] || exit 1

for machine in $machines; do
    here=$build/$machine
    echo "$machine:"
    rm -f "$here"/*.o
    for file in src/*.c; do
        "$machine-linux-gnu-gcc" -std=c11 -O2 -ffp-contract=off -Wall -Wextra -Wpedantic -Wconversion -Wshadow \
            -Wstrict-prototypes -Werror -Iinclude -c "$file" -o "$here/$(basename "$file" .c).o"
    done
    for test in hashes test_paths test_arith test_reduce test_matmul test_grid test_tall test_descent test_known_answers test_exact test_api; do
        "$machine-linux-gnu-gcc" -std=c11 -O2 -ffp-contract=off -Wall -Wextra -Wpedantic -Wconversion -Wshadow \
            -Wstrict-prototypes -Werror -Iinclude -static "tests/$test.c" "$here"/*.o -lm -o "$here/$test"
    done
    run="qemu-$machine $here"
    $run/hashes --path scalar --check tests/hashes.txt
    [ "$machine" != aarch64 ] || $run/hashes --path neon --check tests/hashes.txt
    $run/hashes --check tests/hashes.txt --environment
    $run/test_paths 60
    $run/test_arith 60
    $run/test_reduce 1
    $run/test_matmul 1
    $run/test_grid
    $run/test_tall
    $run/test_descent 200
    $run/test_known_answers tests/known_answers.txt
    $run/test_exact
    $run/test_api
done
