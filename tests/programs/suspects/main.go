// Two goroutines race; three more hold the same struct, and the map itself, but only ever look at its
// length: a tool that blames whoever holds the map blames one of those.
//
// truth: cause=race messages="concurrent map writes"
// truth: map="map[int]string" owner="main.(*board).slots" shape=sparse racers=2 minimum=1.19 locking=none
package main

import (
	"crypto/sha256"
	"os"
	"runtime"
	"strconv"
	"time"
)

type board struct {
	slots map[int]string
}

func (b *board) write(slot int) {
	text := "slot " + strconv.Itoa(slot)
	b.slots[slot] = text // racer: assign
}

func (b *board) wipe(slot int) {
	delete(b.slots, slot) // racer: delete
}

func watch(b *board, slots map[int]string) {
	for len(slots) < 1000000 {
		time.Sleep(50 * time.Microsecond)
	}
	runtime.KeepAlive(b)
}

func rest() {
	var sum [32]byte
	for i := 0; i < 20; i++ {
		sum = sha256.Sum256(sum[:])
	}
}

func main() {
	time.AfterFunc(10*time.Second, func() { os.Exit(0) })
	b := &board{slots: make(map[int]string)}
	println("map", b.slots)
	for i := 0; i < 3; i++ {
		go watch(b, b.slots)
	}
	go func() {
		for i := 0; ; i++ {
			b.write(i % 100)
			rest()
		}
	}()
	for i := 0; ; i++ {
		b.wipe(i % 100)
		rest()
	}
}
