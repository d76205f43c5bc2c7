// About 2 GB of live heap (or as many MB as its argument says): one map of 10 million entries, 10,000 small ones, and
// a tree of objects that holds the rest. At last two goroutines race on the large map.
package main

import (
	"encoding/binary"
	"math/rand"
	"os"
	"runtime/debug"
	"strconv"
)

type blob struct {
	left, right *blob
	name        string
	data        []byte
}

type account struct {
	id       int
	settings map[string]string
	history  []*blob
}

type database struct {
	index    map[uint64]uint64
	accounts []*account
	root     *blob
}

const (
	fullSize     = 2000 // MB
	largeEntries = 10000000
	smallMaps    = 10000
)

func random(r *rand.Rand, size int) []byte {
	data := make([]byte, size)
	for i := 0; i+8 <= size; i += 8 {
		binary.LittleEndian.PutUint64(data[i:], r.Uint64())
	}
	return data
}

func grow(r *rand.Rand, root *blob, bytes int) {
	for bytes > 0 {
		b := &blob{name: "blob-" + strconv.Itoa(bytes), data: random(r, 64<<uint(r.Intn(10)))}
		bytes -= len(b.data) + 128
		at := root
		for {
			side := &at.left
			if r.Intn(2) == 0 {
				side = &at.right
			}
			if *side == nil {
				*side = b
				break
			}
			at = *side
		}
	}
}

func (d *database) put(key, value uint64) {
	d.index[key] = value
}

func mix(x uint64) uint64 {
	x ^= x >> 31
	x *= 0x9e3779b97f4a7c15
	return x ^ x>>29
}

func write(d *database, from uint64) {
	for n := from; ; n++ {
		key := mix(n) % largeEntries
		d.put(key, n)
	}
}

func main() {
	size := fullSize
	if len(os.Args) > 1 {
		var err error
		if size, err = strconv.Atoi(os.Args[1]); err != nil {
			panic(err)
		}
	}
	// All that is made stays alive: collecting in between would only take time.
	debug.SetGCPercent(-1)
	debug.SetTraceback("crash")
	r := rand.New(rand.NewSource(1))
	entries := largeEntries / fullSize * size
	d := &database{index: make(map[uint64]uint64, entries), root: &blob{name: "root"}}
	for key := 0; key < entries; key++ {
		d.index[uint64(key)] = mix(uint64(key))
	}
	for id := 0; id < smallMaps; id++ {
		a := &account{id: id, settings: make(map[string]string)}
		for i := 0; i <= id%20; i++ {
			a.settings["setting-"+strconv.Itoa(i)] = strconv.Itoa(id)
		}
		d.accounts = append(d.accounts, a)
	}
	// The large map takes about a sixth, 30 to 40 bytes for each entry.
	grow(r, d.root, size*5/6<<20)

	go write(d, 1)
	write(d, 1<<40)
}
