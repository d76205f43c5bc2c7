// Nothing but map writes: the most that a recorder can cost.
package main

import "probe/clock"

func main() {
	const ops = 500_000
	m := make(map[uint64]uint64)
	clock.Measure(40, ops, func() {
		for i := uint64(0); i < ops; i++ {
			m[i&1023]++
		}
	})
}
