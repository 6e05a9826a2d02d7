#!/bin/sh
# guest-tests.sh FILE...: inside a guest, runs built test files one after the other; TAP of each that fails, a line
# "FILE: pass N, fail N, S s" for each. Exit code 1 when one failed, or a test was skipped, cancelled or marked todo.
failed=0
said=$(mktemp)
for file; do
	from=$(cut -d. -f1 /proc/uptime)
	# Without --test, for which node would start another node.
	node --test-reporter=tap "$file" >"$said" 2>&1
	code=$?
	count() { sed -n "s/^# $1 \([0-9]*\)$/\1/p" "$said" | tail -n 1; }
	left=$(($(count skipped) + $(count cancelled) + $(count todo)))
	if [ "$code" -ne 0 ] || [ "$left" -ne 0 ] || [ "$(count pass)" = 0 ]; then
		failed=1
		cat "$said"
	fi
	grep -iE "^ *(ok|#) .*seed" "$said" | sed -E "s,^ *(ok [0-9]+ - |# ),     ,"
	echo "$(basename "$file"): pass $(count pass), fail $(count fail), not run $left, $(($(cut -d. -f1 /proc/uptime) - from)) s"
done
exit $failed
