// A race that shows once in twenty minutes on a busy machine: two goroutines write one map without a lock, each some twenty times
// a second and each in a rhythm of its own, so that their writes of some ten nanoseconds seldom meet.
package main

import (
	"fmt"
	"time"
)

func main() {
	hits := make(map[int]int)
	for worker := 0; worker < 2; worker++ {
		go func(worker int) {
			for n := 1; ; n++ {
				time.Sleep(time.Duration(30000+n*(27919+worker*2090)%40000) * time.Microsecond)
				hits[worker*16+n%16] = n // racer: assign
			}
		}(worker)
	}
	fmt.Println("ready")
	time.Sleep(time.Minute)
}
