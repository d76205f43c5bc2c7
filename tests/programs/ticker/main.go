// A reporter walks the counters every now and then while requests go on counting.
//
// truth: cause=race messages="concurrent map iteration and map write"
// truth: map="map[string]uint64" owner="main.(*metrics).counters" shape=sparse racers=2 minimum=1.19 locking=none
package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"time"
)

type metrics struct {
	counters map[string]uint64
}

func (m *metrics) report() uint64 {
	var sum uint64
	for _, n := range m.counters { // racer: iterate
		sum += n
	}
	return sum
}

func (m *metrics) observe(endpoint string) {
	m.counters[endpoint]++ // racer: assign
}

func main() {
	time.AfterFunc(10*time.Second, func() { os.Exit(0) })
	m := &metrics{counters: make(map[string]uint64)}
	for i := 0; i < 300; i++ {
		m.observe(fmt.Sprintf("GET /v1/items/%d", i))
	}
	println("map", m.counters)
	go func() {
		var work [32]byte
		for i := 0; ; i++ {
			work = sha256.Sum256(work[:])
			m.observe(fmt.Sprintf("GET /v1/items/%d", i%300))
		}
	}()
	for range time.Tick(200 * time.Microsecond) {
		m.report()
	}
}
