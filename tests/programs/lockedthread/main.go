// One side is locked to its thread, as code that calls C or a GPU is.
//
// truth: cause=race messages="concurrent map writes"|"concurrent map read and map write"
// truth: map="map[uint8]uint8" owner="main.main.palette" shape=loop racers=2 minimum=1.19 locking=none
package main

import (
	"os"
	"runtime"
	"time"
)

func render(palette map[uint8]uint8, ready chan<- bool) {
	runtime.LockOSThread()
	ready <- true
	for i := 0; ; i++ {
		palette[uint8(i)] = palette[uint8(i+1)] + 1 // racer: assign read
	}
}

func fade(palette map[uint8]uint8) {
	for i := 0; ; i++ {
		palette[uint8(i)] /= 2 // racer: read assign
	}
}

func main() {
	time.AfterFunc(10*time.Second, func() { os.Exit(0) })
	palette := make(map[uint8]uint8)
	println("map", palette)
	ready := make(chan bool)
	go render(palette, ready)
	<-ready
	fade(palette)
}
