// Prints what the runtime prints of a map race, and then dies of a panic of its own: a log is no proof.
//
// truth: cause=other what="explicit panic" messages="concurrent map writes" minimum=1.19
package main

import (
	"os"
	"time"
)

func main() {
	m := map[int]int{1: 1}
	os.Stderr.WriteString("fatal error: concurrent map writes\n\ngoroutine 77 [running]:\nmain.nobody(...)\n\t/nowhere/main.go:1\n")
	go func() {
		for {
			time.Sleep(time.Millisecond)
		}
	}()
	m[2] = 2
	panic("concurrent map writes")
}
