# shellcheck shell=bash
# Completion of tiny for bash.
_tiny() {
  local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} command='' i options=''
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
      -c) i=$((i + 1)) ;;
      -*) ;;
      *) command=${COMP_WORDS[i]}; break ;;
    esac
  done
  case $previous in
    -c) mapfile -t COMPREPLY < <(compgen -f -X '!*.lua' -- "$word"; compgen -d -- "$word"); return ;;
    --svg | --curve) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
    --timeout | --wait) return ;;
  esac
  case $command in
    '') options='run check reload close status stack profile eval loglevel top new spec --version --help -c' ;;
    run) options='-c --fresh --help' ;;
    status) options='-c --json --help' ;;
    profile) options='-c --svg --help' ;;
    eval) options='-c --timeout --help' ;;
    loglevel) options='console syslog file_log email DEBUG INFO WARN ERROR -c --help' ;;
    top) options='--once --json --wait --curve --help' ;;
    new) options='--help' ;;
    *) options='-c --help' ;;
  esac
  mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
  case $command in
    run | check | spec) mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -X '!*.lua' -- "$word"; compgen -d -- "$word") ;;
    new) mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -d -- "$word") ;;
  esac
}
complete -o filenames -F _tiny tiny
