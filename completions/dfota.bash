# SPDX-License-Identifier: MIT
# Completion of dfota and dfotad for bash. Commands and options are what the programs' own help says.
_dfota()
{
	local program=${COMP_WORDS[0]} word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} command=
	COMPREPLY=()
	if [[ ${program##*/} == dfota ]]; then
		if ((COMP_CWORD == 1)); then
			mapfile -t COMPREPLY < <(compgen -W "$("$program" --help 2>/dev/null | sed -n 's/^  \([a-z]\{2,\}\) .*/\1/p') --help --version" -- "$word")
			return
		fi
		command=${COMP_WORDS[1]}
	fi
	case $before in
	-p | --port) mapfile -t COMPREPLY < <(compgen -W "$("$program" ports 2>/dev/null | grep -o '/dev/[^ ]*')" -- "$word") ;;
	-f | --firmware | --module) mapfile -t COMPREPLY < <(compgen -d -- "$word") && return ;;
	esac
	if [[ $word == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$("$program" ${command:+"$command"} --help 2>/dev/null | grep -o -- '--[a-z][a-z-]*' | sort -u)" -- "$word")
	fi
	((${#COMPREPLY[@]})) || mapfile -t COMPREPLY < <(compgen -f -- "$word")
}
complete -o filenames -F _dfota dfota dfotad
