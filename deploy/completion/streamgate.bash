# bash completion for streamgate(8)

_streamgate() {
  local word=$2 before=$3
  COMPREPLY=()
  case $before in
    -c | --config)
      local file
      while IFS= read -r file; do COMPREPLY+=("$file"); done < <(compgen -f -- "$word")
      compopt -o filenames 2>/dev/null
      return
      ;;
    -s | --signal)
      mapfile -t COMPREPLY < <(compgen -W 'reload stop quit reopen status streams purge' -- "$word")
      return
      ;;
  esac
  # The program's own list, so that a new option needs no change here.
  local options
  options=$("$1" --help 2>/dev/null | grep -oE -- '(^|[ ,])--?[a-z][a-z-]*' | tr -d ' ,')
  mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
} && complete -F _streamgate streamgate
