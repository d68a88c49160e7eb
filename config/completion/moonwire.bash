# Completes the commands, options and values of moonwire in bash. Names of services are asked of the daemon.

_moonwire_commands='run repl test start check status top connections kill reload drain stop log metrics eval'

# The options of a command, but for --help.
_moonwire_options() {
  local log='--log-level --log-format --log-file' control='--control --config'
  case $1 in
    run) echo "--listen --set --execute --stdio --tls --sandbox --cpu-limit --memory-limit --store --bus $log" ;;
    repl) echo "--execute --memory-limit $log" ;;
    test) echo --filter ;;
    start) echo "--config --watch" ;;
    check) echo --config ;;
    status) echo "--json $control" ;;
    top) echo "--interval $control" ;;
    connections) echo "--service --peer --sort --limit --stack --locals --json $control" ;;
    kill) echo "--service --peer --json $control" ;;
    reload) echo "--canary --for --factor --json $control" ;;
    drain) echo "--undo $control" ;;
    stop) echo "--now $control" ;;
    log | metrics) echo "$control" ;;
    eval) echo "--worker --json $control" ;;
  esac
}

# Offers those of the words in $1 that begin like $2.
_moonwire_reply() {
  mapfile -t COMPREPLY < <(compgen -W "$1" -- "$2")
}

# The services of the daemon that the line means: "$@" are its words. bash would expand what stands in other names.
_moonwire_services() {
  local where=() i
  for ((i = 2; i < $#; i++)); do
    case ${!i} in
      --control | --config | -c) local next=$((i + 1)); where+=("${!i}" "${!next}") ;;
    esac
  done
  timeout 1 "$1" status "${where[@]}" 2>/dev/null | awk '
    /^SERVICE / { found = 1; next }
    found && $1 ~ /^[A-Za-z0-9_.-]+$/ { print $1 }' | sort -u
}

# What may stand behind an option that takes a value; fails for one that takes none.
_moonwire_value() {
  local option=$1 word=$2
  shift 2
  case $option in
    --log-level) _moonwire_reply 'debug info warn error' "$word" ;;
    --log-format) _moonwire_reply 'text json' "$word" ;;
    --sort) _moonwire_reply 'age idle received sent pending since' "$word" ;;
    --service) _moonwire_reply "$(_moonwire_services "$@")" "$word" ;;
    --log-file | --control | --config | -c) _moonwire_files "$word" ;;
    --listen | -l | --set | -s | --execute | -e | --cpu-limit | --memory-limit | --store | --bus | --filter | --interval | --peer | \
      --limit | --canary | --for | --factor | --worker) ;;
    *) return 1 ;;
  esac
}

# Folders, and files whose name ends so.
_moonwire_files() {
  mapfile -t COMPREPLY < <(
    compgen -d -- "$1"
    compgen -f -X "!*${2-}" -- "$1" | while read -r name; do
      [ -d "$name" ] || printf '%s\n' "$name"
    done
  )
  compopt -o filenames 2>/dev/null
}

_moonwire_operand() {
  local command=$1 word=$2
  shift 2
  case $command in
    run | test) _moonwire_files "$word" .lua ;;
    log) _moonwire_reply 'debug info warn error' "$word" ;;
    reload | drain | eval) _moonwire_reply "$(_moonwire_services "$@")" "$word" ;;
  esac
}

_moonwire() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]}
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    _moonwire_reply "$_moonwire_commands --help --version" "$word"
  elif _moonwire_value "$before" "$word" "${COMP_WORDS[@]}"; then
    return
  elif [[ $word == -* ]]; then
    _moonwire_reply "$(_moonwire_options "$command") --help" "$word"
  else
    _moonwire_operand "$command" "$word" "${COMP_WORDS[@]}"
  fi
}

complete -F _moonwire moonwire
