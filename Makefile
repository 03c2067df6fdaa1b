# Thin: CMake builds and CTest tests; this knows the order. `make help` lists the targets.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PRESET := dev
VENV := build/venv
NEWEST := build/venv-newest
JOBS := $(shell nproc)

help:  ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

deps:  ## install the Debian packages of packages.txt that are missing, and nothing else
	@tests/lab/install_packages.sh packages.txt

build: deps  ## build everything, tests too (build/dev)
	cmake --preset $(PRESET)
	cmake --build --preset $(PRESET) -j $(JOBS)

# The Python environment of the tests: Ray as its users install it.
$(VENV)/stamp: tests/requirements.txt
	rm -rf $(VENV)
	/usr/bin/python3 -m venv $(VENV)
	$(VENV)/bin/pip install -q --disable-pip-version-check -r tests/requirements.txt
	touch $@

$(NEWEST)/stamp: tests/requirements-newest.txt
	rm -rf $(NEWEST)
	/usr/bin/python3 -m venv $(NEWEST)
	$(NEWEST)/bin/pip install -q --disable-pip-version-check -r tests/requirements-newest.txt
	touch $@

venv: deps
	@$(MAKE) --no-print-directory $(VENV)/stamp $(NEWEST)/stamp

# With the flags of the tests' build, whose objects it shares by ccache. What the programs link comes along; UCX and verbs are the host's.
wheel: deps venv  ## the Python package ray-netsense with the programs inside (build/wheel)
	rm -rf build/wheel/unrepaired build/wheel/*.whl
	CXX=c++ $(VENV)/bin/pip wheel -q --disable-pip-version-check --no-deps --no-build-isolation -w build/wheel/unrepaired \
	    --config-settings=build-dir=$(CURDIR)/build/wheel-programs ./raylet_bridge/python
	PATH=$(CURDIR)/$(VENV)/bin:$$PATH $(VENV)/bin/auditwheel repair -w build/wheel \
	    --exclude 'libuc*.so.*' --exclude 'libibverbs.so.*' build/wheel/unrepaired/*.whl

# The kernel of the VM for the RDMA tests: downloaded and unpacked, not installed. Without it those tests say so.
vm: deps
	@tests/vm/run_in_vm.sh --prepare || test $$? = 77

# Some tests look at the clock, and CI's machine is not its own: there a failure is tried twice more, and counts the third time.
test: build venv wheel vm  ## pass every test
	ctest --preset $(PRESET) --no-tests=error -j $(JOBS) $(if $(CI),--repeat until-pass:3)

page: deps  ## bring the built page up to date with its sources (raylet_bridge/page/built)
	@raylet_bridge/page/page.sh build

release: deps
	cmake --preset release
	cmake --build --preset release -j $(JOBS)

demo: release  ## three nodes with one slow link: the live matrix
	@/usr/bin/python3 tests/lab/demo.py --bin build/release/bin

demo-rdma: build vm  ## the demo over RDMA too, in a VM with two Soft-RoCE devices
	@tests/vm/rdma_test.sh demo build/$(PRESET)/bin

versus: build vm  ## our figures beside the field's tools, on loopback, veth and RDMA in the VM: into docs/versus.md (40 min)
	@bench/versus/versus.py --bin build/$(PRESET)/bin --place loopback,veth,vm --markdown docs/versus.md

demo-ray: release venv  ## the same beside a real Ray cluster of three raylets
	@/usr/bin/python3 tests/lab/demo.py --bin build/release/bin --ray $(VENV)/bin/ray

install: release  ## install the three programs (PREFIX=/usr/local, by sudo unless you are root; another one as you are)
	$(if $(PREFIX),,$(if $(filter 0,$(shell id -u)),,sudo)) cmake --install build/release $(if $(PREFIX),--prefix $(PREFIX))

deb: release  ## the Debian package: build/deb/netsense_*.deb
	cd build && cpack -G DEB --config release/CPackConfig.cmake -B deb && rm -rf deb/_CPack_Packages

asan: deps  ## unit tests with AddressSanitizer and UndefinedBehaviorSanitizer
	cmake --preset asan
	cmake --build --preset asan -j $(JOBS)
	ctest --preset asan --no-tests=error -j $(JOBS)

tsan: deps  ## unit tests without gRPC with ThreadSanitizer
	cmake --preset tsan
	cmake --build --preset tsan -j $(JOBS)
	ctest --preset tsan --no-tests=error -j $(JOBS)

SOURCES = $(shell git ls-files '*.cc' '*.h')

format:  ## format the sources
	clang-format -i $(SOURCES)

format-check: deps  ## fail when a source is not formatted
	clang-format --dry-run -Werror $(SOURCES)

tidy: build  ## clang-tidy on everything (package clang-tidy)
	clang-tidy --quiet -p build/$(PRESET) $(filter %.cc,$(SOURCES))

clean:  ## remove build/
	rm -rf build

.PHONY: help deps build page venv wheel vm test release demo demo-rdma demo-ray versus install deb asan tsan format format-check tidy clean
