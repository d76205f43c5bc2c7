# The two commands of README and what a packager needs; CMake does the work below.
PRESET ?= release
BUILD := build/$(PRESET)
PREFIX ?= /usr/local

.PHONY: all demo test bench install clean fuzz
all: $(BUILD)/build.ninja
	cmake --build --preset $(PRESET)

$(BUILD)/build.ninja: CMakeLists.txt CMakePresets.json
	tools/setup
	cmake --preset $(PRESET)

install: all
	cmake --install $(BUILD) --prefix $(PREFIX)

clean:
	rm -rf build
