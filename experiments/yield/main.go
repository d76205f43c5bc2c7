// The article's program with what it advises to make the crash more certain: a yield or a sleep behind
// each write. usage: yield gosched|sleep
package main

import (
	"os"
	"runtime"
	"sync"
	"time"
)

func main() {
	pause := runtime.Gosched
	if os.Args[1] == "sleep" {
		pause = func() { time.Sleep(1) }
	}
	m := make(map[int]int)
	var wg sync.WaitGroup
	for i := 0; i < 2; i++ {
		wg.Add(1)
		go func(id int) {
			defer wg.Done()
			for j := 0; j < 1000; j++ {
				m[id*1000+j] = j
				pause()
			}
		}(i)
	}
	wg.Wait()
}
