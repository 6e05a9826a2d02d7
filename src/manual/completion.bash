# bash completion of l7egg-cli: save what `l7egg-cli completion bash` prints as
# /usr/share/bash-completion/completions/l7egg-cli, or source it. It starts no l7egg-cli.

_l7egg_cli_table='@TABLE@'

# The fields of the first line whose first fields are the arguments, in `fields`.
_l7egg_cli_find() {
	local line
	local IFS=$'\t'
	local wanted="$*"$'\t'
	while IFS= read -r line; do
		[[ $line == "$wanted"* ]] || continue
		read -ra fields <<<"$line"
		return 0
	done <<<"$_l7egg_cli_table"
	return 1
}

# Adds what of the arguments begins with $value to `found`. Names of things on this host may hold anything: those that
# would need quotes are left out.
_l7egg_cli_add() {
	local word
	for word; do
		[[ $word == "$value"* && $word =~ ^[A-Za-z0-9@._:+/=-]+$ ]] && found+=("$word")
	done
	return 0
}

# Adds what can stand where the table has $1 and the line has $value.
_l7egg_cli_values() {
	local path line
	local -a fields
	case $1 in
	-) ;;
	@interfaces)
		for path in /sys/class/net/*/; do path=${path%/} && _l7egg_cli_add "${path##*/}"; done
		;;
	@instances)
		for path in /run/l7egg/*/; do path=${path%/} && _l7egg_cli_add "${path##*/}"; done
		;;
	@netns)
		for path in /run/netns/*; do _l7egg_cli_add "${path##*/}"; done
		;;
	@cgroups)
		for path in /sys/fs/cgroup{,/unified}/system.slice/*.service; do _l7egg_cli_add "unit:${path##*/}"; done
		if [[ $value == /* ]]; then
			for path in /sys/fs/cgroup{/unified,}"$value"*/; do
				[[ -e $path/cgroup.procs ]] || continue
				path=${path#/sys/fs/cgroup} && path=${path#/unified} && _l7egg_cli_add "${path%/}"
			done
		fi
		;;
	@files)
		compopt -o filenames 2>/dev/null
		while IFS= read -r path; do found+=("$path"); done < <(compgen -f -- "$value")
		;;
	@presets | @commands)
		while IFS=$'\t' read -ra fields; do
			[[ @${fields[0]}s == "$1" ]] && _l7egg_cli_add "${fields[1]}"
		done <<<"$_l7egg_cli_table"
		;;
	*)
		local IFS=,
		# shellcheck disable=SC2086 # one word an item
		_l7egg_cli_add $1
		;;
	esac
}

# What stands behind " -- " is a command line of its own; $1 is the number of its first word.
_l7egg_cli_command() {
	local completer
	for completer in _command_offset _comp_command_offset; do
		declare -F "$completer" >/dev/null || continue
		"$completer" "$1"
		return
	done
	local word=${COMP_WORDS[COMP_CWORD]}
	compopt -o filenames 2>/dev/null
	if ((COMP_CWORD == $1)); then
		mapfile -t COMPREPLY < <(compgen -c -- "$word" | sort -u)
	else
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
	fi
}

_l7egg_cli() {
	local nullglob
	nullglob=$(shopt -p nullglob)
	shopt -s nullglob
	COMPREPLY=()
	_l7egg_cli_complete
	$nullglob
	[[ ${COMPREPLY[*]} == *[=/] && ${#COMPREPLY[@]} -eq 1 ]] && compopt -o nospace 2>/dev/null
	return 0
}

_l7egg_cli_complete() {
	# The words as the program gets them: readline has split them at = and : as well.
	local rest=${COMP_LINE:0:COMP_POINT} index word gap piece=
	local -a words=() starts=() fields=() found=()
	for ((index = 0; index <= COMP_CWORD; index++)); do
		gap=${rest%%[![:space:]]*}
		rest=${rest#"$gap"}
		word=${COMP_WORDS[index]}
		((index < COMP_CWORD)) || word=$rest
		rest=${rest#"$word"}
		if [[ -z $gap && $index -gt 0 ]]; then
			words[${#words[@]} - 1]+=$word
		else
			words+=("$word")
			starts+=("$index")
		fi
		piece=$word
	done
	[[ -z ${piece//[$COMP_WORDBREAKS]/} ]] && piece=

	local command= position=0 name expected=
	for ((index = 1; index < ${#words[@]} - 1; index++)); do
		word=${words[index]}
		if [[ -n $expected ]]; then
			expected=
			continue
		fi
		case $word in
		--)
			[[ $command != run ]] || _l7egg_cli_command "$((starts[index] + 1))"
			return
			;;
		-*=*) ;;
		-?*)
			name=${word#-}
			name=${name#-}
			[[ $_l7egg_cli_table == *$'\t'"$name"$'\t'boolean$'\t'* ]] || expected=$name
			;;
		*)
			if [[ -z $command ]]; then command=$word; else position=$((position + 1)); fi
			;;
		esac
	done

	local current=${words[${#words[@]} - 1]} before= value dashes kind
	value=$current
	if [[ -n $expected || $current == -*=* ]]; then
		if [[ -z $expected ]]; then
			expected=${current%%=*}
			expected=${expected#-}
			expected=${expected#-}
			before=${current%%=*}=
			value=${current#*=}
		fi
		_l7egg_cli_find flag "${command:-enforce}" "$expected" || return
		kind=${fields[3]}
		if [[ $kind == list && $value == *,* ]]; then
			before+=${value%,*},
			value=${value##*,}
		fi
		_l7egg_cli_values "${fields[4]}"
	elif [[ $current == -* ]]; then
		dashes=-
		[[ $current != --* ]] || dashes=--
		while IFS=$'\t' read -ra fields; do
			[[ ${fields[0]} == flag && ${fields[1]} == "${command:-enforce}" ]] || continue
			name=$dashes${fields[2]}
			[[ ${fields[3]} == boolean ]] || name+==
			_l7egg_cli_add "$name"
		done <<<"$_l7egg_cli_table"
	elif [[ -z $command ]]; then
		_l7egg_cli_values @commands
	elif _l7egg_cli_find word "$command" "$((position + 1))"; then
		_l7egg_cli_values "${fields[3]}"
		[[ $command != help ]] || _l7egg_cli_add all
	fi

	# readline replaces the last piece only.
	local fixed=${current%"$piece"}
	for word in "${found[@]}"; do
		word=$before$word
		COMPREPLY+=("${word#"$fixed"}")
	done
}

complete -F _l7egg_cli l7egg-cli
