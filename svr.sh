#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# svr.sh -- runs the server whose conf.lua lies beside this script.
# In Tiny's own repository it first installs and builds what is missing; a copy
# of it beside another conf.lua takes `tiny` from PATH.
set -eu

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tiny=tiny
remedy='is Tiny installed, and in PATH?'
prepare() { :; }
if [ -e "$here/runtime/tiny.h" ]; then
  tiny=$here/build/release/tiny
  remedy='./svr.sh run builds it'
  # shellcheck source=.ci/prepare.sh
  . "$here/.ci/prepare.sh"
fi

usage() {
  cat <<'TXT'
usage: ./svr.sh COMMAND [-c conf.lua] [arguments]

  run       run the server in the foreground
  start     run it in the background; returns when it is ready
  reload    load conf.lua and the script anew
  close     close it and wait until it is gone
  restart   close, then start
  status    say how it is
  check     load conf.lua and the script, without running them
  test      run the tests
  bench     in Tiny's own repository: measure it beside its peers
  chaos     there, too: throw faults at a server for some minutes, and balance the books

Every other command goes to tiny as it is: ./svr.sh --help lists them.
TXT
}

fail() {
  echo "svr.sh: $*" >&2
  exit 1
}

# is_ready PID: whether that very process is the server and has started.
is_ready() {
  local info
  info=$("$tiny" status -c "$conf" --json 2>/dev/null) || return 1
  [[ $info =~ \"pid\":\ ?$1[,}] && $info =~ \"state\":\ ?\"(running|reloading|standby)\" ]]
}

# Its output goes to a file beside conf.lua; what was written there before stays.
start() {
  local out=$conf.out from pid code=0 deadline=$((SECONDS + 60))
  from=$(wc -c 2>/dev/null <"$out" || echo 0)
  setsid "$tiny" run -c "$conf" "$@" </dev/null >>"$out" 2>&1 &
  pid=$!
  until is_ready "$pid"; do
    if ! kill -0 "$pid" 2>/dev/null; then
      wait "$pid" || code=$?
      tail -c "+$((from + 1))" "$out" | tail -n 20 >&2
      fail "not started, exit code $code; its output is in $out"
    fi
    [ "$SECONDS" -lt "$deadline" ] || fail "pid $pid is still starting after 60 s; its output goes to $out"
    sleep 0.02
  done
  echo "started: pid $pid, output in $out"
}

# A conf.lua or script that does not load must not cost us the server that runs.
restart() {
  local reason
  reason=$("$tiny" check -c "$conf" 2>&1) || fail "not restarted: $reason"
  "$tiny" close -c "$conf" || true
  start "$@"
}

run_tests() {
  [ -x "$here/tests/run" ] || exec "$tiny" spec -c "$conf" "$@"
  exec "$here/tests/run" "$here/build/release" "$@"
}

run_bench() {
  [ -x "$here/bench/run" ] || fail "no bench here: it is in Tiny's own repository"
  exec "$here/bench/run" "$@"
}

run_chaos() {
  [ -x "$here/tests/chaos/run" ] || fail "no chaos here: it is in Tiny's own repository"
  exec "$here/tests/chaos/run" "$@"
}

[ $# -gt 0 ] || { usage >&2; exit 1; }
command=$1
shift
conf=$here/conf.lua
if [ "${1-}" = -c ]; then
  [ $# -ge 2 ] || fail "-c needs the path of a conf.lua"
  conf=$2
  shift 2
fi

case $command in
  run | start | restart | check) prepare tiny ;;
  test | chaos) prepare tests ;;
  bench) prepare bench ;;
  help) usage; exit ;;
esac
command -v "$tiny" >/dev/null || fail "$tiny is not there: $remedy"

case $command in
  start) start "$@" ;;
  restart) restart "$@" ;;
  test) run_tests "$@" ;;
  bench) run_bench "$@" ;;
  chaos) run_chaos "$@" ;;
  run | check | reload | close | status | stack | profile | eval | loglevel)
    exec "$tiny" "$command" -c "$conf" "$@" ;;
  *) exec "$tiny" "$command" "$@" ;;
esac
