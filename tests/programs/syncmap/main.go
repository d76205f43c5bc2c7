// sync.Map, read and written from all sides as it is meant to be.
//
// truth: cause=none minimum=1.19
package main

import (
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

func main() {
	var m sync.Map
	for i := 0; i < 3; i++ {
		go func(worker int) {
			for n := 0; ; n++ {
				m.Store(n%100, worker)
				m.Load((n + 50) % 100)
				if n%10 == 0 {
					m.Delete(n % 100)
				}
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
