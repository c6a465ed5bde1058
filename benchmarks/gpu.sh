#!/usr/bin/env bash
# What only a GPU can tell, in eight minutes: the tests that need one, a quick benchmark, the paper's Omniglot.
#
#     benchmarks/gpu.sh                            # all parts, into $OUT or benchmarks/gpu-results
#     benchmarks/gpu.sh --part tests --part bench  # some of them; the others later, into the same folder
#     benchmarks/gpu.sh --data FOLDER              # where omniglot28_1bit.npz is (else MAML_EDU_DATA)
#     benchmarks/gpu.sh --dry-run                  # every part in small, on the CPU: does the script work?
#     PYTHON=/path/to/python3 benchmarks/gpu.sh    # the one whose PyTorch knows the GPU
#
#     --out DIR              the folder of results: gpu.md, gpu.json, a JSON file for each part, gpu.log
#     --again                run parts once more that have a result
#     --budget PART=SECONDS  another budget (tests 90, bench 140, omniglot 240)
#
# Nothing is installed, and nothing downloaded: what is missing is named, with what cannot be done without it.
# (Peers of the benchmark that pip can find in a folder are used: PIP_FIND_LINKS=DIR.) At the end of its
# budget a part is asked to stop, as by Ctrl-C, writes what it has, and is labelled partial; seconds that one
# leaves over are for the next. Exit status: 0; 1 where a part failed; 2 where none was run.
set -u

PYTHON=${PYTHON:-python3}
GRACE=20 # of a budget: the seconds from being asked to stop to being killed
root=$(cd "$(dirname "$0")/.." && pwd) || exit 2
out=${OUT:-$root/benchmarks/gpu-results}
parts=()
dry=()
data=()
again=()
tests=90 bench=140 omniglot=240

usage() {
    sed -n '2,/^set -u/s/^# \{0,1\}//p' "$root/benchmarks/gpu.sh"
    exit 0
}

while [ $# -gt 0 ]; do
    case $1 in
    --out | --part | --data | --budget)
        [ $# -ge 2 ] || { echo "$1 needs a value" >&2; exit 2; }
        ;;
    esac
    case $1 in
    --out) out=$2 && shift ;;
    --data) data=(--data "$2") && shift ;;
    --again) again=(--again) ;;
    --dry-run) dry=(--dry-run) ;;
    --part)
        case $2 in
        tests | bench | omniglot) parts+=("$2") ;;
        *) echo "no part $2: there are tests, bench, omniglot" >&2 && exit 2 ;;
        esac
        shift
        ;;
    --budget)
        [[ $2 =~ ^(tests|bench|omniglot)=([0-9]+)$ ]] || { echo "--budget PART=SECONDS; got $2" >&2; exit 2; }
        printf -v "${BASH_REMATCH[1]}" %d "${BASH_REMATCH[2]}"
        shift
        ;;
    -h | --help) usage ;;
    *) echo "unknown option $1; --help lists them" >&2 && exit 2 ;;
    esac
    shift
done
[ ${#parts[@]} -gt 0 ] || parts=(tests bench omniglot)

export PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH}
export PIP_NO_INDEX=${PIP_NO_INDEX-1} # peers would be downloaded for minutes, or waited for without a network
export TQDM_DISABLE=1                 # no bars in the log
mkdir -p "$out" || exit 2
out=$(cd "$out" && pwd)
log=$out/gpu.log
helper() { "$PYTHON" "$root/benchmarks/gpu_parts.py" "$@"; }

# ${name[@]+…}: before bash 4.4 an empty array is an unset one
helper about "$out" ${dry[@]+"${dry[@]}"} ${data[@]+"${data[@]}"} || exit 2

# Stops a command after $1 seconds: asks as Ctrl-C does, and kills it $GRACE seconds later.
within() {
    local seconds=$1 && shift
    local asked=$((seconds > 2 * GRACE ? seconds - GRACE : (seconds + 1) / 2))
    if command -v timeout >/dev/null; then
        timeout --foreground --signal=INT --kill-after=$((seconds - asked > 0 ? seconds - asked : 1)) $asked "$@"
    else
        "$@"
    fi
}

stopped=
trap 'stopped=1' INT
spare=0
for part in "${parts[@]}"; do
    [ -z "$stopped" ] || break
    budget=$((${!part} + spare))
    began=$SECONDS
    printf '\n%s: at most %s s, output in %s\n' "$part" "$budget" "$log"
    printf '\n===== %s\n' "$part" >>"$log"
    within "$budget" "$PYTHON" "$root/benchmarks/gpu_parts.py" run "$out" "$part" \
        ${dry[@]+"${dry[@]}"} ${data[@]+"${data[@]}"} ${again[@]+"${again[@]}"} >>"$log" 2>&1
    code=$?
    took=$((SECONDS - began))
    spare=$((budget > took ? budget - took : 0))
    if [ $code -eq 3 ]; then
        tail -n 1 "$log"
        continue
    fi
    helper end "$out" "$part" "$code" "$took"
    [ $code -eq 0 ] || tail -n 15 "$log"
done
helper summary "$out"
