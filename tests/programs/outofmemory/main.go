// The address space is limited to little more than what the process has, and a map is to grow beyond it.
//
// truth: cause=other what="out of memory" messages="runtime: out of memory"|"runtime: cannot allocate memory"|"out of memory" minimum=1.19
package main

import (
	"fmt"
	"os"
	"syscall"
)

func addressSpace() uint64 {
	var pages uint64
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		panic(err)
	}
	fmt.Sscan(string(text), &pages)
	return pages * uint64(os.Getpagesize())
}

func main() {
	limit := addressSpace() + 256<<20
	if err := syscall.Setrlimit(syscall.RLIMIT_AS, &syscall.Rlimit{Cur: limit, Max: limit}); err != nil {
		panic(err)
	}
	m := make(map[int][]byte)
	for i := 0; ; i++ {
		m[i] = make([]byte, 1<<20)
	}
}
