package main

import "fmt"

// Keys whose hash is put together from pieces: which bytes are hashed at once differs by the compiler's version
// (cmd/compile/internal/reflectdata/alg.go), and whether a check of the map recomputes it shows here.

type runs struct {
	a, b int32
	s    string
	c    int64
	d, e int8
}

type blanks struct {
	a int32
	_ int32
	b int64
	f float64
	_ string
	g uint16
}

type inner struct {
	a int32
	f float32
	b int32
}

type nested struct {
	head struct {
		x int32
		y int16
	}
	tail int16
	s    string
}

type empties struct {
	z struct{}
	s string
	a [0]int
	b uint8
	e struct{}
}

type complexes struct {
	c complex64
	i int8
	d complex128
}

type single struct{ s string }

func mixed(i int) inner { return inner{int32(i), float32(i) / 3, int32(-i)} }

func shapes() {
	keys(func(i int) runs { return runs{int32(i), int32(i) << 8, word(i), spread(i), int8(i), 1} })
	keys(func(i int) blanks { return blanks{a: int32(i), b: spread(i), f: float(i + 4), g: uint16(i)} })
	keys(mixed)
	keys(func(i int) [1]inner { return [1]inner{mixed(i)} })
	keys(func(i int) [2]inner { return [2]inner{mixed(i), mixed(1)} })
	keys(func(i int) [3]inner { return [3]inner{mixed(i), mixed(1), mixed(i / 2)} })
	keys(func(i int) [5]inner { return [5]inner{mixed(i), 4: mixed(1)} })
	keys(func(i int) [4]float64 { return [4]float64{1, 2, 3, float64(i)} })
	keys(func(i int) [5]float64 { return [5]float64{4: float64(i)} })
	keys(func(i int) [13]float64 { return [13]float64{6: float64(i)} })
	keys(func(i int) [3]string { return [3]string{word(i), "", word(i / 2)} })
	keys(func(i int) [7]string { return [7]string{1: word(i), 6: word(i / 2)} })
	keys(func(i int) [2][2]string { return [2][2]string{{word(i)}, {1: word(i / 2)}} })
	keys(func(i int) [2]runs { return [2]runs{{a: int32(i)}, {s: word(i), e: 7}} })
	keys(func(i int) [3]single { return [3]single{{word(i)}, {}, {"end"}} })
	keys(func(i int) nested {
		n := nested{tail: int16(i), s: word(i)}
		n.head.x, n.head.y = int32(i), int16(-i)
		return n
	})
	keys(func(i int) empties { return empties{s: word(i), b: uint8(i)} })
	keys(func(i int) complexes { return complexes{complex(1, float32(i)), int8(i), complex(float64(i), 2)} })
	keys(func(i int) single { return single{word(i)} })
	keys(func(i int) [1]string { return [1]string{word(i)} })
	keys(func(i int) [8]uint8 { return [8]uint8{uint8(i), 7: uint8(i >> 8)} })
	keys(func(i int) [2]int16 { return [2]int16{int16(i), 1} })
	keys(func(i int) [300]uint8 { return [300]uint8{uint8(i), 299: uint8(i >> 8)} })

	// Interfaces are comparable to a generic function only from Go 1.20 on.
	for _, n := range sizes {
		pairs, fields, boxed := map[[2]interface{}]int{}, map[struct {
			e error
			i int
			s fmt.Stringer
		}]int{}, map[interface{}]int{}
		for i := 0; i < n; i++ {
			pairs[[2]interface{}{hashable(i), word(i)}] = i
			fields[struct {
				e error
				i int
				s fmt.Stringer
			}{failure(i), i, stringer(i)}] = i
			boxed[[]interface{}{runs{a: int32(i)}, mixed(i), [3]inner{mixed(i)}, single{word(i)}, struct{}{},
				[2]interface{}{i, word(i)}, complexes{c: complex(0, float32(i))}}[i%7]] = i
		}
		show(pairs)
		show(fields)
		show(boxed)
	}
}
