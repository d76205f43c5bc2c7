// The writing flag changed by hand. Up to Go 1.23 it is bit 4 of the byte at 8 of the header, since 1.24 the byte at 34.
//
// usage: flag two|writing|cleared
//
//	two      set 0x02, which the article takes for the writing flag; one goroutine then writes
//	writing  set what is the writing flag; one goroutine then writes
//	cleared  two goroutines write, a third clears the flag all the time
package main

import (
	"os"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"unsafe"
)

// Where the flag's byte is in the header, and the flag in it.
func layout() (offset uintptr, writing byte) {
	for _, old := range []string{"go1.19", "go1.20", "go1.21", "go1.22", "go1.23"} {
		if strings.HasPrefix(runtime.Version(), old) {
			return 8, 4
		}
	}
	return 34, 1
}

func main() {
	m := make(map[int]int)
	m[0] = 0
	offset, writing := layout()
	flag := (*byte)(unsafe.Add(reflect.ValueOf(m).UnsafePointer(), offset))
	switch os.Args[1] {
	case "two":
		*flag |= 2
		m[1] = 1
	case "writing":
		*flag |= writing
		m[1] = 1
	case "cleared":
		go func() {
			for {
				*flag &^= writing
			}
		}()
		var wg sync.WaitGroup
		for i := 0; i < 2; i++ {
			wg.Add(1)
			go func(id int) {
				defer wg.Done()
				for j := 0; j < 100000; j++ {
					m[id*1000+j%1000] = j
				}
			}(i)
		}
		wg.Wait()
	}
	println("survived")
}
