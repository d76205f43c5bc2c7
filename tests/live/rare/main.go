// A race that shows once in half an hour: two goroutines write one map without a lock, each some fifty times a second.
package main

import (
	"fmt"
	"time"
)

func main() {
	hits := make(map[int]int)
	for worker := 0; worker < 2; worker++ {
		go func(worker int) {
			for n := 0; ; n++ {
				time.Sleep(time.Duration(15+n*7%11) * time.Millisecond)
				hits[worker*16+n%16] = n // racer: assign
			}
		}(worker)
	}
	fmt.Println("ready")
	time.Sleep(time.Minute)
}
