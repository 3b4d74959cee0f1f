#!/bin/sh
# Writes src/core/layout.gen.ts, the TypeScript copy of the image's layout, from the C headers.
# With --check it writes nothing and fails when the committed file is not what the headers say.
set -eu
cd "$(dirname "$0")/.."
target=src/core/layout.gen.ts
mkdir -p build
"${CC:-cc}" -std=gnu11 -Wall -Wextra -Werror -DANYHOP_LAYOUT_MAIN -Inative/include -o build/layout native/lib/layout.c
build/layout >build/layout.txt
node scripts/layout-to-ts.mjs build/layout.txt >build/layout.gen.ts
if [ "${1:-}" = --check ]; then
  cmp -s build/layout.gen.ts "$target" && exit 0
  echo "$target does not match native/include: run scripts/generate-layout.sh and commit the result" >&2
  exit 1
fi
cmp -s build/layout.gen.ts "$target" || cp build/layout.gen.ts "$target"
