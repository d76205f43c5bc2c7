// A stray write sets the writing flag of a map that only one goroutine ever touches: Go prints the
// message of a race where none is.
//
// truth: cause=corruption messages="concurrent map writes"
// truth: map="map[string]int" owner="main.main.m" minimum=1.19
package main

import (
	"runtime"
	"strings"
	"unsafe"
)

// Where a map's header keeps the flag: Go 1.24's internal/runtime/maps.Map has a byte of its own at 34,
// the bucket map before it (and with GOEXPERIMENT=noswissmap) bit 4 of the byte at 8.
func flag() (offset uintptr, value byte) {
	version := runtime.Version()
	for _, old := range []string{"go1.19", "go1.20", "go1.21", "go1.22", "go1.23"} {
		if strings.HasPrefix(version, old) {
			return 8, 4
		}
	}
	if strings.Contains(version, "noswissmap") {
		return 8, 4
	}
	return 34, 1
}

func stray(header unsafe.Pointer) {
	offset, value := flag()
	*(*byte)(unsafe.Add(header, offset)) |= value
}

func main() {
	m := map[string]int{"one": 1, "two": 2}
	println("map", m)
	stray(*(*unsafe.Pointer)(unsafe.Pointer(&m)))
	m["three"] = 3
}
