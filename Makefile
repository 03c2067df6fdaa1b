# Thin: CMake builds and CTest tests; this knows the order, and make/*.sh do one thing each. `make help` lists the targets.
.DEFAULT_GOAL := help
.NOTPARALLEL:
VENV := build/venv
NEWEST := build/venv-newest
LINT := build/venv-lint
# With SANITIZED=1 the unit tests are built once, with sanitizers (asan), and not in the build of all else. Else plain: that is quicker.
DEV := $(if $(SANITIZED),ci,dev)
JOBS ?= $(shell make/jobs.sh)
OWN_CACHES := $(shell make/own_caches.sh)
ifneq ($(OWN_CACHES),)
export XDG_CACHE_HOME := $(OWN_CACHES)
export npm_config_cache := $(OWN_CACHES)/npm
export CCACHE_DIR ?= $(OWN_CACHES)/ccache
endif

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

doctor:  ## can `make demo` work here, and what would `make test` skip? One line a check, with what to type
	@make/doctor.sh demo; code=$$?; echo 'and for `make test`:'; make/doctor.sh test; exit $$code

deps:  ## install the Debian packages of packages.txt that are missing, and nothing else (FOR="build demo": those of some purposes)
	@make/packages.sh $(or $(FOR),all)

build:  ## build everything, tests too (build/dev)
	@make/packages.sh build test page
	@make/build.sh $(DEV)

programs:  ## build only what is installed and what the demo runs (build/dev, too)
	@make/packages.sh build
	@make/build.sh programs

# The Python environments of the tests: Ray as its users install it, and the newest.
venv:
	@make/packages.sh python
	@make/venv.sh $(VENV) tests/requirements.txt
	@make/venv.sh $(NEWEST) tests/requirements-newest.txt

venv-lint:
	@make/packages.sh python
	@make/venv.sh $(LINT) tests/requirements-lint.txt

wheel: venv  ## the Python package ray-netsense with the programs inside (build/wheel)
	@make/packages.sh build
	@make/step.sh wheel last make/wheel.sh $(VENV)

# The kernel of the VM for the RDMA tests: downloaded and unpacked, not installed. Without it those tests say so.
vm:
	@make/packages.sh vm
	@make/step.sh vm_kernel last sh -c 'tests/vm/run_in_vm.sh --prepare || test $$? = 77'

test:  ## pass every test
	@make/doctor.sh -q demo && make/doctor.sh -q test
	@rm -f build/log/steps
	@$(MAKE) --no-print-directory FOR="$(filter-out fuzz,$(shell sed -n 's/^\[\(.*\)\]$$/\1/p' packages.txt))" deps build $(if $(SANITIZED),asan) venv wheel vm
	@make/step.sh -s tests last ctest --preset dev --no-tests=error -j $(JOBS); code=$$?; make/minutes.sh; exit $$code

# The tests of one label. What they run is built, and nothing for the others.
LABELS := unit conformance python integration ray browser bench
unit:  ## build and pass the unit tests alone; as well: conformance, python, integration, ray, browser, bench (tests/README.md)
python integration ray browser bench: venv
ray: wheel
python: BUILT = integration_tests
$(LABELS):
	@make/packages.sh build demo test page
	@make/build.sh dev $(or $(BUILT),$@_tests)
	@ctest --preset dev --no-tests=error -L '^$@$$' -j $(JOBS)

page:  ## bring the built page and report up to date with their sources (raylet_bridge/page/built, bench/report/built)
	@make/packages.sh page
	@base/web/web.sh build

test-rdma: build vm  ## all of the RDMA tests, of which `make test` has the main ones, in two VMs; tests/vm/passed notes what they passed for
	@tests/vm/rdma_test.py matrix build/dev/bin
	@tests/vm/passed.sh --write

test-timing: build venv  ## the tests that judge time, 20 times in a row, beside a busy loop on each core
	NETSENSE_TIMING_ONLY=1 tests/lab/under_load.sh ctest --preset dev --no-tests=error -L timing --repeat until-fail:20 -j $(JOBS)

# The programs of an older release (tests/older_release), built from its commit.
older:
	@make/packages.sh build
	@make/step.sh older_release last make/older.sh

upgrade: build venv older  ## an older release and this one in one cluster, upgraded node by node
	@NETSENSE_BIN=build/dev/bin NETSENSE_OLDER_BIN=build/older/bin tests/lab/own_machine.sh $(VENV)/bin/python -m pytest -q -x -p no:cacheprovider tests/upgrade

healthy: programs  ## a healthy cluster for an hour beside two busy loops a core: every look must be good
	@tests/lab/healthy.py --bin build/dev/bin

soak: programs  ## what programs keep that they should give back: 90 minutes of sessions, and of a node that comes and goes
	@tests/lab/soak.py --bin build/dev/bin

