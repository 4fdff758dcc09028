#!/usr/bin/env bash
# Runs heddle's checks and benchmarks on a machine with a GPU, of which it needs nothing but Python with pip's CUDA
# libraries or a CUDA of its own: Node.js, the addon and the tests are in the archives beside this file
# (scripts/gpu-bundle.mjs). Without archives it runs in the repository it lies in. docs/gpu.md says what comes out.
#
#   bash run.sh --stage ops|sanitize|train|bench [--results FOLDER] [--only TEXT] [--seconds N] [--device NAME] [--quick]
#
# ops       the tests of every op on the GPU
# sanitize  some of them under compute-sanitizer: memcheck, racecheck, synccheck
# train     training against the CPU, determinism, replays, the host's cost, out of memory
# bench     kernels and training steps beside PyTorch, cuBLASLt and cuDNN
#
# Rows go to FOLDER/*.json (default: results) as they are found; what is there is not run again. A stage stops by itself
# after N seconds (default 440) and ends with 75 where something is left: run it again. 0: all done, 1: something failed.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
began="$(date +%s)"

fail() {
  echo "run.sh: $*" >&2
  exit 2
}

stage='' results=results only='' seconds=440 device=cuda quick=()
while [ $# -gt 0 ]; do
  case "$1" in
    --stage) stage="${2:?--stage needs a name}" && shift 2 ;;
    --results) results="${2:?--results needs a folder}" && shift 2 ;;
    --only) only="${2:?--only needs a text}" && shift 2 ;;
    --seconds) seconds="${2:?--seconds needs a number}" && shift 2 ;;
    --device) device="${2:?--device needs a name}" && shift 2 ;;
    --quick) quick=(--quick) && shift ;;
    *) fail "unknown argument '$1': there are --stage, --results, --only, --seconds, --device and --quick" ;;
  esac
done
case "$stage" in ops | sanitize | train | bench) ;; *) fail "unknown stage '$stage': there are ops, sanitize, train and bench" ;; esac
mkdir -p "$results"
results="$(cd "$results" && pwd)"

if compgen -G "$here/*.tar.xz" >/dev/null; then
  # Unpacked once per contents, and again where that did not come to its end.
  build="$(cat "$here"/*.tar.xz | sha256sum | cut -c1-16)"
  root="${TMPDIR:-/tmp}/heddle-gpu-$build"
  if [ ! -e "$root/complete" ]; then
    mkdir -p "$root"
    for archive in "$here"/*.tar.xz; do
      if command -v xz >/dev/null; then
        tar -xJf "$archive" -C "$root"
      else
        python3 -c 'import sys, tarfile; tarfile.open(sys.argv[1]).extractall(sys.argv[2])' "$archive" "$root"
      fi
    done
    touch "$root/complete"
  fi
  export PATH="$root/bin:$PATH"
else
  root="$(dirname "$here")"
  build="$(git -C "$root" rev-parse --short HEAD 2>/dev/null || echo unknown)"
fi
cd "$root"
[ -e dist/gpu/ops.js ] || fail "$root/dist is missing: run npm run build"

# The toolkit's programs (nvcc, compute-sanitizer) where they are not on the path.
for toolkit in "${CUDA_PATH:-}" /usr/local/cuda; do
  if [ -n "$toolkit" ] && [ -d "$toolkit/bin" ]; then PATH="$PATH:$toolkit/bin"; fi
done

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
echo "Node $(node --version); build $build; HEDDLE_CUDA_PATH=${HEDDLE_CUDA_PATH:-}"
if command -v nvidia-smi >/dev/null; then nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader; fi

until="$((began + seconds))"
common=(--results "$results" --until "$until" --build "$build" --session "$(date -u -d "@$began" +%Y-%m-%dT%H:%M:%SZ)")
common+=(--device "$device" "${quick[@]}")
if [ -n "$only" ]; then common+=(--only "$only"); fi

# The worst of what its programs ended with: 75 (time was up) over 1 (something failed) over 0.
worst=0
# Runs a program; what does not stop by itself when time is up is ended half a minute later, and keeps its rows.
run() {
  local code=0
  timeout --foreground --kill-after=5 "$((until + 30 - $(date +%s)))" "$@" </dev/null || code=$?
  case "$code" in
    0 | 1 | 75) ;;
    124 | 137) echo "run.sh: $1 was ended: time was up" && code=75 ;;
    *) echo "run.sh: $* ended with $code" && code=1 ;;
  esac
  if [ "$code" -gt "$worst" ]; then worst="$code"; fi
  return 0
}

# heddle's rows of a group of cases and then the peers', so that both meet the machine as it is at that time.
side_by_side() {
  local cases
  cases="$(mktemp)"
  node "$@" "${quick[@]}" --list >"$cases"
  [ "$worst" -eq 75 ] || run node "$@" "${common[@]}"
  if [ "$torch" = no ]; then
    echo 'run.sh: python3 has no PyTorch: these peers are not measured'
    python3 -B gpu/peers.py --cases "$cases" --dry-run
    if [ "$worst" -eq 0 ]; then worst=1; fi
  else
    [ "$worst" -eq 75 ] || run python3 -B gpu/peers.py --cases "$cases" "${common[@]}"
  fi
  rm -f "$cases"
}

case "$stage" in
  ops) run node dist/gpu/ops.js "${common[@]}" ;;
  sanitize) run node dist/gpu/sanitize.js "${common[@]}" ;;
  train) run node dist/bench/cuda/train.js "${common[@]}" ;;
  bench)
    torch=yes
    python3 -c 'import torch' 2>/dev/null || torch=no
    # What torch.compile has compiled is there for the next run on this machine.
    export TORCHINDUCTOR_CACHE_DIR="${TORCHINDUCTOR_CACHE_DIR:-${TMPDIR:-/tmp}/heddle-inductor}"
    side_by_side dist/bench/cuda/kernels.js --group rows
    side_by_side dist/bench/cuda/kernels.js --group products
    side_by_side dist/bench/cuda/steps.js
    ;;
esac
compared=0
node dist/gpu/compare.js --results "$results" "${quick[@]}" --command "bash run.sh --stage $stage" || compared=$?
if [ "$stage" = bench ] && [ "$worst" -eq 0 ]; then worst="$compared"; fi
if [ "$worst" -eq 75 ]; then echo 'run.sh: not all is done: run the same command again'; fi
exit "$worst"
