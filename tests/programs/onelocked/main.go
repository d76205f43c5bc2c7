// All writes hold the lock, but for the one in the cleanup.
//
// truth: cause=race messages="concurrent map writes"
// truth: map="map[uint64]*main.connection" owner="main.(*hub).open" shape=sparse racers=2 minimum=1.19 locking="one side" locks="main.(*hub).mu"
package main

import (
	"os"
	"sync"
	"time"
)

type connection struct {
	id    uint64
	bytes [64]byte
}

type hub struct {
	mu   sync.Mutex
	open map[uint64]*connection
}

func (h *hub) accept(id uint64) {
	c := &connection{id: id}
	h.mu.Lock()
	h.open[id] = c // racer: assign
	h.mu.Unlock()
}

func (h *hub) sweep(from uint64) {
	for id := from; id < from+64; id++ {
		delete(h.open, id) // racer: delete
	}
}

func main() {
	time.AfterFunc(10*time.Second, func() { os.Exit(0) })
	h := &hub{open: make(map[uint64]*connection)}
	println("map", h.open)
	go func() {
		for id := uint64(0); ; id += 64 {
			h.sweep(id % 4096)
			time.Sleep(time.Microsecond)
		}
	}()
	for id := uint64(0); ; id++ {
		h.accept(id % 4096)
	}
}
