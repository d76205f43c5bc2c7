// One goroutine clears a map while another one writes it. The profile beside (default.pgo) makes the compiler of Go 1.26 and
// later inline (*Map).Clear into runtime.mapclear.
package main

import "time"

var m = map[string]int{}

func wipe() {
	for k := range m { // what the compiler knows as a clear
		delete(m, k)
	}
}

func main() {
	go func() {
		for {
			wipe()
		}
	}()
	for start := time.Now(); time.Since(start) < 10*time.Second; {
		m["key"]++
	}
}
