// A finalizer takes its object out of an index: it runs in the runtime's own goroutine, at any time.
//
// truth: cause=race messages="concurrent map writes"
// truth: map="map[uintptr]string" owner="main.index" shape=sparse racers=2 minimum=1.19 locking=none
package main

import (
	"os"
	"runtime"
	"time"
)

type blob struct {
	id   uintptr
	data [256]byte
}

var index = make(map[uintptr]string)

func release(b *blob) {
	delete(index, b.id) // racer: delete
}

func acquire(id uintptr) *blob {
	b := &blob{id: id}
	index[id] = "in use" // racer: assign
	runtime.SetFinalizer(b, release)
	return b
}

func main() {
	time.AfterFunc(20*time.Second, func() { os.Exit(0) })
	println("map", index)
	var last *blob
	for id := uintptr(1); ; id++ {
		last = acquire(id)
	}
	runtime.KeepAlive(last)
}
