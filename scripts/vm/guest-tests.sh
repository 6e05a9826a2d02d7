#!/bin/sh
# guest-tests.sh GROUP...: inside a guest, runs built test files, those of a GROUP (FILE,FILE,...) in one process. TAP of
# each group that fails, what is said of seeds, and a line "FILE+N: pass N, fail N, not run N, S s" for each, N files
# beside the first. Exit code 1 when one failed, or a test was skipped, cancelled or marked todo.
# +SECONDS in place of a GROUP: goes on when the guest's kernel is so old.
uptime() { cut -d. -f1 /proc/uptime; }
failed=0
said=$(mktemp)
for group; do
	case $group in
	+*)
		while [ "$(uptime)" -lt "${group#+}" ]; do sleep 1; done
		continue
		;;
	esac
	from=$(uptime)
	others=$(($(printf %s "$group" | tr -dc , | wc -c)))
	# Without --test, for which node would start another node.
	if [ $others -eq 0 ]; then
		label=$(basename "$group")
		node --test-reporter=tap "$group"
	else
		label=$(basename "${group%%,*}")+$others
		# shellcheck disable=SC2046 # one word a file
		node --test-reporter=tap build/scripts/vm/suites.js $(printf %s "$group" | tr , ' ')
	fi >"$said" 2>&1
	code=$?
	count() { sed -n "s/^# $1 \([0-9]*\)$/\1/p" "$said" | tail -n 1; }
	left=$(($(count skipped) + $(count cancelled) + $(count todo)))
	if [ "$code" -ne 0 ] || [ "$left" -ne 0 ] || [ "$(count pass)" = 0 ]; then
		failed=1
		cat "$said"
	fi
	grep -iE "^ *(ok|#) .*seed" "$said" | grep -v "# Subtest" | sed -E "s,^ *(ok [0-9]+ - |# ),     ,"
	echo "$label: pass $(count pass), fail $(count fail), not run $left, $(($(uptime) - from)) s"
done
exit $failed
