// Leases expire by time.AfterFunc: each callback is a goroutine that lives for a microsecond, and is
// gone by the time anybody looks.
//
// truth: cause=race messages="concurrent map writes"
// truth: map="map[int]*time.Timer" owner="main.(*leases).timers" shape=sparse racers=many minimum=1.19 locking=none
package main

import (
	"os"
	"time"
)

type leases struct {
	timers map[int]*time.Timer
}

func (l *leases) expire(id int) {
	delete(l.timers, id) // racer: delete
}

func (l *leases) grant(id int) {
	l.timers[id] = time.AfterFunc(100*time.Microsecond, func() { l.expire(id) }) // racer: assign
}

func main() {
	time.AfterFunc(10*time.Second, func() { os.Exit(0) })
	l := &leases{timers: make(map[int]*time.Timer)}
	println("map", l.timers)
	for id := 0; ; id++ {
		l.grant(id)
	}
}
