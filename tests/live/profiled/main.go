// With an argument: leaves a CPU profile of map clears there, for a build with -pgo. Without: one goroutine
// clears a map while another one writes it.
package main

import (
	"os"
	"runtime/pprof"
	"time"
)

var m = map[string]int{}

func wipe() {
	for k := range m { // what the compiler knows as a clear
		delete(m, k)
	}
}

func profile(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return err
	}
	for i := 0; i < 30e6; i++ { // a second or so of processor time: a hundred samples
		m["key"] = i
		wipe()
	}
	pprof.StopCPUProfile()
	return f.Close()
}

func main() {
	if len(os.Args) > 1 {
		if err := profile(os.Args[1]); err != nil {
			panic(err)
		}
		return
	}
	go func() {
		for {
			wipe()
		}
	}()
	for start := time.Now(); time.Since(start) < 10*time.Second; {
		m["key"]++
	}
}
