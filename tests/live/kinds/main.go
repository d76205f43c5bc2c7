// Races that show once in hours (see rare), on maps of ten types at once: one for each function of the runtime that
// writes maps. What a recorder that is to hold the writers of one type finds is on a map of that type.
package main

import (
	"fmt"
	"strconv"
	"time"
)

type point [3]int

func race(write func(key int)) {
	for worker := 0; worker < 2; worker++ {
		go func(worker int) {
			for n := 1; ; n++ {
				time.Sleep(time.Duration(30000+n*(27919+worker*2090)%40000) * time.Microsecond)
				write(worker*16 + n%16)
			}
		}(worker)
	}
}

func main() {
	ints, narrow, names := make(map[int]int), make(map[int32]int), make(map[string]int)
	pointers, points := make(map[*int]int), make(map[point]int)
	kept := make([]int, 32)
	race(func(key int) { ints[key] = key })
	race(func(key int) { narrow[int32(key)] = key })
	race(func(key int) { names[strconv.Itoa(key)] = key })
	race(func(key int) { pointers[&kept[key]] = key })
	race(func(key int) { points[point{key}] = key })
	// A map function does not come as far as the flag where the map is empty.
	noInts, noNarrow, noNames := map[int]bool{-1: true}, map[int32]bool{-1: true}, map[string]bool{"": true}
	noPoints, cleared := map[point]bool{{-1}: true}, make(map[int]string)
	race(func(key int) { delete(noInts, key) })
	race(func(key int) { delete(noNarrow, int32(key)) })
	race(func(key int) { delete(noNames, strconv.Itoa(key)) })
	race(func(key int) { delete(noPoints, point{key}) })
	race(func(key int) {
		cleared[key] = "gone"
		for k := range cleared {
			delete(cleared, k)
		}
	})
	fmt.Println("ready")
	time.Sleep(time.Minute)
}
