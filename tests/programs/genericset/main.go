// A generic set over two key types, used by two goroutines each; only the set of ints is shared.
//
// truth: cause=race messages="concurrent map writes"
// truth: map="main.Set[int]" owner="main.main.shared" shape=loop racers=2 minimum=1.19 locking=none
package main

import (
	"os"
	"time"
)

type Set[T comparable] map[T]struct{}

func (s Set[T]) Add(t T) {
	s[t] = struct{}{} // racer: assign
}

func (s Set[T]) Remove(t T) {
	delete(s, t) // racer: delete
}

func adder(shared Set[int]) {
	own := make(Set[string])
	for i := 0; ; i++ {
		own.Add("adder")
		shared.Add(i % 1000)
	}
}

func remover(shared Set[int]) {
	own := make(Set[string])
	for i := 0; ; i++ {
		own.Remove("remover")
		shared.Remove(i % 1000)
	}
}

func main() {
	time.AfterFunc(10*time.Second, func() { os.Exit(0) })
	shared := make(Set[int])
	println("map", shared)
	go adder(shared)
	remover(shared)
}
