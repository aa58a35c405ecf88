#!/usr/bin/env bash
# A stand-in for Slurm on one machine, for tests: runs the tasks of array scripts as real processes, one array
# after the other as --dependency=afterok asks. Its state is in $FAKE_SLURM. As scancel it ends jobs.
set -u
state=$FAKE_SLURM; mkdir -p "$state"
if [ "$(basename "$0")" = scancel ]; then
  echo "$*" >> "$state/cancelled"
  for id in "$@"; do kill -- "-$(cat "$state/$id.pid")" 2>/dev/null; echo 1 > "$state/$id.code"; done
  exit 0
fi
after= wait=no script=
for option in "$@"; do case $option in
  --parsable|--kill-on-invalid-dep=yes) ;;
  --wait) wait=yes ;;
  --dependency=afterok:*) after=${option#*:} ;;
  -*) echo "sbatch: error: unrecognized option $option" >&2; exit 1 ;;
  *) script=$option ;;
esac; done
[ -f "$script" ] || { echo "sbatch: error: Unable to open file $script" >&2; exit 1; }
id=$(( $(ls "$state" | grep -c 'script$') + 101 )); cp "$script" "$state/$id.script"
of() { sed -n "s/^#SBATCH --$1=//p" "$script" | tail -1; }
name=$(of job-name) array=$(of array) output=$(of output)
run() {  # the tasks of the array at once; the worst exit code is the job's
  code=0 pids=
  if [ -n "$after" ]; then
    until [ -f "$state/$after.code" ]; do sleep 0.1; done
    [ "$(cat "$state/$after.code")" = 0 ] || { echo 1 > "$state/$id.code"; return; }
  fi
  for task in $(seq "${array%-*}" "${array#*-}"); do
    log=${output//%x/$name}; log=${log//%A/$id}; log=${log//%a/$task}; log=${log//%j/$id}
    SLURM_ARRAY_JOB_ID=$id SLURM_ARRAY_TASK_ID=$task bash "$script" > "$log" 2>&1 & pids="$pids $!"
  done
  for pid in $pids; do wait "$pid" || code=$?; done
  echo "$code" > "$state/$id.code"
}
array=${array:-0-0}
set -m; run > /dev/null 2>&1 & echo $! > "$state/$id.pid"; set +m
echo "$id"
if [ $wait = yes ]; then
  until [ -f "$state/$id.code" ]; do sleep 0.1; done
  exit "$(cat "$state/$id.code")"
fi
