// Two sweepers delete keys, nearly all of which are not there: that sets the flag all the same.
//
// truth: cause=race messages="concurrent map writes"
// truth: map="map[int32]int32" owner="main.main.m" shape=loop racers=2 minimum=1.19 locking=none
package main

import (
	"os"
	"time"
)

func sweepUp(m map[int32]int32) {
	for i := int32(0); ; i++ {
		delete(m, i&1023) // racer: delete
	}
}

func sweepDown(m map[int32]int32) {
	for i := int32(0); ; i-- {
		delete(m, i&1023) // racer: delete
	}
}

func main() {
	time.AfterFunc(10*time.Second, func() { os.Exit(0) })
	m := make(map[int32]int32)
	for i := int32(0); i < 100; i++ {
		m[i*70] = i
	}
	println("map", m)
	go sweepUp(m)
	sweepDown(m)
}
