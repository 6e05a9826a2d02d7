# complete.bash SCRIPT LINE...: what SCRIPT's function offers behind each line, a line each, tabs between. Words are
# split as readline splits them. bash-completion is a stub: it says from which word on it was asked.
source "$1"
shift
[[ -z $STUB ]] || _command_offset() { COMPREPLY=("from-$1"); }
for line; do
	COMP_LINE=$line COMP_POINT=${#line} COMP_WORDS=() rest=$line
	while [[ -n $rest ]]; do
		if [[ $rest =~ ^[[:space:]]+ ]]; then
			[[ -n ${rest:${#BASH_REMATCH[0]}} ]] || COMP_WORDS+=('')
		else
			[[ $rest =~ ^[=:]+|^[^=:[:space:]]+ ]]
			COMP_WORDS+=("${BASH_REMATCH[0]}")
		fi
		rest=${rest:${#BASH_REMATCH[0]}}
	done
	COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
	_l7egg_cli
	(IFS=$'\t' && printf '%s\n' "${COMPREPLY[*]}")
done
