// A value receiver copies the mutex, but the map in the copy is the same one: each call locks a lock of its own.
//
// truth: cause=race messages="concurrent map writes"
// truth: map="map[string]int" shape=sparse racers=2 minimum=1.19 locking=different locks="main.(*stats).mu"
package main

import (
	"os"
	"strconv"
	"sync"
	"time"
)

type stats struct {
	mu     sync.Mutex
	counts map[string]int
}

//go:noinline
func (s stats) add(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts[name]++ // racer: assign
}

func main() {
	time.AfterFunc(10*time.Second, func() { os.Exit(0) })
	s := stats{counts: make(map[string]int)}
	println("map", s.counts)
	for i := 0; i < 2; i++ {
		go func(worker int) {
			for n := 0; ; n++ {
				s.add("worker-" + strconv.Itoa(worker) + "-" + strconv.Itoa(n%20))
			}
		}(i)
	}
	select {}
}
