#compdef l7egg-cli
# zsh completion of l7egg-cli: save what `l7egg-cli completion zsh` prints as _l7egg-cli in a folder of $fpath, or
# source it after compinit. It starts no l7egg-cli.

typeset -g _l7egg_cli_table='@TABLE@'

# The lines of the table whose first fields are the arguments, without these fields, in `reply`.
_l7egg_cli_find() {
	local wanted="${(pj:\t:)@}"$'\t'
	reply=("${(@M)${(@f)_l7egg_cli_table}:#${(b)wanted}*}")
	reply=("${(@)reply#${(b)wanted}}")
	(( $#reply ))
}

# What can stand where the table has $1. Names of things on this host may hold anything: those that would need quotes
# are left out.
_l7egg_cli_values() {
	local -a found
	case $1 in
	-) return 1 ;;
	@files) _files; return ;;
	@interfaces) found=(/sys/class/net/*(N-/:t)) ;;
	@instances) found=(/run/l7egg/*(N/:t)) ;;
	@netns) found=(/run/netns/*(N:t)) ;;
	@cgroups)
		found=(unit:${^$(print -rl -- /sys/fs/cgroup{,/unified}/system.slice/*.service(N:t))})
		if [[ $PREFIX == /* ]]; then
			found=(/sys/fs/cgroup{/unified,}$PREFIX*(N/))
			found=("${(@)${(@)found#/sys/fs/cgroup}#/unified}")
		fi
		;;
	@presets | @commands)
		local -a lines reply described
		lines=("${(@M)${(@f)_l7egg_cli_table}:#${${1#@}%s}$'\t'*}")
		local line
		for line in "${lines[@]}"; do
			reply=("${(@ps:\t:)line}")
			described+=("${reply[2]}:${reply[5]}")
		done
		[[ $command != help ]] || described+=("all:all there is")
		_describe -t values "${${1#@}%s}" described "${suffix[@]}"
		return
		;;
	*) found=("${(@s:,:)1}") ;;
	esac
	found=("${(@M)found:#[A-Za-z0-9@._:+/=-]##}")
	compadd "${suffix[@]}" -a found
}

_l7egg-cli() {
	setopt localoptions extendedglob no_nomatch
	local command word expected name
	local -a reply fields suffix
	integer index position=0
	for ((index = 2; index < CURRENT; index++)); do
		word=${(Q)words[index]}
		if [[ -n $expected ]]; then
			expected=
			continue
		fi
		case $word in
		--)
			[[ $command == run ]] || return 1
			# What stands behind is a command line of its own.
			words=("${(@)words[index + 1, -1]}")
			((CURRENT -= index))
			_normal
			return
			;;
		-*=*) ;;
		-?*)
			name=${${word#-}#-}
			[[ $_l7egg_cli_table == *$'\t'${(b)name}$'\t'boolean$'\t'* ]] || expected=$name
			;;
		*) if [[ -z $command ]]; then command=$word; else ((position += 1)); fi ;;
		esac
	done

	if [[ -n $expected || $PREFIX == -*=* ]]; then
		if [[ -z $expected ]]; then
			expected=${${${PREFIX%%=*}#-}#-}
			compset -P 1 '*='
		fi
		_l7egg_cli_find flag "${command:-enforce}" "$expected" || return 1
		fields=("${(@ps:\t:)reply[1]}")
		if [[ ${fields[1]} == list ]]; then
			compset -P '*,'
			suffix=(-q -S ,)
		fi
		_l7egg_cli_values "${fields[2]}"
	elif [[ $PREFIX == -* ]]; then
		local dashes=- line
		[[ $PREFIX != --* ]] || dashes=--
		local -a switches valued
		_l7egg_cli_find flag "${command:-enforce}"
		for line in "${reply[@]}"; do
			fields=("${(@ps:\t:)line}")
			word="$dashes${fields[1]}:${fields[4]}"
			if [[ ${fields[2]} == boolean ]]; then switches+=("$word"); else valued+=("$word"); fi
		done
		_describe -o flag switches -- valued -S =
	elif [[ -z $command ]]; then
		_l7egg_cli_values @commands
	elif _l7egg_cli_find word "$command" "$((position + 1))"; then
		fields=("${(@ps:\t:)reply[1]}")
		_l7egg_cli_values "${fields[1]}"
	else
		return 1
	fi
}

# Loaded by compinit the file is the function itself; sourced it is not.
if [[ $funcstack[1] == _l7egg-cli ]]; then
	_l7egg-cli "$@"
else
	compdef _l7egg-cli l7egg-cli
fi
