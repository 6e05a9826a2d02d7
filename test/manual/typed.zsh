# typed.zsh SHELL SETUP LINE...: types each line and Tab into an interactive SHELL (bash or zsh) that has sourced the
# file SETUP, and prints what became of it.
zmodload zsh/zpty
shell=$1 setup=$2
shift 2
if [[ $shell == zsh ]]; then zpty typed zsh -f -i; else zpty typed bash --noprofile --norc -i; fi
zpty -w typed "source $setup; echo '<<'ready'>>'"
zpty -r typed seen '*<<ready>>*'
for line; do
	zpty -w -n typed "$line"$'\t\x14'
	zpty -r typed seen '*<<*>>*'
	print -r -- "${${seen##*<<}%>>*}"
done
