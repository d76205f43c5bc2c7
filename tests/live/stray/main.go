// Two goroutines write a map in turn, with a lock; then a stray write sets the map's writing flag, and Go prints the
// message of a race. The other goroutine's write has ended long before.
package main

import (
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

func stray(header unsafe.Pointer) {
	offset, value := flag()
	*(*byte)(unsafe.Add(header, offset)) |= value
}

func main() {
	m := map[string]int{"one": 1}
	var mu sync.Mutex
	wrote, stop := make(chan bool), make(chan bool)
	go func() {
		mu.Lock()
		m["two"] = 2
		mu.Unlock()
		wrote <- true
		<-stop
	}()
	<-wrote
	mu.Lock()
	stray(*(*unsafe.Pointer)(unsafe.Pointer(&m)))
	m["three"] = 3
	mu.Unlock()
	close(stop)
}
