// The windows of shared.c on Go's sync.Map: PEER THREADS WRITES-IN-100. The name is PEER_NAME of the
// environment.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

const (
	keys   = 1 << 18
	rounds = 8
	window = 60 * time.Millisecond
)

func main() {
	threads, _ := strconv.Atoi(os.Args[1])
	writes, _ := strconv.Atoi(os.Args[2])
	runtime.GOMAXPROCS(threads)
	var m sync.Map
	for key := uint64(1); key <= keys; key++ {
		m.Store(key, key)
	}
	best := 0.0
	for round := 0; round < rounds; round++ {
		var stop atomic.Bool
		var total, sum atomic.Uint64
		var all sync.WaitGroup
		from := time.Now()
		for t := 0; t < threads; t++ {
			all.Add(1)
			go func(self uint64) {
				defer all.Done()
				x, n, read := self*1000003+12345+uint64(round), uint64(0), uint64(0)
				for ; !stop.Load(); n++ {
					x ^= x << 13
					x ^= x >> 7
					x ^= x << 17
					key, what := x%keys+1, int(x>>40)%200
					if what >= 2*writes {
						if v, ok := m.Load(key); ok {
							read += v.(uint64)
						}
					} else if what&1 != 0 {
						m.Store(key, x)
					} else {
						m.Delete(key)
					}
				}
				total.Add(n)
				sum.Add(read)
			}(uint64(t))
		}
		time.Sleep(window)
		stop.Store(true)
		all.Wait()
		if rate := float64(total.Load()) / time.Since(from).Seconds(); rate > best {
			best = rate
		}
	}
	fmt.Printf("%s,%d,%d,%.2f\n", os.Getenv("PEER_NAME"), threads, writes, best/1e6)
}
