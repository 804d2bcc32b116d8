#!/usr/bin/env bash
# Runs every check that needs a GPU in less than ten minutes; `make gpu` calls it. It installs nothing.
#
# Environment: OUT, the folder of the results (default results/gpu in the repository); DEVICE (default cuda);
# PYTHON (default python3); DRY_RUN, which prints the commands instead of running them if it is not empty.
set -u

OUT=${OUT:-results/gpu}
DEVICE=${DEVICE:-cuda}
PYTHON=${PYTHON:-python3}
DRY_RUN=${DRY_RUN:-}
export PYTHONPATH=. PYTHONUNBUFFERED=1 OMP_NUM_THREADS=1

# limited SECONDS COMMAND...: run a command, and interrupt it after so many seconds.
# A failure is reported, but does not keep the next command from running.
limited() {
    if [ -n "$DRY_RUN" ]; then
        echo "timeout -s INT $*"
        return 0
    fi
    timeout -s INT "$@" || echo "ended with status $?: $*" >&2
}

# save FILE: copy standard input to a file in OUT and to standard output.
save() {
    if [ -n "$DRY_RUN" ]; then cat; else tee "$OUT/$1"; fi
}

cd "$(dirname "$0")/../.." || exit 1
[ -n "$DRY_RUN" ] || mkdir -p "$OUT" || exit 1

limited 20 "$PYTHON" -m harness doctor | save doctor.txt
limited 220 "$PYTHON" -m pytest tests/gpu -v --tb=short -p no:cacheprovider | save tests.txt
limited 40 "$PYTHON" -m harness bench populations -a transformer:depth=4 --device "$DEVICE" --output "$OUT/goal.csv"
limited 170 "$PYTHON" -m harness bench populations --device "$DEVICE" --steps 8 --output "$OUT/populations.csv"
limited 80 "$PYTHON" -m harness bench --device "$DEVICE" --steps 8 --output "$OUT/step.csv"
limited 60 "$PYTHON" -m harness bench decode --device "$DEVICE" --output "$OUT/decode.csv"
