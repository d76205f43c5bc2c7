// Goroutines share a sync.Map, which up to Go 1.23 keeps a map that it writes under a lock of its own.
package main

import (
	"sync"
	"time"
)

func main() {
	var (
		wg sync.WaitGroup
		m  sync.Map
	)
	until := time.Now().Add(time.Second)
	for i := 0; i < 4; i++ {
		wg.Add(1)
		go func(i int) {
			defer wg.Done()
			for k := 0; time.Now().Before(until); k++ {
				m.Store(k&255, i)
				m.Load((k + 1) & 255)
				m.Delete((k + 7) & 255)
				m.Range(func(any, any) bool { return true })
				time.Sleep(50 * time.Microsecond)
			}
		}(i)
	}
	wg.Wait()
}
