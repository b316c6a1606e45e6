# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# prepare.sh -- installs what is missing on a Debian machine, and builds. Sourced by
# what has set 'here', the repository's folder, and has fail().

# What the lists .ci/packages/NAME... name and dpkg does not have installed.
missing_packages() {
  local lists=("${@/#/$here/.ci/packages/}")
  comm -23 <(sort -u "${lists[@]}") \
    <(dpkg-query -W -f='${db:Status-Status} ${Package}\n' | sed -n 's/^installed //p' | sort -u)
}

apt_get() {
  local root=()
  [ "$(id -u)" = 0 ] || root=(sudo)
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 "$@"
}

# Nothing is installed at the price of another package: libluajit2-5.1-dev, say, conflicts
# with libluajit-5.1-dev and would take its place.
refuse_removals() {
  local removed
  removed=$(apt-get install -s --no-install-recommends "$@" 2>/dev/null | sed -n 's/^Remv \([^ ]*\).*/\1/p' | paste -sd ' ' -)
  [ -z "$removed" ] || fail "nothing was installed, because that would remove $removed.
If you can do without: apt-get install --no-install-recommends $*"
}

# install_missing LIST...: install what is missing of .ci/packages/LIST...
install_missing() {
  local missing
  command -v apt-get >/dev/null || return 0 # not Debian: the build will say what it lacks
  mapfile -t missing < <(missing_packages "$@")
  [ "${#missing[@]}" -gt 0 ] || return 0
  [ "$(id -u)" = 0 ] || command -v sudo >/dev/null || fail "packages are missing; as root, type
  apt-get install --no-remove --no-install-recommends ${missing[*]}"
  echo "svr.sh: installing ${missing[*]}"
  apt-get install -s "${missing[@]}" >/dev/null 2>&1 || apt_get update || true
  refuse_removals "${missing[@]}"
  set -- install -y --no-remove --no-install-recommends "${missing[@]}"
  apt_get "$@" || { apt_get update && apt_get "$@"; } || fail "could not install ${missing[*]}"
}

# build PRESET TARGET [cmake arguments]: configure where that is due, then build what changed.
build() {
  local dir=$here/build/$1 quiet=(--quiet)
  if [ ! -e "$dir/build.ninja" ] || [ $# -gt 2 ]; then
    (cd "$here" && cmake --preset "$1" "${@:3}")
  fi
  [ -x "$dir/tiny" ] || quiet=()
  ninja -C "$dir" "${quiet[@]}" "$2"
}

# prepare tiny|tests|bench: make the release build ready to run, to be tested, or to be measured
# beside its peers. What it says goes to standard error; standard output is the server's.
prepare() {
  if [ "$1" = tiny ]; then
    install_missing build
    build release tiny
  elif [ "$1" = bench ]; then
    install_missing build bench
    build release all
  elif grep -qs '^TINY_TESTS:BOOL=ON' "$here/build/release/CMakeCache.txt"; then
    install_missing build test
    build release all
  else
    install_missing build test
    build release all -DTINY_TESTS=ON
  fi >&2
}
