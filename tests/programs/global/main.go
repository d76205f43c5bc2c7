// A registry in a package variable, filled by whoever comes by.
//
// truth: cause=race messages="concurrent map read and map write"|"concurrent map writes"
// truth: map="map[string]func(int) int" owner="main.handlers" shape=loop racers=2 minimum=1.19 locking=none
package main

import (
	"os"
	"strconv"
	"time"
)

var handlers = map[string]func(int) int{
	"double": func(n int) int { return 2 * n },
}

func register(name string, handler func(int) int) {
	handlers[name] = handler // racer: assign
}

func call(name string, n int) int {
	if handler := handlers[name]; handler != nil { // racer: read
		return handler(n)
	}
	return 0
}

func main() {
	time.AfterFunc(10*time.Second, func() { os.Exit(0) })
	println("map", handlers)
	go func() {
		for i := 0; ; i++ {
			i := i
			register("add"+strconv.Itoa(i%50), func(n int) int { return n + i })
		}
	}()
	for i := 0; ; i++ {
		call("add"+strconv.Itoa(i%50), i)
	}
}
