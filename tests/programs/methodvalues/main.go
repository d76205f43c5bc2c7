// Method values travel as plain functions: nothing at the call says that both write one map.
//
// truth: cause=race messages="concurrent map writes"
// truth: map="map[main.event]int" owner="main.(*audit).counts" shape=loop racers=2 minimum=1.19 locking=none
package main

import (
	"os"
	"time"
)

type event string

type audit struct {
	counts map[event]int
}

func (a *audit) created(id int) {
	a.counts["created"] = id // racer: assign
}

func (a *audit) removed(id int) {
	a.counts["removed"] = id // racer: assign
}

type source struct {
	listeners []func(int)
}

func (s *source) emit() {
	for id := 0; ; id++ {
		for _, listener := range s.listeners {
			listener(id)
		}
	}
}

func main() {
	time.AfterFunc(10*time.Second, func() { os.Exit(0) })
	a := &audit{counts: make(map[event]int)}
	println("map", a.counts)
	first, second := &source{}, &source{}
	first.listeners = append(first.listeners, a.created)
	second.listeners = append(second.listeners, a.removed)
	go first.emit()
	second.emit()
}
