# l7egg. `make` builds; `sudo make demo` and `sudo make test` also set up what they need.

PREFIX ?= /usr/local
DESTDIR ?=

SHELL := /bin/sh
BIN := node_modules/.bin
MODULES := node_modules/.package-lock.json
OBJECT := dist/l7egg.bpf.o
CONFINE := dist/l7egg-confine
PRESETS := dist/presets
GRAFANA := dist/grafana
CONTRACT := build/contract.o
HEADERS := $(wildcard bpf/*.h)
BUNDLE := dist/l7egg-cli.cjs
MAIN := dist/main.cjs
CODE_CACHE := dist/main.cache
# Parts that are loaded when they are needed: a process holds what it runs. errors: one set of classes for all.
# ask: the commands that ask and end. read-policies: where there are policy files. write-suggestion: what
# `suggest` prints. metrics: with -metrics. page-server: with -ui; the page, for browsers, lies beside it.
PLAIN_PARTS := src/errors.ts src/formats/read-policies.ts src/cli/write-suggestion.ts src/cli/metrics.ts \
	src/page/page-server.ts
FFI_PARTS := src/cli/ask.ts
PART_NAMES := $(basename $(notdir $(PLAIN_PARTS) $(FFI_PARTS)))
PARTS := $(PART_NAMES:%=dist/%.cjs)
GRAFANA := dist/grafana
PAGE := dist/page
MANUAL := dist/manual
BUNDLER := $(BIN)/esbuild --bundle --platform=node --format=cjs --log-level=warning
PART := $(PART_NAMES:%=--external:*/%.ts)
NOTHING :=
ANY_PART := $(subst $(NOTHING) $(NOTHING),\|,$(PART_NAMES))
JOIN_PARTS := sed -i 's,require("[^"]*/\($(ANY_PART)\)\.ts"),require("./\1.cjs"),'
# With the FFI, whose native addon lies beside it.
WITH_FFI := --target=node20 --supported:dynamic-import=false $(PART) \
	--alias:koffi=./tools/koffi-native.ts --external:*.node --define:import.meta.url=importMetaUrl \
	--banner:js="const importMetaUrl=require('node:url').pathToFileURL(__filename).href;"
LIB := $(DESTDIR)$(PREFIX)/lib/l7egg
UNITS := $(DESTDIR)$(PREFIX)/lib/systemd/system
MAN8 := $(DESTDIR)$(PREFIX)/share/man/man8
COMPLETE_BASH := $(DESTDIR)$(PREFIX)/share/bash-completion/completions/l7egg-cli
COMPLETE_ZSH := $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_l7egg-cli
COMPLETE_FISH := $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/l7egg-cli.fish

# What root built in a checkout of somebody else is handed to its owner.
HAND_OVER = [ "$$(id -u)" -ne 0 ] || chown -Rh --from=0 --reference=Makefile

.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: all setup types lint check test test-vm test-long demo picture bench install uninstall clean need-root

all: $(OBJECT) $(BUNDLE) $(CONFINE) $(PRESETS) $(GRAFANA) $(MANUAL)

setup:
	@scripts/setup.sh build demo test

$(MODULES): package.json package-lock.json
	@command -v npm >/dev/null || { echo "Cannot find npm: Node.js 20 or newer with npm is needed." >&2; exit 1; }
	npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@
	@$(HAND_OVER) node_modules

# -mcpu=v3: 32-bit jumps, in every kernel since 5.1. asm/types.h lies in the multiarch folder.
define COMPILE_BPF
@command -v clang >/dev/null || { echo "Cannot find clang: run \`sudo make setup\`." >&2; exit 1; }
@mkdir -p dist build
clang -g -O2 -target bpf -mcpu=v3 -Wall -Werror -I/usr/include/$$(clang -print-multiarch) -c $< -o $@
@$(HAND_OVER) dist build
endef

$(OBJECT): bpf/l7egg.bpf.c $(HEADERS)
	$(COMPILE_BPF)

# Not loaded: it has every type of the contract in its BTF.
$(CONTRACT): bpf/contract.c $(HEADERS)
	$(COMPILE_BPF)

