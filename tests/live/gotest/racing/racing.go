// Package racing counts in a map without a lock.
package racing

// Count adds n to what counts has for each of the first keys.
func Count(counts map[int]int, keys, n int) {
	for i := 0; i < keys; i++ {
		counts[i] += n
	}
}
