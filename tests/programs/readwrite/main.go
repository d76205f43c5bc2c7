// The plain race of a reader and a writer, as tight as it gets.
//
// truth: cause=race messages="concurrent map read and map write"
// truth: map="map[int]int" owner="main.main.m" shape=loop racers=2 minimum=1.19 locking=none
package main

import (
	"os"
	"time"
)

func writer(m map[int]int) {
	for i := 0; ; i++ {
		m[i%100] = i // racer: assign
	}
}

func reader(m map[int]int) {
	sum := 0
	for i := 0; ; i++ {
		sum += m[i%100] // racer: read
	}
}

func main() {
	time.AfterFunc(10*time.Second, func() { os.Exit(0) })
	m := make(map[int]int)
	println("map", m)
	go writer(m)
	reader(m)
}
