// Go's half of tests/gomap/go-compare: the same random operations as compare.c, on Go's own map.
// Prints a digest of all results every 100,000 operations.
package main

import (
	"fmt"
	"math"
	"os"
	"strconv"
)

const keys = 4096

var state, digest uint64

func random() uint64 {
	state = state*6364136223846793005 + 1442695040888963407
	return state >> 16
}

func mix(x uint64) { digest = (digest ^ x) * 0x100000001b3 }

func mixFound(v uint64, ok bool) {
	mix(v)
	if ok {
		mix(1)
	} else {
		mix(2)
	}
}

// One iteration that deletes a third of what it meets and inserts for another third. Whatever the
// order, each key of before is met once, and the result is the same.
func iterate[K comparable](m map[K]uint64, key func(uint64) K, number func(K) uint64, i uint64) {
	var met, sum uint64
	for k, v := range m {
		if k != k {
			sum += v
			met++
			continue
		}
		n := number(k)
		if n >= keys {
			continue // inserted meanwhile: may come or not
		}
		met++
		sum += n*31 + v
		if n%3 == 0 {
			delete(m, k)
		}
		if n%3 == 1 {
			m[key(n+keys)] = i
		}
	}
	mix(met)
	mix(sum)
	mix(uint64(len(m)))
	for n := uint64(keys); n < 2*keys; n++ {
		delete(m, key(n))
	}
	mix(uint64(len(m)))
}

func run[K comparable](name string, count, ops uint64, key func(uint64) K, number func(K) uint64, nan func() K) {
	m := make(map[K]uint64)
	state, digest = 1, 0
	for i := uint64(1); i <= ops; i++ {
		r := random()
		n := r % count
		switch (r >> 24) % 16 {
		case 0, 1, 2, 3, 4:
			m[key(n)] = i
		case 5:
			m[key(n)] += i
		case 6, 7, 8:
			delete(m, key(n))
		case 9:
			mix(uint64(len(m)))
		case 10:
			if r>>40&4095 == 0 {
				clear(m)
			} else if nan != nil && r>>40&63 == 1 {
				m[nan()] = i
			} else {
				_, ok := m[key(n)]
				mixFound(0, ok)
			}
		case 11:
			if r>>40&1023 == 0 && count == keys {
				iterate(m, key, number, i)
			}
		default:
			v, ok := m[key(n)]
			mixFound(v, ok)
		}
		if i%100000 == 0 {
			fmt.Printf("%s %d %016x\n", name, i, digest)
		}
	}
}

type big [40]uint32

func main() {
	ops, err := strconv.ParseUint(os.Args[1], 0, 64)
	if err != nil {
		panic(err)
	}
	run("uint64", keys, ops, func(n uint64) uint64 { return n * 0x9e3779b97f4a7c15 },
		func(k uint64) uint64 { return k * 0xf1de83e19937733d }, nil)
	run("uint32", keys, ops, func(n uint64) uint32 { return uint32(n) * 2654435761 },
		func(k uint32) uint64 { return uint64(k * 244002641) }, nil)
	run("string", keys, ops, func(n uint64) string {
		return "abcdefghijklmnopqrstuvwxyzabcdefghij"[:n%32] + "|" + strconv.FormatUint(n, 10)
	}, func(k string) uint64 {
		for i := range k {
			if k[i] == '|' {
				n, _ := strconv.ParseUint(k[i+1:], 10, 64)
				return n
			}
		}
		panic(k)
	}, nil)
	run("float64", keys, ops, func(n uint64) float64 {
		if n == 0 {
			return math.Copysign(0, -1)
		}
		return float64(n) / 4
	}, func(k float64) uint64 { return uint64(k * 4) }, math.NaN)
	run("struct", keys, ops, func(n uint64) [3]uint64 { return [3]uint64{n, n * 3, 7} },
		func(k [3]uint64) uint64 { return k[0] }, nil)
	run("big", keys, ops, func(n uint64) (k big) { k[0], k[39] = uint32(n), ^uint32(n); return },
		func(k big) uint64 { return uint64(k[0]) }, nil)
	run("uint8", 256, ops, func(n uint64) uint8 { return uint8(n) }, func(k uint8) uint64 { return uint64(k) }, nil)
	run("float32", keys, ops, func(n uint64) float32 { return float32(n) / 4 },
		func(k float32) uint64 { return uint64(k * 4) }, func() float32 { return float32(math.NaN()) })
}
