package main

import (
	"fmt"
	"os"
	"reflect"
	"runtime"
	"strings"
	"unsafe"
)

// The header of a bucket map up to what growth needs (runtime/map.go of Go 1.19 to 1.23, map_noswiss.go of
// 1.24 and 1.25): the states below are there only for a moment, and are waited for.
type hmap struct {
	count      int
	flags      uint8
	b          uint8
	noverflow  uint16
	hash0      uint32
	buckets    unsafe.Pointer
	oldbuckets unsafe.Pointer
	nevacuate  uintptr
}

const sameSizeGrow = 8 // runtime/map.go: the current growth is to a new map of the same size

func bucketMaps() bool {
	var minor int
	fmt.Sscanf(runtime.Version(), "go1.%d", &minor)
	return minor < 24 || strings.Contains(runtime.Version(), "noswissmap")
}

func header(m interface{}) *hmap { return (*hmap)(reflect.ValueOf(m).UnsafePointer()) }

// The bucket map moves two buckets at each write: we stop where half of them have moved. A Swiss map grows one
// table at a time, and never stands halfway.
func growing[K comparable, V any](n int, key func(int) K, value func(int) V) {
	m := make(map[K]V)
	for i := 0; i < 4*n; i++ {
		m[key(i)] = value(i)
		h := header(m)
		if i >= n && (!bucketMaps() || h.oldbuckets != nil && h.nevacuate >= 1<<(h.b-2)) {
			show(m)
			return
		}
	}
	fmt.Fprintln(os.Stderr, "contents: no growth seen halfway")
	os.Exit(1)
}

// Keys that come and go leave overflow buckets behind, until the bucket map moves to one of the same size.
func growingInPlace() {
	m := make(map[int]string)
	for i := 0; i < 1000000; i++ {
		m[i] = word(i % 100)
		delete(m, i-400)
		h := header(m)
		if i >= 2000 && (!bucketMaps() || h.oldbuckets != nil && h.flags&sameSizeGrow != 0 && h.nevacuate > 3) {
			show(m)
			return
		}
	}
	fmt.Fprintln(os.Stderr, "contents: no growth in place seen")
	os.Exit(1)
}

// Deleted slots stay behind as marks, in small maps and in large ones.
func deleted() {
	for _, n := range []int{3, 8, 9, 100, 2000} {
		m := fill(n, word, func(i int) int { return i })
		for i := 0; i < n; i++ {
			if i%3 != 0 {
				delete(m, word(i))
			}
		}
		show(m)
		some := fill(n, func(i int) int32 { return int32(i) }, word)
		for i := 0; i < n; i++ {
			delete(some, int32(i))
		}
		show(some)
		refilled := fill(n, func(i int) int32 { return int32(i) }, word)
		for i := 0; i < n; i++ {
			delete(refilled, int32(i))
		}
		for i := n; i < n+n/4; i++ {
			refilled[int32(i)] = word(i)
		}
		show(refilled)
		again := fill(n, func(i int) int64 { return int64(i) }, func(i int) bool { return i%2 == 0 })
		for i := 0; i < n; i += 2 {
			delete(again, int64(i))
		}
		for i := n; i < n+n/4; i++ {
			again[int64(i)] = true
		}
		show(again)
	}
}

// A loop that deletes every key is one call that clears.
func cleared() {
	for _, n := range []int{8, 1000} {
		m := fill(n, word, word)
		for key := range m {
			delete(m, key)
		}
		show(m)
		m = fill(n, word, word)
		for key := range m {
			delete(m, key)
		}
		m["after"] = "wards"
		show(m)
	}
}

func states() {
	growing(200, func(i int) int { return i }, word)
	growing(200, word, big)
	growing(1000, big, func(i int) uint8 { return uint8(i) })
	growing(30000, word, func(i int) int { return i })
	growingInPlace()
	deleted()
	cleared()
	// Room for many, used by few.
	roomy := make(map[string]int, 5000)
	show(roomy)
	sparse := make(map[string]int, 5000)
	for i := 0; i < 50; i++ {
		sparse[word(i)] = i
	}
	show(sparse)
	// Tables that split at different times.
	for _, n := range []int{896, 897, 1792, 5000} {
		show(fill(n, func(i int) uint64 { return uint64(i) * 0x9e3779b97f4a7c15 }, func(i int) int32 { return int32(i) }))
	}
	show(fill(100000, func(i int) int { return i }, func(i int) int { return i * i }))
	show(fill(100000, word, word))
	show(fill(100000, func(i int) point { return point{int16(i), int16(i >> 16)} }, func(i int) bool { return i%7 == 0 }))
}
