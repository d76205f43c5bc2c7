// Each goroutine writes maps of its own only, one after the other; the collector is so busy that one of them often gets the
// memory of another one's last map.
package main

import (
	"runtime"
	"time"
)

var sink [8]map[int]*int

func worker(id int) {
	for i := 0; ; i++ {
		m := make(map[int]*int)
		sink[id] = m
		m[i&3] = new(int)
		sink[id] = nil
		time.Sleep(200 * time.Microsecond)
	}
}

func main() {
	for id := range sink {
		go worker(id)
	}
	for until := time.Now().Add(time.Second); time.Now().Before(until); {
		runtime.GC()
	}
}
