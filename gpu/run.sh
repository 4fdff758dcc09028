#!/usr/bin/env bash
# Runs heddle's checks on a machine with a GPU, of which it needs nothing but Python with pip's CUDA libraries or a CUDA
# of its own: Node.js, the addon and the tests are in the archives beside this file (scripts/gpu-bundle.mjs).
#
#   bash run.sh --stage ops [--results FOLDER] [-- arguments of vitest in place of test/ops]
#
# ops: every test of test/ops on the GPU, by HEDDLE_TEST_DEVICE=cuda. With --results, FOLDER/ops.json is vitest's report.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"

fail() {
  echo "run.sh: $*" >&2
  exit 2
}

stage=''
results=''
while [ $# -gt 0 ]; do
  case "$1" in
    --stage) stage="${2:?--stage needs a name}" && shift 2 ;;
    --results) results="${2:?--results needs a folder}" && shift 2 ;;
    --) shift && break ;;
    *) fail "unknown argument '$1': expected --stage ops, --results FOLDER" ;;
  esac
done
[ "$stage" = ops ] || fail "unknown stage '$stage': there is ops"

# Unpacked once per contents, and again where that did not come to its end.
unpacked="${TMPDIR:-/tmp}/heddle-gpu-$(cat "$here"/*.tar.xz | sha256sum | cut -c1-16)"
if [ ! -e "$unpacked/complete" ]; then
  mkdir -p "$unpacked"
  for archive in "$here"/*.tar.xz; do
    if command -v xz >/dev/null; then
      tar -xJf "$archive" -C "$unpacked"
    else
      python3 -c 'import sys, tarfile; tarfile.open(sys.argv[1]).extractall(sys.argv[2])' "$archive" "$unpacked"
    fi
  done
  touch "$unpacked/complete"
fi
cd "$unpacked"
export PATH="$unpacked/bin:$PATH"

# The folders pip put CUDA's libraries into: nvidia/cu13/lib, nvidia/cudnn/lib ...
pip_folders() {
  python3 - <<'PYTHON'
import glob, sys
folders = (folder for path in sys.path for folder in glob.glob(f"{path or '.'}/nvidia/*/lib"))
print(":".join(dict.fromkeys(folder for folder in folders if glob.glob(f"{folder}/*.so*"))))
PYTHON
}
if [ -z "${HEDDLE_CUDA_PATH:-}" ] && command -v python3 >/dev/null; then
  HEDDLE_CUDA_PATH="$(pip_folders)" || fail "python3 could not say where pip keeps its packages: set HEDDLE_CUDA_PATH"
  export HEDDLE_CUDA_PATH
fi
echo "Node $(node --version); HEDDLE_CUDA_PATH=${HEDDLE_CUDA_PATH:-}"
if command -v nvidia-smi >/dev/null; then nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader; fi

reporters=(--reporter=default)
if [ -n "$results" ]; then
  mkdir -p "$results"
  reporters+=(--reporter=json "--outputFile.json=$(cd "$results" && pwd)/ops.json")
fi

# Tests that do not know the variable would pass on the CPU, and say nothing of the GPU.
grep -rqs HEDDLE_TEST_DEVICE test/ops lib || fail 'the bundled tests do not read HEDDLE_TEST_DEVICE: they would run on the CPU'
HEDDLE_TEST_DEVICE=cuda node node_modules/vitest/vitest.mjs run "${reporters[@]}" "${@:-test/ops}"
