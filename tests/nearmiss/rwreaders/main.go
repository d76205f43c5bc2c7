// Many read a map under RLock, one writes it under Lock; a second map is read by all and written by none.
package main

import (
	"sync"
	"time"
)

var (
	mu     sync.RWMutex
	routes = map[string]int{"a": 1}
	fixed  = map[int]int{1: 1, 2: 2}
)

func reader(until time.Time) {
	for sum := 0; time.Now().Before(until); {
		mu.RLock()
		sum += routes["a"]
		for _, n := range routes {
			sum += n
		}
		mu.RUnlock()
		for k := range fixed {
			sum += fixed[k]
		}
		time.Sleep(50 * time.Microsecond)
	}
}

func main() {
	var wg sync.WaitGroup
	until := time.Now().Add(time.Second)
	for i := 0; i < 4; i++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			reader(until)
		}()
	}
	for i := 0; time.Now().Before(until); i++ {
		mu.Lock()
		routes["a"] = i
		mu.Unlock()
		time.Sleep(200 * time.Microsecond)
	}
	wg.Wait()
}