# A seed does the same each time; --list and --rules of tests/chaos/nemesis.py and checker.py say what there is.
SEEDS ?= $(or $(SEED),1)
chaos: programs venv  ## faults by SEEDS=1-20 for MINUTES=5 each (KINDS=cut,…; STEPS=6; RAY=1), recorded and checked (docs/chaos.md)
	@tests/lab/own_machine.sh $(VENV)/bin/python tests/chaos/nemesis.py --bin build/dev/bin --seeds $(SEEDS) $(if $(MINUTES),--minutes $(MINUTES)) $(if $(STEPS),--steps $(STEPS)) $(if $(KINDS),--kinds $(KINDS)) $(if $(RAY),--ray $(VENV)/bin/ray)

chaos-planted:  ## the worst defects that there once were, put back one at a time: the nemesis must find each
	@make/packages.sh build demo
	@tests/lab/own_machine.sh python3 tests/chaos/planted.py

nightly: format-check lint test test-rdma demo-rdma test-timing upgrade healthy soak chaos-planted asan tsan fuzz tidy  ## everything, for hours
	@$(MAKE) --no-print-directory chaos SEEDS=1-300 STEPS=2
	@$(MAKE) --no-print-directory chaos SEEDS=1-20 STEPS=6 RAY=1
	@tests/vm/rdma_test.py versus build/dev/bin > /dev/null

release:
	@make/packages.sh build
	@make/build.sh release

demo:  ## three nodes with one slow link: the live matrix
	@make/doctor.sh -q demo
	@rm -f build/log/steps
	@make/packages.sh build demo
	@make/build.sh programs
	@make/minutes.sh
	@/usr/bin/python3 tests/lab/demo.py --bin build/dev/bin

demo-rdma: build vm  ## the demo over RDMA too, in a VM with two Soft-RoCE devices
	@make/packages.sh demo
	@tests/vm/rdma_test.py demo build/dev/bin

demo-ray: programs venv  ## the demo beside a real Ray cluster of three raylets
	@make/packages.sh demo
	@/usr/bin/python3 tests/lab/demo.py --bin build/dev/bin --ray $(VENV)/bin/ray

versus: build vm  ## our figures beside the field's tools, on loopback, veth and RDMA in the VM: into docs/versus.md (40 min)
	@bench/versus/versus.py --bin build/dev/bin --place loopback,veth,vm --markdown docs/versus.md

install: release  ## install the three programs (PREFIX=/usr/local, by sudo unless you are root; another one as you are)
	$(if $(PREFIX),,$(if $(filter 0,$(shell id -u)),,sudo)) cmake --install build/release $(if $(PREFIX),--prefix $(PREFIX))

deb: release  ## the Debian package: build/deb/netsense_*.deb
	@make/packages.sh package
	cd build && cpack -G DEB --config release/CPackConfig.cmake -B deb && rm -rf deb/_CPack_Packages

asan:  ## unit tests with AddressSanitizer and UndefinedBehaviorSanitizer
	@make/packages.sh build test page
	@make/build.sh asan
	@make/step.sh -s unit_tests last ctest --preset asan --no-tests=error -j $(JOBS)

tsan:  ## unit tests without gRPC with ThreadSanitizer
	@make/packages.sh build test page
	@make/build.sh tsan
	ctest --preset tsan --no-tests=error -j $(JOBS)

fuzz:  ## fuzz what comes from elsewhere, a minute a harness (FUZZ="report hello", MINUTES=10; KEEP=1 keeps what was new: tests/README.md)
	@make/packages.sh build test fuzz
	@make/build.sh fuzz
	@tests/fuzz/fuzz.py --minutes $(or $(MINUTES),1) --jobs $(JOBS) $(if $(KEEP),--keep) $(FUZZ)

SOURCES = $(shell git ls-files '*.cc' '*.h')

format: venv-lint  ## format the sources: C++, Python, TypeScript
	@make/packages.sh test page
	clang-format -i $(SOURCES)
	$(LINT)/bin/ruff format --no-cache
	base/web/web.sh format

format-check: venv-lint  ## fail when a C++ or Python source is not formatted (TypeScript: a test, web.format)
	@make/packages.sh test
	@clang-format --dry-run -Werror $(SOURCES)
	@$(LINT)/bin/ruff format --no-cache --check

lint: venv-lint  ## ruff and mypy on all Python (pyproject.toml): strictly on the package
	@$(LINT)/bin/ruff check --no-cache
	@$(LINT)/bin/mypy --cache-dir build/mypy --strict -p netsense_ray -p ray_dashboard_module
	@$(LINT)/bin/mypy --cache-dir build/mypy tests bench/versus

tidy: build  ## clang-tidy on everything (an hour or more)
	@make/packages.sh tidy
	@make/tidy.sh build/dev all

tidy-changed: build  ## clang-tidy on what changed lately, for some minutes (make/tidy.sh)
	@make/packages.sh tidy
	@make/tidy.sh build/dev changed

clean:  ## remove build/
	rm -rf build

.PHONY: $(LABELS) help doctor deps build programs page venv venv-lint wheel vm test test-rdma test-timing older upgrade healthy soak chaos chaos-planted nightly release demo demo-rdma demo-ray versus install deb asan tsan fuzz format format-check lint tidy tidy-changed clean