# What `run` starts a command with; it is needed before there is a process to load anything into, so it is C.
$(CONFINE): $(wildcard src/run/confine/*.[ch])
	@compiler=$$(command -v clang || command -v cc) || { echo "Cannot find clang or cc: run \`sudo make setup\`." >&2; exit 1; }; \
	mkdir -p dist; set -x; "$$compiler" -std=gnu11 -O2 -Wall -Wextra -Werror $(filter %.c,$^) -o $@
	@$(HAND_OVER) dist

# One CommonJS file for all but policy files, with nothing loaded lazily by import(): node starts it with 3 MB less
# than ES modules, and takes it from a cache of compiled code. koffi's native addon lies beside it, so dist needs no node_modules.
# V8 knows its cache by the length of the source only: the first line stamps the two as a pair.
$(BUNDLE): Makefile $(MODULES) $(shell find src -name '*.ts') $(wildcard src/browser/page.*) tools/koffi-native.ts tools/code-cache.ts
	@mkdir -p dist build
	@rm -f $(CODE_CACHE)
	$(BUNDLER) src/main.ts $(WITH_FFI) --outfile=$(MAIN) --sourcemap=external
	$(BUNDLER) $(FFI_PARTS) $(WITH_FFI) --outdir=dist --out-extension:.js=.cjs --entry-names=[name]
	$(BUNDLER) $(PLAIN_PARTS) --target=node20 --external:*/errors.ts --outdir=dist --out-extension:.js=.cjs --entry-names=[name]
	$(BIN)/esbuild src/browser/page.ts src/browser/page.css --bundle --format=iife --platform=browser --target=es2022 \
		--minify --log-level=warning --outdir=$(PAGE)
	@cp src/browser/page.html $(PAGE)/page.html
	@$(JOIN_PARTS) $(MAIN) $(PARTS)
	@sed -i "1i// $$(sha256sum <$(MAIN) | cut -d' ' -f1)" $(MAIN)
	$(BUNDLER) tools/code-cache.ts --target=node20 --outfile=build/code-cache.cjs
	node build/code-cache.cjs $(MAIN)
	@cp node_modules/@koromix/koffi-linux-*/linux_*/koffi.node dist/koffi.node
	$(BUNDLER) src/boot.ts --target=node10 --outfile=$@
	@$(HAND_OVER) dist build

# Made afresh: a preset that is no more does not stay.
$(PRESETS): $(wildcard src/presets/*)
$(GRAFANA): $(wildcard src/grafana/*)
$(PRESETS) $(GRAFANA):
	@rm -rf $@ && mkdir -p $@
	cp src/$(@F)/* $@
	@touch $@
	@$(HAND_OVER) dist

# The manual page and the scripts of `completion`, from the tables of commands and flags.
$(MANUAL): $(BUNDLE) $(wildcard src/manual/* src/presets/*) tools/manual.ts
	@mkdir -p build
	$(BUNDLER) tools/manual.ts --target=node20 --outfile=build/manual.cjs
	@rm -rf $@
	node build/manual.cjs "$$(sed -n "s/^export const VERSION = '\(.*\)';/\1/p" src/cli/version.ts)" src/presets $@
	@$(HAND_OVER) dist build

types: $(MODULES)
	$(BIN)/tsc -p .
	$(BIN)/tsc -p src/browser
	@$(HAND_OVER) build

lint: types $(OBJECT) $(CONTRACT)
	$(BIN)/biome ci --colors=off
	node build/tools/import-check.js src
	node build/tools/abi-check.js $(CONTRACT) bpf/contract.h

check: lint $(BUNDLE) $(CONFINE) $(PRESETS) $(GRAFANA) $(MANUAL)
	scripts/run-tests.sh pure

need-root:
	@[ "$$(id -u)" -eq 0 ] || { echo "This needs root: run it with sudo." >&2; exit 1; }

test: need-root
	@scripts/setup.sh build test
	@$(MAKE) --no-print-directory all check
	scripts/run-tests.sh root

demo: need-root
	@scripts/setup.sh build demo
	@$(MAKE) --no-print-directory all types
	@node build/scripts/demo.js

# docs/, for the README: of real enforcers in the lab.
picture: need-root
	@scripts/setup.sh build test
	@$(MAKE) --no-print-directory all types
	@node build/scripts/watch-picture.js
	@node build/test/page/screenshots.js docs
	@$(HAND_OVER) docs

# Other kernels under qemu. Two at once would be too slow for their limits: the lock is the process's own.
test-vm: need-root
	@scripts/setup.sh build test vm
	@$(MAKE) --no-print-directory all types
	@mkdir -p build
	@exec 9>build/vm.lock; flock --nonblock 9 || { echo "make test-vm runs already in this checkout." >&2; exit 1; }; \
	exec node build/scripts/vm/test-vm.js $(VM)

# The tests of `make test` that draw by chance, with the rounds of a long run: some two hours.
test-long: need-root
	@scripts/setup.sh build test
	@$(MAKE) --no-print-directory all types
	@exec 9>build/long.lock; flock --nonblock 9 || { echo "make test-long runs already in this checkout." >&2; exit 1; }; \
	exec node build/scripts/long/test-long.js $(LONG)

bench: need-root
	@scripts/setup.sh build test
	@$(MAKE) --no-print-directory all types
	@set -e; for bench in test/bench/*.bench.ts; do node "build/$${bench%.ts}.js"; done

install: all
	install -d $(LIB) $(DESTDIR)/etc/l7egg
	install -D -m 755 bin/l7egg-cli $(DESTDIR)$(PREFIX)/bin/l7egg-cli
	install -m 644 $(BUNDLE) $(MAIN) $(CODE_CACHE) $(PARTS) dist/koffi.node $(OBJECT) $(LIB)
	install -m 755 $(CONFINE) $(LIB)
	rm -rf $(LIB)/presets $(LIB)/manual $(LIB)/grafana $(LIB)/page
	install -d $(LIB)/presets $(LIB)/manual $(LIB)/grafana $(LIB)/page
	install -m 644 $(PAGE)/* $(LIB)/page
	install -m 644 $(PRESETS)/* $(LIB)/presets
	install -m 644 $(MANUAL)/completion.* $(LIB)/manual
	install -m 644 $(GRAFANA)/* $(LIB)/grafana
	install -m 755 tools/tc-cleaner.sh $(LIB)/tc-cleaner.sh
	@sync $(LIB)/* $(LIB)/presets/* $(LIB)/manual/* $(LIB)/grafana/* $(LIB)/page/*
	install -d $(MAN8)
	sed 's,/usr/local/,$(PREFIX)/,' $(MANUAL)/l7egg-cli.8 >$(MAN8)/l7egg-cli.8
	install -D -m 644 $(MANUAL)/completion.bash $(COMPLETE_BASH)
	install -D -m 644 $(MANUAL)/completion.zsh $(COMPLETE_ZSH)
	install -D -m 644 $(MANUAL)/completion.fish $(COMPLETE_FISH)
	install -d $(UNITS)
	sed 's,/usr/local/,$(PREFIX)/,' scripts/l7egg.service >$(UNITS)/l7egg.service
	[ -e $(DESTDIR)/etc/l7egg/flags ] || install -m 600 scripts/flags $(DESTDIR)/etc/l7egg/flags
	@[ -n "$(DESTDIR)" ] || [ ! -d /run/systemd/system ] || systemctl daemon-reload
	@echo "Installed. To enforce at every start: edit /etc/l7egg/flags, then \`systemctl enable --now l7egg\`."

uninstall:
	@[ -n "$(DESTDIR)" ] || [ ! -d /run/systemd/system ] || systemctl --quiet disable --now l7egg.service 2>/dev/null || true
	rm -rf $(LIB)
	rm -f $(DESTDIR)$(PREFIX)/bin/l7egg-cli $(MAN8)/l7egg-cli.8 $(UNITS)/l7egg.service $(COMPLETE_BASH) $(COMPLETE_ZSH) $(COMPLETE_FISH)
	@[ -n "$(DESTDIR)" ] || [ ! -d /run/systemd/system ] || systemctl daemon-reload
	@echo "Uninstalled. $(DESTDIR)/etc/l7egg/flags is yours and stays."

clean:
	rm -rf build dist
