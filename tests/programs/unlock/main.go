// A mutex is unlocked twice.
//
// truth: cause=other what="unlock of an unlocked mutex" messages="sync: unlock of unlocked mutex" minimum=1.19
package main

import "sync"

type cache struct {
	mu    sync.Mutex
	items map[string]int
}

func (c *cache) set(key string, value int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.items[key] = value
	if value < 0 {
		c.mu.Unlock()
	}
}

func main() {
	c := &cache{items: make(map[string]int)}
	c.set("one", 1)
	c.set("minus one", -1)
}
