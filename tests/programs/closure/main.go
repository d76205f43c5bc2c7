// Two closures share a local variable that is assigned again later, so that they hold it by reference:
// the map is two pointers away from their frames.
//
// truth: cause=race messages="concurrent map writes"
// truth: map="map[int64]bool" owner="main.main.seen" shape=loop racers=2 minimum=1.19 locking=none
package main

import (
	"os"
	"time"
)

func forever(step func(i int64)) {
	for i := int64(0); ; i++ {
		step(i)
	}
}

func main() {
	time.AfterFunc(10*time.Second, func() { os.Exit(0) })
	var seen map[int64]bool
	mark := func(i int64) {
		seen[i%1000] = true // racer: assign
	}
	unmark := func(i int64) {
		delete(seen, i%1000) // racer: delete
	}
	seen = make(map[int64]bool)
	println("map", seen)
	go forever(mark)
	forever(unmark)
}
