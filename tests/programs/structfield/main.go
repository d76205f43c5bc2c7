// A field of a struct behind a pointer: one method writes it, one asks with the comma.
//
// truth: cause=race messages="concurrent map read and map write"
// truth: map="map[uint32]string" owner="main.(*directory).names" shape=loop racers=2 minimum=1.19 locking=none
package main

import (
	"os"
	"time"
)

type directory struct {
	title string
	size  int
	names map[uint32]string
	dirty bool
}

func (d *directory) rename(id uint32, name string) {
	d.names[id] = name // racer: assign
	d.dirty = true
}

func (d *directory) known(id uint32) bool {
	_, ok := d.names[id] // racer: read
	return ok
}

func main() {
	time.AfterFunc(10*time.Second, func() { os.Exit(0) })
	d := &directory{title: "people", names: make(map[uint32]string)}
	println("map", d.names)
	go func() {
		for id := uint32(0); ; id++ {
			d.rename(id%5000, "somebody")
		}
	}()
	for id := uint32(0); ; id++ {
		if d.known(id % 5000) {
			d.size++
		}
	}
}
