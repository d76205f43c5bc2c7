// The outer map is guarded, the inner ones that it hands out are not.
//
// truth: cause=race messages="concurrent map writes"
// truth: map="map[string]int" shape=sparse racers=2 minimum=1.19 locking=none
package main

import (
	"os"
	"strconv"
	"sync"
	"time"
)

type tally struct {
	mu     sync.Mutex
	byHost map[string]map[string]int
}

func (t *tally) host(name string) map[string]int {
	t.mu.Lock()
	defer t.mu.Unlock()
	inner := t.byHost[name]
	if inner == nil {
		inner = make(map[string]int)
		t.byHost[name] = inner
		println("map", inner)
	}
	return inner
}

func (t *tally) hit(path string) {
	t.host("www.example")[path]++ // racer: assign
}

func (t *tally) drop(path string) {
	delete(t.host("www.example"), path) // racer: delete
}

func main() {
	time.AfterFunc(10*time.Second, func() { os.Exit(0) })
	t := &tally{byHost: make(map[string]map[string]int)}
	go func() {
		for i := 0; ; i++ {
			t.hit("/page/" + strconv.Itoa(i%100))
		}
	}()
	for i := 0; ; i++ {
		t.drop("/page/" + strconv.Itoa(i%100))
	}
}
