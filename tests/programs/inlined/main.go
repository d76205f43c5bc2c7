// The write is in a method so small that it is inlined, through another one, into both goroutines: no
// frame of its own is on either stack.
//
// truth: cause=race messages="concurrent map writes"
// truth: map="map[int]int" owner="main.(*counters).n" shape=loop racers=2 minimum=1.19 locking=none
package main

import (
	"os"
	"time"
)

type counters struct {
	n map[int]int
}

func (c *counters) inc(key int) {
	c.n[key]++ // racer: assign
}

func (c *counters) hit(status int) {
	c.inc(status % 100)
}

func requests(c *counters) {
	for i := 0; ; i++ {
		c.hit(i)
	}
}

func retries(c *counters) {
	for i := 0; ; i++ {
		c.inc(i % 100)
	}
}

func main() {
	time.AfterFunc(10*time.Second, func() { os.Exit(0) })
	c := &counters{n: make(map[int]int)}
	println("map", c.n)
	go requests(c)
	retries(c)
}
