// A cache counts its hits under RLock: readers are many at once, and now each of them writes.
//
// truth: cause=race messages="concurrent map writes"
// truth: map="map[string]int" owner="main.(*cache).hits" shape=sparse racers=many minimum=1.19 locking=read locks="main.(*cache).mu"
package main

import (
	"fmt"
	"os"
	"sync"
	"time"
)

type cache struct {
	mu     sync.RWMutex
	values map[string]string
	hits   map[string]int
}

func (c *cache) get(key string) string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	value, ok := c.values[key]
	if ok {
		c.hits[key]++ // racer: assign
	}
	return value
}

func (c *cache) put(key, value string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.values[key] = value
}

func main() {
	time.AfterFunc(10*time.Second, func() { os.Exit(0) })
	c := &cache{values: make(map[string]string), hits: make(map[string]int)}
	for i := 0; i < 50; i++ {
		c.put(fmt.Sprint("key", i), "value")
	}
	println("map", c.hits)
	for i := 0; i < 3; i++ {
		go func() {
			for n := 0; ; n++ {
				c.get(fmt.Sprint("key", n%60))
			}
		}()
	}
	select {}
}
