// The article's bypass of chapter 4.4, repaired so that it compiles and does what was meant: write into the
// map's header behind the runtime's back, then go on using the map.
//
// The word at 16 is hmap.buckets up to Go 1.23 and maps.Map.dirPtr since 1.24.
//
// usage: bypass unsafeaddr|struct|nil|unmapped|noncanonical
package main

import (
	"os"
	"reflect"
	"strconv"
	"unsafe"
)

func main() {
	m := make(map[string]int)
	m["x"] = 1
	if os.Args[1] == "unsafeaddr" {
		// The step that the article takes to get at the header.
		_ = reflect.ValueOf(m).UnsafeAddr()
	}
	header := reflect.ValueOf(m).UnsafePointer()
	buckets := (*uintptr)(unsafe.Add(header, 16))
	switch os.Args[1] {
	case "struct":
		*buckets = uintptr(unsafe.Pointer(new(struct{})))
	case "nil":
		*buckets = 0
	case "unmapped":
		*buckets = 0xdead000
	case "noncanonical":
		*buckets = 0xdead << 48
	}
	const n = 100
	for i := 0; i < n; i++ {
		m[strconv.Itoa(i)] = i
	}
	found := 0
	for i := 0; i < n; i++ {
		if v, ok := m[strconv.Itoa(i)]; ok && v == i {
			found++
		}
	}
	_, x := m["x"]
	println("survived:", found, "of", n, "found; the entry from before is there:", x)
}
