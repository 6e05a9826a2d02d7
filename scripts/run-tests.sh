#!/bin/sh
# run-tests.sh pure|root: runs the built tests of one kind.
# Fails on a failed test, and on one that was skipped, cancelled or marked todo: nothing here needs to be.
set -eu

case ${1-} in
pure) files=$(find test -name '*.test.ts' ! -name '*.root.test.ts' | sort) ;;
root) files=$(find test -name '*.root.test.ts' | sort) ;;
*)
	echo "usage: run-tests.sh pure|root" >&2
	exit 2
	;;
esac
[ -n "$files" ] || { echo "run-tests.sh: there is no $1 test." >&2; exit 1; }

# Root tests share the host's links, bpffs and CPUs: one file at a time.
concurrency=2
[ "$1" = pure ] || concurrency=1

report=$(mktemp)
trap 'rm -f "$report"' EXIT
failed=0
# shellcheck disable=SC2046 # one word a file
node --test --test-concurrency="$concurrency" \
	--test-reporter=spec --test-reporter-destination=stdout \
	--test-reporter=tap --test-reporter-destination="$report" \
	$(printf '%s\n' "$files" | sed 's,^,build/,; s,ts$,js,') || failed=1

for count in skipped todo cancelled; do
	if ! grep -q "^# $count 0\$" "$report"; then
		echo "run-tests.sh: tests were $count: $(grep "# \(SKIP\|TODO\)" "$report" | head -n 5)" >&2
		failed=1
	fi
done
exit "$failed"
