// Goroutines write one map in short turns under a mutex, which main waits for: a struct's and a global's.
package main

import (
	"sync"
	"time"
)

type counter struct {
	mu    sync.Mutex
	count map[string]int
}

func (c *counter) add(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count[key]++
}

var (
	mu    sync.Mutex
	total = make(map[int]int)
)

func work(c *counter, until time.Time, key string) {
	for i := 0; time.Now().Before(until); i++ {
		c.add(key)
		mu.Lock()
		total[i&63]++
		if i&7 == 0 {
			delete(total, i&63)
		}
		mu.Unlock()
		time.Sleep(100 * time.Microsecond)
	}
}

func main() {
	var wg sync.WaitGroup
	c := &counter{count: make(map[string]int)}
	until := time.Now().Add(time.Second)
	for _, key := range []string{"a", "b", "c", "d"} {
		wg.Add(1)
		go func(key string) {
			defer wg.Done()
			work(c, until, key)
		}(key)
	}
	wg.Wait()
	c.count["end"]++
	total[0]++
}
