// A map goes from hand to hand: by an unbuffered and a buffered channel, by an atomic turn, and to goroutines
// that are started and waited for. Never two at once.
package main

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

func player(table chan map[int]int, id int) {
	for ball := range table {
		ball[id]++
		table <- ball
	}
}

var turn int32

func spinner(m map[int]int, id int32) {
	for i := 0; ; i++ {
		for atomic.LoadInt32(&turn) != id {
			runtime.Gosched()
		}
		m[i&63]++
		atomic.StoreInt32(&turn, 1-id)
		time.Sleep(50 * time.Microsecond)
	}
}

func main() {
	until := time.Now().Add(time.Second)
	table, box := make(chan map[int]int), make(chan map[int]int, 1)
	for id := 0; id < 3; id++ {
		go player(table, id)
		go player(box, id)
	}
	table <- make(map[int]int)
	box <- make(map[int]int)
	m := make(map[int]int)
	go spinner(m, 0)
	go spinner(m, 1)
	for n := make(map[int]int); time.Now().Before(until); time.Sleep(100 * time.Microsecond) {
		n[0]++
		var wg sync.WaitGroup
		for i := 0; i < 2; i++ {
			wg.Add(1)
			go func() {
				defer wg.Done()
				// a map of its own, which may lie where another one's was
				own := make(map[int]int)
				for k := 0; k < 4; k++ {
					own[k]++
				}
			}()
		}
		wg.Wait()
		wg.Add(1)
		go func() {
			defer wg.Done()
			n[1]++
		}()
		wg.Wait()
	}
}
