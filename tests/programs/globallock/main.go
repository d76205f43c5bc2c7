// The lock and the map are package variables. Whoever writes takes the lock in a helper, for the caller to
// give back; the report of what is there was written later, and does not.
//
// truth: cause=race messages="concurrent map iteration and map write"|"concurrent map read and map write"
// truth: map="map[string]int" owner="main.table" shape=sparse racers=2 minimum=1.19 locking="one side" locks="main.tableMu"
package main

import (
	"os"
	"strconv"
	"sync"
	"time"
)

var (
	tableMu sync.RWMutex
	table   = make(map[string]int)
)

//go:noinline
func begin() {
	tableMu.Lock()
}

//go:noinline
func end() {
	tableMu.Unlock()
}

func set(name string, value int) {
	begin()
	table[name] = value // racer: assign
	end()
}

func total() int {
	sum := 0
	for _, value := range table { // racer: iterate
		sum += value
	}
	return sum
}

func main() {
	time.AfterFunc(10*time.Second, func() { os.Exit(0) })
	println("map", table)
	go func() {
		for i := 0; ; i++ {
			set("row-"+strconv.Itoa(i%300), i)
		}
	}()
	for i := 0; ; i++ {
		if total() < 0 {
			println("impossible")
		}
	}
}
