#!/bin/sh
# Fuzzes the C pipeline (native/fuzz) under AddressSanitizer and UndefinedBehaviorSanitizer: first every input that is
# kept in native/fuzz/corpus, then mutants of these for FUZZ_SECONDS (60), then what share of the pipeline they reach.
#   scripts/fuzz.sh           run; what is found stays in build/fuzz, and the message says how to see it again
#   scripts/fuzz.sh keep      the same from generated packets as well, then keep the smallest set that reaches as much
# `make fuzz` builds what this needs.
set -eu
cd "$(dirname "$0")/.."

CLANG=${CLANG:-clang}
seconds=${FUZZ_SECONDS:-60}
what=${1:-run}
# The longest kept input: what a short one reaches, a long one need not.
keep_bytes_max=1700

[ "$what" = run ] || [ "$what" = keep ] || { echo "usage: scripts/fuzz.sh [keep]" >&2; exit 2; }
kept=native/fuzz/corpus
rm -rf build/fuzz/corpus build/fuzz/seeds
mkdir -p build/fuzz/corpus "$kept"
node build/test/differential/export.js build/fuzz "$([ "$what" = keep ] && echo 400 || echo 0)"

compile() {
  "$CLANG" -g -std=gnu11 -Wall -Wextra -Werror -Inative/include '-DFUZZ_IMAGES="build/fuzz/images.bin"' "$@" \
    native/fuzz/*.c
}
compile -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -o build/fuzz/pipeline
compile -O0 -fsanitize=fuzzer -fprofile-instr-generate -fcoverage-mapping -o build/fuzz/coverage

status=0
build/fuzz/pipeline -max_total_time="$seconds" -max_len=4104 -timeout=10 -print_final_stats=1 -verbosity=1 \
  -artifact_prefix=build/fuzz/ build/fuzz/corpus "$kept" build/fuzz/seeds >build/fuzz/log 2>&1 || status=$?
if [ "$status" -ne 0 ]; then
  # From the failed check or the sanitizer's report on.
  grep -n -m1 -E '^native/fuzz/|ERROR: |runtime error' build/fuzz/log | cut -d: -f1 | {
    read -r line || line=1
    tail -n "+$line" build/fuzz/log | head -n 60
  }
  found=$(sed -n 's/.*Test unit written to //p' build/fuzz/log | tail -n 1)
  echo "fuzz: the C pipeline failed on an input${found:+; it is $found}" >&2
  echo "fuzz: to see it again: build/fuzz/pipeline ${found:-build/fuzz/corpus}" >&2
  exit 1
fi

if [ "$what" = keep ]; then
  # Edges alone, not how often each was taken: otherwise thousands of inputs are worth keeping.
  mkdir -p build/fuzz/smallest
  rm -f build/fuzz/smallest/*
  build/fuzz/pipeline -merge=1 -use_counters=0 -max_len="$keep_bytes_max" build/fuzz/smallest "$kept" build/fuzz/corpus \
    build/fuzz/seeds >build/fuzz/merge.log 2>&1
  rm -f "$kept"/*
  cp build/fuzz/smallest/* "$kept"
  echo "fuzz: $(find "$kept" -type f | wc -l) inputs of $(cat "$kept"/* | wc -c) bytes in all are kept in $kept"
fi

LLVM_PROFILE_FILE=build/fuzz/coverage.profraw build/fuzz/coverage -runs=0 "$kept" build/fuzz/corpus >/dev/null 2>&1
version=$("$CLANG" -dumpversion | cut -d. -f1)
tool() { command -v "$1-$version" || command -v "$1"; }
"$(tool llvm-profdata)" merge -o build/fuzz/coverage.profdata build/fuzz/coverage.profraw
# The fuzzer's own files left out. Columns: file, lines, missed lines, share; branches likewise.
"$(tool llvm-cov)" report build/fuzz/coverage -instr-profile=build/fuzz/coverage.profdata \
  -ignore-filename-regex='native/fuzz/' -show-region-summary=0 -show-functions=0
sed -n 's/^stat::number_of_executed_units: */fuzz: /p' build/fuzz/log | sed "s/\$/ packets in $seconds seconds, no failure/"
