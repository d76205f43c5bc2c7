// A scratch object goes back to its sync.Pool while a helper still counts in it: the next one to get it
// from the pool shares its map. The loop that deletes every key is one call that clears, or in Go 1.19 the loop
// that it looks like.
//
// truth: cause=race messages="concurrent map writes"|"concurrent map iteration and map write"|"concurrent map read and map write"
// truth: map="map[string]int" owner="main.(*scratch).words" shape=sparse racers=many minimum=1.19 locking=none
package main

import (
	"os"
	"strings"
	"sync"
	"time"
)

type scratch struct {
	words map[string]int
}

var scratches = sync.Pool{New: func() interface{} { return &scratch{words: make(map[string]int)} }}

func (s *scratch) reset() {
	for word := range s.words { // racer: clear iterate
		delete(s.words, word) // racer: delete
	}
}

func (s *scratch) count(text string) {
	for _, word := range strings.Fields(text) {
		s.words[word]++ // racer: assign
	}
}

func handle(text string) {
	s := scratches.Get().(*scratch)
	s.reset()
	done := make(chan struct{})
	go func() {
		s.count(text)
		close(done)
		s.count("and the total at last")
	}()
	<-done
	scratches.Put(s)
}

func main() {
	time.AfterFunc(10*time.Second, func() { os.Exit(0) })
	text := strings.Repeat("it was the best of times it was the worst of times ", 4)
	for i := 0; i < 2; i++ {
		go func() {
			for {
				handle(text)
			}
		}()
	}
	select {}
}
