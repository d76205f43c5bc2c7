// The plain race of a loop over a map and a writer.
//
// truth: cause=race messages="concurrent map iteration and map write"
// truth: map="map[string]int" owner="main.main.m" shape=loop racers=2 minimum=1.19 locking=none
package main

import (
	"os"
	"strconv"
	"time"
)

func writer(m map[string]int) {
	for i := 0; ; i++ {
		m[strconv.Itoa(i%100)] = i // racer: assign
	}
}

func walker(m map[string]int) {
	longest := 0
	for {
		for key := range m { // racer: iterate
			if len(key) > longest {
				longest = len(key)
			}
		}
	}
}

func main() {
	time.AfterFunc(10*time.Second, func() { os.Exit(0) })
	m := make(map[string]int)
	println("map", m)
	go writer(m)
	walker(m)
}
