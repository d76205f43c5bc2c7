//go:build go1.21

// The builtin clear against a writer.
//
// truth: cause=race messages="concurrent map writes"
// truth: map="map[string][]uint8" owner="main.(*buffer).parts" shape=sparse racers=2 minimum=1.21 locking=none
package main

import (
	"os"
	"strconv"
	"time"
)

type buffer struct {
	parts map[string][]byte
}

func (b *buffer) add(name string, part []byte) {
	b.parts[name] = part // racer: assign
}

func (b *buffer) flush() int {
	n := len(b.parts)
	clear(b.parts) // racer: clear
	return n
}

func main() {
	time.AfterFunc(10*time.Second, func() { os.Exit(0) })
	b := &buffer{parts: make(map[string][]byte)}
	println("map", b.parts)
	go func() {
		for {
			b.flush()
		}
	}()
	for i := 0; ; i++ {
		b.add("part"+strconv.Itoa(i%200), []byte{byte(i)})
	}
}
