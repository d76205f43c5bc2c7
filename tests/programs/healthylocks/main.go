// Two goroutines write one map under one lock, for as long as the process is let live.
//
// truth: cause=none map="map[string]int" owner="main.(*counter).counts" minimum=1.19
package main

import (
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"time"
)

type counter struct {
	mu     sync.Mutex
	counts map[string]int
}

func (c *counter) add(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts[name]++
}

func main() {
	c := &counter{counts: make(map[string]int)}
	for i := 0; i < 2; i++ {
		go func(worker int) {
			for n := 0; ; n++ {
				c.add("worker-" + strconv.Itoa(worker) + "-" + strconv.Itoa(n%100))
				if n%100 == 0 {
					time.Sleep(time.Millisecond)
				}
			}
		}(i)
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	fmt.Println("ready")
	<-stop
}
