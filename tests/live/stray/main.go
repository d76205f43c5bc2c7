// Two goroutines write a map in turn, with a lock, and a stray write changes the map's writing flag: Go prints the
// message of a race. Without arguments the flag is set once, long after the other goroutine's write has ended; with
// "clear" or "set" that is done to it all the time, until it is within a write.
package main

import (
	"os"
	"runtime"
	"strings"
	"sync"
	"unsafe"
)

// Where a map's header keeps the flag: Go 1.24's internal/runtime/maps.Map has a byte of its own at 34,
// the bucket map before it (and with GOEXPERIMENT=noswissmap) bit 4 of the byte at 8.
func flag() (offset uintptr, value byte) {
	version := runtime.Version()
	for _, old := range []string{"go1.19", "go1.20", "go1.21", "go1.22", "go1.23"} {
		if strings.HasPrefix(version, old) {
			return 8, 4
		}
	}
	if strings.Contains(version, "noswissmap") {
		return 8, 4
	}
	return 34, 1
}

func set(header unsafe.Pointer) {
	offset, value := flag()
	*(*byte)(unsafe.Add(header, offset)) |= value
}

//go:noinline
func clear(header unsafe.Pointer) {
	offset, value := flag()
	*(*byte)(unsafe.Add(header, offset)) &^= value
}

func main() {
	m := map[string]int{"one": 1}
	header := *(*unsafe.Pointer)(unsafe.Pointer(&m))
	var mu sync.Mutex
	wrote, stop := make(chan bool), make(chan bool)
	always := len(os.Args) > 1
	go func() {
		for more := true; more; more = always {
			mu.Lock()
			m["two"] = 2
			mu.Unlock()
		}
		wrote <- true
		<-stop
	}()
	if always {
		go func() {
			for os.Args[1] == "set" {
				set(header)
			}
			for {
				clear(header)
			}
		}()
		for {
			mu.Lock()
			m["three"] = 3
			mu.Unlock()
		}
	}
	<-wrote
	mu.Lock()
	set(header)
	m["three"] = 3
	mu.Unlock()
	close(stop)
}
