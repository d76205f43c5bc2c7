package sound

import (
	"sync"
	"testing"
)

func TestAdd(t *testing.T) {
	var counts Counts
	var group sync.WaitGroup
	for i := 0; i < 4; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for k := 0; k < 10000; k++ {
				counts.Add(k % 10)
			}
		}()
	}
	group.Wait()
	for id := 0; id < 10; id++ {
		if counts.byID[id] != 4000 {
			t.Errorf("%d of %d", counts.byID[id], id)
		}
	}
}
