// Keys are floating point numbers, a histogram's bounds.
//
// truth: cause=race messages="concurrent map writes"
// truth: map="map[float64]uint64" owner="main.(*histogram).buckets" shape=loop racers=2 minimum=1.19 locking=none
package main

import (
	"math"
	"os"
	"time"
)

type histogram struct {
	buckets map[float64]uint64
}

func (h *histogram) observe(x float64) {
	h.buckets[math.Floor(x*4)/4]++ // racer: assign
}

func main() {
	time.AfterFunc(10*time.Second, func() { os.Exit(0) })
	h := &histogram{buckets: make(map[float64]uint64)}
	println("map", h.buckets)
	go func() {
		for i := 0; ; i++ {
			h.observe(math.Sqrt(float64(i % 1000)))
		}
	}()
	for i := 0; ; i++ {
		h.observe(-math.Sqrt(float64(i % 1000)))
	}
}
