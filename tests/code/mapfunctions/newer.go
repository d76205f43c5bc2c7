//go:build go1.21

package main

import "maps"

func newer(m map[int]int) int {
	other := maps.Clone(m)
	clear(m)
	return len(other)
}
