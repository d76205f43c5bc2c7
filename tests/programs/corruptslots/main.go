// A stray write damages the memory behind a map that only one goroutine ever touches: the map's own code
// breaks, and Go says nothing of a race.
//
// truth: cause=corruption messages="bad map state"|"nil pointer dereference"
// truth: map="map[int]int" owner="main.main.m" minimum=1.19
package main

import (
	"runtime"
	"strings"
	"unsafe"
)

func hasBuckets() bool {
	version := runtime.Version()
	for _, old := range []string{"go1.19", "go1.20", "go1.21", "go1.22", "go1.23"} {
		if strings.HasPrefix(version, old) {
			return true
		}
	}
	return strings.Contains(version, "noswissmap")
}

// A bucket map's first bucket (hmap.buckets, at 16) gets a slot that says "moved" while the bucket is not; a
// Swiss map's directory (Map.dirPtr, at 16) leads nowhere.
func stray(header unsafe.Pointer) {
	word := (*uintptr)(unsafe.Add(header, 16))
	if hasBuckets() {
		*(*byte)(unsafe.Add(*(*unsafe.Pointer)(unsafe.Pointer(word)), 1)) = 2
	} else {
		*word = 0x10
	}
}

func main() {
	m := make(map[int]int)
	println("map", m)
	for i := 0; i < 8; i++ {
		m[i] = i
	}
	stray(*(*unsafe.Pointer)(unsafe.Pointer(&m)))
	for i := 8; i < 100; i++ {
		m[i] = i
	}
}
