//go:build !go1.21

package main

// Inlined, the loop would no longer be known as a clear.
//
//go:noinline
func newer(m map[int]int) int {
	for k := range m {
		delete(m, k)
	}
	return len(m)
}
