// Each side holds a lock, but not the same one.
//
// truth: cause=race messages="concurrent map writes"|"concurrent map read and map write"
// truth: map="map[string]time.Time" owner="main.(*leader).seen" shape=sparse racers=2 minimum=1.19 locking=different locks="main.(*leader).readMu"|"main.(*leader).writeMu"
package main

import (
	"os"
	"strconv"
	"sync"
	"time"
)

type leader struct {
	readMu  sync.Mutex
	writeMu sync.Mutex
	seen    map[string]time.Time
}

func (l *leader) beat(node string) {
	l.writeMu.Lock()
	defer l.writeMu.Unlock()
	l.seen[node] = time.Now() // racer: assign
}

func (l *leader) alive(node string) bool {
	l.readMu.Lock()
	defer l.readMu.Unlock()
	return time.Since(l.seen[node]) < time.Second // racer: read
}

func main() {
	time.AfterFunc(10*time.Second, func() { os.Exit(0) })
	l := &leader{seen: make(map[string]time.Time)}
	println("map", l.seen)
	go func() {
		for i := 0; ; i++ {
			l.beat("node-" + strconv.Itoa(i%30))
		}
	}()
	for i := 0; ; i++ {
		l.alive("node-" + strconv.Itoa(i%30))
	}
}
