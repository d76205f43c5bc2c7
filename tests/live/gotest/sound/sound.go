// Package sound counts in a map with a lock.
package sound

import "sync"

// Counts is a map that goroutines share.
type Counts struct {
	mu   sync.Mutex
	byID map[int]int
}

// Add counts id.
func (c *Counts) Add(id int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byID == nil {
		c.byID = make(map[int]int)
	}
	c.byID[id]++
}
