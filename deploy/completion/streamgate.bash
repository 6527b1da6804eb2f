# bash completion for streamgate(8)

# The options that `streamgate [SUBCOMMAND] --help` lists: a new option needs no change here.
_streamgate_options() {
  "$@" --help 2>/dev/null | grep -oE -- '(^|[ ,])--?[a-z][a-z-]*' | tr -d ' ,'
}

# The subcommands are the first words behind the heading.
_streamgate_subcommands() {
  "$1" --help 2>/dev/null | sed -n '/^Subcommands:/,/^$/s/^  \([a-z][a-z-]*\)  .*/\1/p'
}

# The values of an option, as its line lists them: `--signal ORDER:{quit,reload}`.
_streamgate_values() {
  "$1" --help 2>/dev/null | sed -n "s/.*$2 [A-Z]*:{\([a-z,]*\)}.*/\1/p" | tr ',' '\n'
}

_streamgate() {
  local program=$1 word=$2 before=$3 subcommand='' known i
  COMPREPLY=()
  case $before in
    -c | --config | --pid-file)
      local file
      while IFS= read -r file; do COMPREPLY+=("$file"); done < <(compgen -f -- "$word")
      compopt -o filenames 2>/dev/null
      return
      ;;
    -s | --signal)
      mapfile -t COMPREPLY < <(compgen -W "$(_streamgate_values "$program" --signal)" -- "$word")
      return
      ;;
    --header | --limit | --for | --ip | --key) return ;;
  esac
  known=$(_streamgate_subcommands "$program")
  for ((i = 1; i < COMP_CWORD; i++)); do
    case $'\n'$known$'\n' in
      *$'\n'"${COMP_WORDS[i]}"$'\n'*)
        subcommand=${COMP_WORDS[i]}
        break
        ;;
    esac
  done
  local words
  words=$(_streamgate_options "$program" ${subcommand:+"$subcommand"})
  # Options of the program may follow a subcommand: `streamgate sign URL -c FILE`.
  if [[ -n $subcommand ]]; then
    words+=$'\n-c\n--config'
  else
    words+=$'\n'$known
  fi
  # Without a first letter the options would hide the subcommands.
  [[ -z $word && -z $subcommand ]] && words=$known
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
} && complete -F _streamgate streamgate
