// Fills maps with every kind of key and value, in every state that a map can be in, prints them by the rules of
// render.go and dies of a panic, so that a core has what the output shows. With the argument "wait" it lives on
// and waits for SIGTERM.
//
// truth: cause=other what="explicit panic" messages="contents: all is shown" minimum=1.19
package main

import (
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"unsafe"
)

var sizes = []int{0, 1, 7, 8, 9, 100}

func fill[K comparable, V any](n int, key func(int) K, value func(int) V) map[K]V {
	m := make(map[K]V)
	for i := 0; i < n; i++ {
		m[key(i)] = value(i)
	}
	return m
}

func keys[K comparable](key func(int) K) {
	for _, n := range sizes {
		show(fill(n, key, func(i int) int { return i }))
	}
}

func values[V any](value func(int) V) {
	for _, n := range sizes {
		show(fill(n, func(i int) int { return i }, value))
	}
}

func bothKinds[T comparable](of func(int) T) {
	keys(of)
	values(of)
}

func integers() {
	bothKinds(func(i int) bool { return i%2 == 0 })
	bothKinds(func(i int) int { return int(spread(i)) })
	bothKinds(func(i int) int8 { return int8(spread(i) >> 4) })
	bothKinds(func(i int) int16 { return int16(spread(i) >> 8) })
	bothKinds(func(i int) int32 { return int32(spread(i) >> 8) })
	bothKinds(func(i int) int64 { return spread(i) })
	bothKinds(func(i int) uint { return uint(spread(i)) })
	bothKinds(func(i int) uint8 { return uint8(spread(i) >> 4) })
	bothKinds(func(i int) uint16 { return uint16(spread(i) >> 8) })
	bothKinds(func(i int) uint32 { return uint32(spread(i) >> 8) })
	bothKinds(func(i int) uint64 { return uint64(spread(i)) })
	bothKinds(func(i int) uintptr { return uintptr(spread(i)) })
}

func scalars() {
	bothKinds(func(i int) float32 { return float32(float(i)) })
	bothKinds(float)
	bothKinds(func(i int) complex64 { return complex(float32(float(i)), float32(float(i+1))) })
	bothKinds(func(i int) complex128 { return complex(float(i+1), float(i)) })
	bothKinds(word)
	bothKinds(pointer)
	bothKinds(pipe)
	bothKinds(func(i int) unsafe.Pointer { return unsafe.Pointer(pointer(i)) })
	bothKinds(func(i int) celsius { return celsius(float(i)) })
	bothKinds(func(i int) color { return color(i) })
	bothKinds(func(i int) name { return name(word(i)) })
}

func composites() {
	values(hashable)
	values(failure)
	values(stringer)
	bothKinds(func(i int) point { return point{int16(i), int16(-i)} })
	bothKinds(func(i int) pair { return pair{i, word(i)} })
	bothKinds(func(i int) [3]int16 { return [3]int16{int16(i), -1, 1} })
	bothKinds(func(i int) [2]string { return [2]string{word(i), ""} })
	bothKinds(func(i int) [20]uint8 { return [20]uint8{uint8(i), 19: 255} })
	bothKinds(func(int) struct{} { return struct{}{} })
	bothKinds(func(int) [0]int { return [0]int{} })
	bothKinds(nest)
	bothKinds(linked)
	bothKinds(func(i int) wide { return wide{uint64(i), 15: 1} })
	bothKinds(big)
	bothKinds(func(i int) record { return record{uint64(i), [20]string{word(i), 19: "end"}} })
	bothKinds(func(i int) struct {
		A uint8
		B uint64
	} {
		return struct {
			A uint8
			B uint64
		}{uint8(i), uint64(i) << 32}
	})
}

// Interfaces are comparable to a generic function only from Go 1.20 on.
func interfaceKeys() {
	for _, n := range sizes {
		byAny, byError, byStringer := map[interface{}]int{}, map[error]int{}, map[fmt.Stringer]int{}
		both := map[interface{}]interface{}{}
		for i := 0; i < n; i++ {
			byAny[hashable(i)] = i
			byError[failure(i)] = i
			byStringer[stringer(i)] = i
			both[hashable(i)] = anything(i)
		}
		show(byAny)
		show(byError)
		show(byStringer)
		show(both)
	}
}

// What may only be a value.
func onlyValues() {
	values(closure)
	values(anything)
	values(numbers)
	values(table)
	values(full)
	values(func(i int) []byte { return []byte(word(i)) })
	values(func(i int) [][]string { return [][]string{{word(i)}, nil, {}} })
	values(func(i int) [1]func() int { return [1]func() int{closure(i)} })
	values(func(i int) deep { return deep{[]interface{}{anything(i), nil, deep{}}} })
}

// Neither side is a number: other offsets in a slot, indirect on one side or both, sizes that need padding.
func mixtures() {
	for _, n := range sizes {
		show(fill(n, word, word))
		show(fill(n, word, full))
		show(fill(n, big, big))
		show(fill(n, big, func(i int) uint8 { return uint8(i) }))
		show(fill(n, func(i int) uint8 { return uint8(i) }, big))
		show(fill(n, func(i int) uint8 { return uint8(i) }, word))
		show(fill(n, func(i int) int16 { return int16(i) }, func(i int) [3]uint8 { return [3]uint8{uint8(i)} }))
		show(fill(n, func(i int) [3]uint8 { return [3]uint8{uint8(i), 1, 2} }, func(i int) int64 { return spread(i) }))
		show(fill(n, word, func(int) struct{} { return struct{}{} }))
		show(fill(n, big, func(int) struct{} { return struct{}{} }))
	}
}

func longStrings() {
	m := make(map[string]string)
	for _, n := range []int{4095, 4096, 4097, 10000} {
		m[strings.Repeat("k", n)] = strings.Repeat("caf\u00e9", n/5)
	}
	show(m)
}

func main() {
	integers()
	scalars()
	composites()
	interfaceKeys()
	onlyValues()
	mixtures()
	shapes()
	longStrings()
	states()
	out.Flush()
	if len(os.Args) > 1 && os.Args[1] == "wait" {
		stop := make(chan os.Signal, 1)
		signal.Notify(stop, syscall.SIGTERM)
		fmt.Fprintln(os.Stderr, "ready")
		<-stop
		return
	}
	panic(fmt.Sprint("contents: all is shown, ", len(shown), " maps"))
}
