// Two goroutines write one map by turns, half a millisecond and more apart: nothing orders them but the clock, and
// they do not crash.
package main

import "time"

var (
	start = time.Now()
	seen  = make(map[int]int)
)

// inSlot waits for the middle of one of its milliseconds, the even or the odd ones.
func inSlot(odd time.Duration) {
	for {
		t := time.Since(start) % (2 * time.Millisecond)
		if t /= 100 * time.Microsecond; t == odd*10+3 || t == odd*10+4 {
			return
		}
		time.Sleep(50 * time.Microsecond)
	}
}

func even() {
	for i := 0; ; i += 2 {
		inSlot(0)
		seen[i&1023]++ // first
		time.Sleep(200 * time.Microsecond)
	}
}

func odd() {
	for i := 1; ; i += 2 {
		inSlot(1)
		seen[i&1023]++ // second
		time.Sleep(200 * time.Microsecond)
	}
}

func main() {
	go even()
	go odd()
	time.Sleep(3 * time.Second)
}
