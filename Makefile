# Every target does the set-up that it needs, and only when it is needed; see `make help`.
# On a bare Debian 12 or 13 with Node and make: as root the missing Debian packages are installed, otherwise the
# exact line to run is printed.

SHELL := /bin/sh
.SHELLFLAGS := -eu -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := build

CC ?= cc
CLANG ?= clang
CFLAGS ?= -O2 -g
ENGINE ?= auto
KEEP ?=
SECOND_CHANCE ?= on
SURVIVE_ENGINES ?= xdp,xdp,af_xdp
SURVIVE_SVG ?= build/survive.svg
HA_SVG ?= build/demo-ha.svg
# docs/fleet-simulation.md shows what comes out
FLEET_SIMULATION ?= simulate --fleet --nodes 1000 --backends 10000 --flows 50000 --partitions 12 --seed 2
FLEET_SVG ?= build/demo-fleet.svg
FORWARDERS ?=
BACKENDS ?=
FLOOD_SVG ?= build/demo-flood.svg
DEFEND ?=
FLOOD_CONNECTIONS ?= 10000
HEADERS := $(wildcard native/include/anyhop/*.h native/lib/*.h native/bpf/*.h native/dev/*.h)
# Not `:=`: on a bare machine the compiler is there only once the set-up has run.
MULTIARCH = $(shell $(CC) -print-multiarch)
BPF_ARCH = $(if $(filter aarch64%,$(MULTIARCH)),arm64,x86)

.PHONY: help build docs demo demo-l7 demo-ha demo-fleet demo-flood survive survive-l7 test test-long bench bench-afxdp bench-agent bench-announce bench-fleet bench-l7 bench-dashboard bench-metrics bench-micro bench-xdp bench-defend bench-engines screenshots interop soak fuzz check format clean native ts setup-build setup-lab setup-l7 setup-ha setup-fleet setup-observe setup-interop setup-fuzz

help: ## this list
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

build: native ts ## the program: node dist/main.js

ts: node_modules/.installed
	scripts/generate-layout.sh
	node scripts/prune.mjs
	node_modules/.bin/tsc -b tsconfig.dev.json
	cp src/dashboard/page/*.html src/dashboard/page/*.css src/dashboard/page/*.svg dist/dashboard/page/
	node scripts/bundle.mjs
	chmod +x dist/main.js

BPF_OBJECTS = $(patsubst native/bpf/%.c,dist/native/%.o,$(wildcard native/bpf/*.bpf.c))
DEV_SOURCES = $(filter-out %.bpf.c,$(wildcard native/dev/*.c))
# What both libraries are made of.
DEV_SHARED = $(addprefix native/lib/,layout.c error.c queues.c xsk.c)
# The forwarding program without one of its steps: native/dev/without.h says what it takes.
STEPS_OUT = hash lane checks age write capture guard
DEV_OBJECTS = $(patsubst native/dev/%.c,build/native/%.o,$(wildcard native/dev/*.bpf.c)) \
  $(STEPS_OUT:%=build/native/without-%.bpf.o)

native: setup-build dist/native/libanyhop.so $(BPF_OBJECTS) build/native/libanyhop-dev.so $(DEV_OBJECTS) build/native/fuzz.checked

# A fifth of a second when all is there, so it asks every time: packages go away again. One after the other, since apt
# takes a lock.
setup-lab: setup-build
setup-l7 setup-ha setup-fleet setup-observe setup-interop: setup-lab
setup-fuzz: setup-build
setup-build setup-lab setup-l7 setup-ha setup-fleet setup-observe setup-interop setup-fuzz:
	@scripts/setup.sh $(@:setup-%=%)

node_modules/.installed: package.json package-lock.json | setup-build
	npm ci --no-audit --no-fund
	touch $@

dist/native/libanyhop.so: $(wildcard native/lib/*.c) $(HEADERS) | setup-build
	mkdir -p dist/native
	$(CC) $(CFLAGS) -std=gnu11 -Wall -Wextra -Werror -fPIC -shared -Inative/include -o $@ native/lib/*.c -lbpf

BPF_CC = $(CLANG) -O2 -g -std=gnu11 -Wall -Wextra -Werror -target bpf -mcpu=v3 -D__TARGET_ARCH_$(BPF_ARCH) \
	  -Inative/include -I/usr/include/$(MULTIARCH)

dist/native/%.bpf.o: native/bpf/%.bpf.c $(HEADERS) | setup-build
	mkdir -p dist/native
	$(BPF_CC) -c -o $@ $<

dist/native/agent-cookies.bpf.o: native/bpf/agent.bpf.c

# What only tests, benchmarks and the traffic generator use.
build/native/libanyhop-dev.so: $(DEV_SOURCES) $(DEV_SHARED) $(HEADERS) | setup-build
	mkdir -p build/native
	$(CC) $(CFLAGS) -O3 -std=gnu11 -Wall -Wextra -Werror -fPIC -shared -Inative/include -Inative/lib -o $@ \
	  $(DEV_SOURCES) $(DEV_SHARED) -lbpf

build/native/%.bpf.o: native/dev/%.bpf.c $(HEADERS) | setup-build
	mkdir -p build/native
	$(BPF_CC) -c -o $@ $<

# The fuzzer is built by scripts/fuzz.sh; here it is only seen to that a change of the pipeline does not break it.
build/native/fuzz.checked: $(wildcard native/fuzz/*.[ch]) $(HEADERS) | setup-build
	mkdir -p build/native
	$(CLANG) -std=gnu11 -Wall -Wextra -Werror -fsyntax-only -Inative/include -DFUZZ_IMAGES='""' $(wildcard native/fuzz/*.c)
	touch $@

build/native/without-%.bpf.o: native/bpf/forward.bpf.c native/dev/without.h $(HEADERS) | setup-build
	mkdir -p build/native
	$(BPF_CC) -include native/dev/without.h -DANYHOP_WITHOUT_$* -c -o $@ $<

# ENGINE: auto, xdp, af_xdp or portable. KEEP=1 keeps it and its dashboard up.
demo: build setup-lab ## 2000 HTTP requests through two forwarders to three servers (ENGINE=xdp, KEEP=1)
	KEEP=$(KEEP) node build/scripts/demo.js $(ENGINE)

survive-l7: build setup-lab setup-l7 ## 100 reloads and a rolling drain of all proxy hosts under load
	node build/scripts/survive-l7.js

demo-l7: build setup-lab setup-l7 ## HTTPS through forwarders, proxies and servers, while these fail, reload and drain
	node build/scripts/demo-l7.js

# HA_SVG: the file for a picture.
demo-ha: build setup-lab setup-ha ## connections while BIRD and keepalived announce, and nodes, daemons and links fail
	node build/scripts/demo-ha.js $(if $(HA_SVG),--svg $(HA_SVG))

# FORWARDERS, BACKENDS: how many. FLEET_SVG: the file for a picture.
demo-fleet: build setup-lab setup-ha setup-fleet ## one config for 8 forwarders and 6 backends from etcd, changed and taken back under load
	node build/scripts/demo-fleet.js $(if $(FORWARDERS),--forwarders $(FORWARDERS)) $(if $(BACKENDS),--backends $(BACKENDS)) $(if $(FLEET_SVG),--svg $(FLEET_SVG))

# DEFEND=off or on: only that part. FLOOD_SVG: the file for a picture.
demo-flood: build setup-lab ## real clients under floods of spoofed SYNs, ACKs and UDP, without defence and with it
	node build/scripts/demo-flood.js $(if $(DEFEND),--defend $(DEFEND)) $(if $(FLOOD_SVG),--svg $(FLOOD_SVG))

# SECOND_CHANCE=off, SURVIVE_SVG=file, SURVIVE_ENGINES=xdp,xdp,af_xdp
survive: build setup-lab ## 1000 connections through all that may happen to a fleet, in two minutes
	node build/scripts/survive.js --second-chance $(SECOND_CHANCE) --engines $(SURVIVE_ENGINES) $(if $(SURVIVE_SVG),--svg $(SURVIVE_SVG))

test: build setup-lab setup-l7 setup-ha setup-fleet setup-observe ## the whole test suite (root: the network tests run too)
	node scripts/test.mjs

bench: build setup-lab setup-l7 setup-ha setup-fleet setup-observe ## every benchmark, as a table with its targets
	node build/bench/run.js

bench-micro: build ## what runs in memory, beside its peers; writes docs/architecture/micro-benchmarks.md
	node build/bench/run.js --page

bench-xdp: build setup-lab ## what a packet costs the XDP program; STEPS=1: and each of its steps (root)
	node build/bench/run.js xdp $(if $(STEPS),--steps)

bench-defend: build setup-lab ## what limits, lists and SYN cookies cost a packet (root)
	node build/bench/run.js defend

bench-agent: build setup-lab ## what a packet costs the agent's program, and second chance (root)
	node build/bench/run.js agent

bench-engines: build setup-lab ## what each engine forwards, and adds to round trips at half load (root)
	node build/bench/run.js engines

bench-l7: build setup-lab setup-l7 ## what a request costs HAProxy behind a forwarder; latency, routes, reloads (root)
	node build/bench/run.js l7

bench-metrics: build ## what a scrape of 20,000 series costs the main thread of a node
	node build/bench/run.js metrics

bench-announce: build setup-lab setup-ha ## from a forwarder's death to its route gone from a router, by BIRD and FRR (root)
	node build/bench/run.js announce

bench-fleet: build setup-lab setup-fleet ## from a change of 1,000 backends to it in force on 8 nodes, with etcd (root)
	node build/bench/run.js fleet

bench-dashboard: build setup-observe ## how long a browser works for an update of 1,000 backends
	node build/bench/run.js dashboard

screenshots: build setup-lab setup-observe ## pictures of the dashboard for docs/images, in health and in trouble (root)
	ANYHOP_POSE=1 node --test build/test/dashboard/lab.test.js
	mkdir -p docs/images
	for name in health trouble slots; do cp build/screenshots/$$name.png docs/images/dashboard-$$name.png; done

bench-afxdp: build setup-lab ## the AF_XDP loop and the pipeline in TypeScript, beside the same in C (root)
	node build/bench/run.js afxdp pipeline-c

interop: build setup-lab setup-interop ## a real Linux kernel with ip_gre and ip6_gre as a backend, in QEMU
	node build/scripts/interop.js

# SOAK_ROUNDS of 20 kills; SOAK_PACKETS, SOAK_SECONDS; SOAK_SEEDS; SOAK_VALUES; FLOOD_CONNECTIONS; ANYHOP_SEED
test-long: build setup-lab setup-l7 setup-ha setup-fleet ## the tests that take minutes each (root)
	node scripts/test.mjs --long

soak: build setup-lab setup-l7 ## for hours: kills under load, packets compared, simulations, attacks, hostile values (root)
	node build/test/engine/xdp-soak.js
	node build/test/differential/soak.js
	node build/test/sim/soak.js
	node dist/main.js $(FLEET_SIMULATION) --views own --svg build/fleet-own.svg
	node dist/main.js $(FLEET_SIMULATION) --views quorum --svg build/fleet-quorum.svg
	FLEET_RUNS=1000000 FLEET_SECONDS=600 node --test build/test/fleet/two-phases.test.js
	node build/test/hash/soak.js
	node build/test/l7/soak.js
	FLOOD_CONNECTIONS=$(FLOOD_CONNECTIONS) node --test build/test/e2e/defend-flood.test.js

fuzz: build setup-fuzz ## libFuzzer and sanitizers on the C pipeline for FUZZ_SECONDS (60), and what it covers
	scripts/fuzz.sh

check: node_modules/.installed ## format, lint, types, generated files
	scripts/generate-layout.sh --check
	node_modules/.bin/biome ci --error-on-warnings
	node_modules/.bin/tsc -b tsconfig.dev.json
	node scripts/bundle.mjs
	node build/scripts/reference.js --check

docs: ts ## write the reference pages of docs/reference from the program
	node build/scripts/reference.js

format: node_modules/.installed ## rewrite the sources in the project's format
	node_modules/.bin/biome check --write

clean: ## remove everything that was built
	rm -rf dist build node_modules
