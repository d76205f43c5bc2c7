# The two commands of README and what a packager needs; CMake does the work below.
PRESET ?= release
BUILD := build/$(PRESET)
PREFIX ?= /usr/local

.PHONY: all demo test bench experiments install clean
all: $(BUILD)/build.ninja
	cmake --build --preset $(PRESET)

$(BUILD)/build.ninja: CMakeLists.txt CMakePresets.json
	tools/setup
	cmake --preset $(PRESET)

demo:
	tools/demo

# With the sanitizers: what they find is a failure like any other.
test:
	tools/setup test
	tools/go-toolchains >/dev/null
	cmake --preset asan
	cmake --build --preset asan
	rm -rf build/asan/verdicts
	ctest --preset asan --parallel $$(nproc); status=$$?; \
	tests/verdicts/verdicts.py --table build/asan/verdicts && exit $$status

bench: all
	bench/run
	bench/probe/run
	bench/gomap/run

# The article's experiments under each Go version: crash rates, messages, exit codes, logs.
experiments:
	tools/setup test
	experiments/run

install: all
	cmake --install $(BUILD) --prefix $(PREFIX)

clean:
	rm -rf build
