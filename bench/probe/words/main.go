// Counts the words of a text: one map write for each, between splitting and hashing strings.
package main

import (
	"strings"

	"probe/clock"
)

// text is n words of Zipf-like frequency, always the same.
func text(n int) string {
	var b strings.Builder
	letters := "etaoinshrdlu"
	for x := uint32(1); n > 0; n-- {
		x = x*1664525 + 1013904223
		for rank := x >> 8 % 5000 >> (x >> 28); ; rank /= 12 {
			b.WriteByte(letters[rank%12])
			if rank < 12 {
				break
			}
		}
		b.WriteByte(' ')
	}
	return b.String()
}

func main() {
	const words = 100_000
	t := text(words)
	clock.Measure(25, words, func() {
		count := make(map[string]int)
		for _, word := range strings.Fields(t) {
			count[word]++
		}
	})
}
