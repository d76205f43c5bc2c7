// Double-checked: the first look is without the lock, "for speed".
//
// truth: cause=race messages="concurrent map read and map write"
// truth: map="map[string]*main.limiter" owner="main.(*limits).byClient" shape=sparse racers=many minimum=1.19 locking="one side" locks="main.(*limits).mu"
package main

import (
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

type limiter struct {
	used int64
}

type limits struct {
	mu       sync.Mutex
	byClient map[string]*limiter
}

func (l *limits) of(client string) *limiter {
	if found, ok := l.byClient[client]; ok { // racer: read
		return found
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	found := l.byClient[client]
	if found == nil {
		found = new(limiter)
		l.byClient[client] = found // racer: assign
	}
	return found
}

func main() {
	time.AfterFunc(10*time.Second, func() { os.Exit(0) })
	l := &limits{byClient: make(map[string]*limiter)}
	println("map", l.byClient)
	for i := 0; i < 3; i++ {
		go func(first int) {
			for n := first; ; n++ {
				atomic.AddInt64(&l.of("10.0.0."+strconv.Itoa(n)).used, 1)
			}
		}(i << 20)
	}
	select {}
}
