package racing

import (
	"testing"
	"time"
)

// Two goroutines count in one map until Go's check notices, which takes milliseconds.
func TestCount(t *testing.T) {
	counts := make(map[int]int)
	for i := 0; i < 2; i++ {
		go func() {
			for {
				Count(counts, 100, 1)
			}
		}()
	}
	time.Sleep(20 * time.Second)
	t.Error("nothing noticed")
}
