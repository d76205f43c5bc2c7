// Keys and values of more than 128 bytes: the map holds pointers to them.
//
// truth: cause=race messages="concurrent map writes"|"concurrent map read and map write"
// truth: map="map[main.key]main.record" owner="main.(*archive).records" shape=loop racers=2 minimum=1.19 locking=none
package main

import (
	"os"
	"time"
)

type key struct {
	tenant [17]uint64
	serial uint64
}

type record struct {
	serial uint64
	text   [200]byte
}

type archive struct {
	records map[key]record
}

func (a *archive) put(serial uint64) {
	a.records[key{serial: serial}] = record{serial: serial} // racer: assign
}

func (a *archive) get(serial uint64) uint64 {
	return a.records[key{serial: serial}].serial // racer: read
}

func main() {
	time.AfterFunc(10*time.Second, func() { os.Exit(0) })
	a := &archive{records: make(map[key]record)}
	println("map", a.records)
	go func() {
		for serial := uint64(0); ; serial++ {
			a.put(serial % 300)
		}
	}()
	for serial := uint64(0); ; serial++ {
		a.get(serial % 300)
	}
}
