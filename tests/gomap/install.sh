#!/usr/bin/env bash
# Builds libgomap alone, installs it into a scratch folder and uses it from there in every way it is
# offered: pkg-config, find_package, add_subdirectory, the shared library, C++. Looks at its symbols.
set -euo pipefail
top=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() { echo "install.sh: $*" >&2; exit 1; }

cmake -S "$top/lib/gomap" -B "$work/build" -DBUILD_TESTING=OFF -DCMAKE_BUILD_TYPE=Release \
  -DCMAKE_INSTALL_PREFIX="$work/usr" -DCMAKE_INSTALL_LIBDIR=lib >"$work/log"
cmake --build "$work/build" >>"$work/log"
cmake --install "$work/build" >>"$work/log"
so=$work/usr/lib/libgomap.so.1
readelf -d "$so" | grep -q 'SONAME.*\[libgomap.so.1\]' || fail "no SONAME libgomap.so.1"
bad=$(nm -D --defined-only "$so" | awk '$3 !~ /^(gomap_|GOMAP_1)/ { print $3 }')
[ -z "$bad" ] || fail "exports $bad"
needed=$(readelf -d "$so" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | grep -v '^libc\.so\|^libpthread\.so\|^ld-linux' || true)
[ -z "$needed" ] || fail "needs $needed"

export PKG_CONFIG_PATH=$work/usr/lib/pkgconfig LD_LIBRARY_PATH=$work/usr/lib
for example in counter cache; do
  # shellcheck disable=SC2046 # a list of flags
  gcc -O2 -Wall -Wextra -Werror "$top/examples/gomap/$example.c" \
    $(pkg-config --cflags --libs gomap) -pthread -o "$work/$example"
done
"$work/counter" <"$top/include/gomap.h" | head -1 | grep -q ' \*$' || fail "counter counts wrongly"
"$work/cache" | grep -q '1000 entries$' || fail "cache does not keep to its room"
# shellcheck disable=SC2046
g++ -std=c++11 -O2 -Wall -Wextra -Werror "$top/tests/gomap/test_cxx.cc" \
  $(pkg-config --cflags --libs gomap) -o "$work/cxx" && "$work/cxx" || fail "C++ use fails"

mkdir "$work/user"
cp "$top/examples/gomap/cache.c" "$work/user/"
cat >"$work/user/CMakeLists.txt" <<'USER'
cmake_minimum_required(VERSION 3.16)
project(user C)
if(GOMAP_SOURCE)
  add_subdirectory(${GOMAP_SOURCE} gomap)
else()
  find_package(gomap 1.0 REQUIRED)
endif()
add_executable(cache cache.c)
target_link_libraries(cache gomap::gomap)
USER
cmake -S "$work/user" -B "$work/found" -DCMAKE_PREFIX_PATH="$work/usr" >>"$work/log"
cmake --build "$work/found" >>"$work/log"
"$work/found/cache" >/dev/null || fail "find_package use fails"
cmake -S "$work/user" -B "$work/added" -DGOMAP_SOURCE="$top/lib/gomap" -DBUILD_TESTING=OFF >>"$work/log"
cmake --build "$work/added" --target cache >>"$work/log"
"$work/added/cache" >/dev/null || fail "add_subdirectory use fails"
if command -v mandoc >/dev/null && [ -f "$work/usr/share/man/man3/gomap.3" ]; then
  # scdoc writes these paragraph macros whatever the page says
  remarks=$(mandoc -T lint -W warning "$work/usr/share/man/man3/gomap.3" |
    grep -v 'skipping paragraph macro' || true)
  [ -z "$remarks" ] || { echo "$remarks"; fail "mandoc finds fault with the page"; }
fi
echo "install.sh: pkg-config, find_package, add_subdirectory, C and C++: all work"
