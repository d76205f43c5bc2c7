//go:build cgo

// Laid into a program's package to build its cgo variant: the process then starts in C, its main
// thread has a C stack below Go's, and the binary is linked by the C linker.
package main

// static int one(void) { return 1; }
import "C"

func init() {
	if C.one() != 1 {
		panic("C and Go disagree about one")
	}
}
