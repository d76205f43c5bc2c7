package main

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"unsafe"
)

type (
	celsius float64
	color   uint8
	name    string

	point struct{ x, y int16 }

	pair struct {
		Count int
		label string
	}

	holder struct {
		pair
		*point
		Any   interface{}
		err   error
		flags [3]bool
		_     int32
		list  []int
		table map[string]int
		call  func() int
		pipe  chan int
		raw   unsafe.Pointer
	}

	deep struct{ in interface{} }

	chain struct {
		next *chain
		tag  byte
	}

	wide  [16]uint64 // 128 bytes: the largest that is kept in the map itself
	wider [17]uint64 // 136 bytes: kept behind a pointer

	record struct {
		id   uint64
		text [20]string
	}
)

func (c color) String() string { return fmt.Sprint("color ", uint8(c)) }

// Numbers that reach the ends of each size, and all between.
func spread(i int) int64 {
	switch i {
	case 0:
		return math.MinInt64
	case 1:
		return math.MaxInt64
	case 2:
		return 0
	}
	return int64(i) * 0x1234567 * int64(1-2*(i&1))
}

func float(i int) float64 {
	special := []float64{0, math.Copysign(0, -1), math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64,
		math.SmallestNonzeroFloat64, 1e6, 1e20, 1e21, 1e-4, 1e-5, 0.1, 1.0 / 3, -2.5, 123456789, math.MaxFloat32}
	if i < len(special) {
		return special[i]
	}
	return math.Sqrt(float64(i)) * math.Pow(10, float64(i%40-20))
}

func word(i int) string {
	special := []string{"", "a", "two words", "tab\tand\nnewline", `"quoted" \ back`, "\x00\x01\x7f", "caf\u00e9",
		"\u4e16\u754c", "\U0001f600", "bad \xff\xfe bytes", "cut \xe4\xb8", "\u200b\ufeff", "\a\b\f\r\v",
		strings.Repeat("long ", 30), "\u00ad soft", "\ue000", "\U0010ffff"}
	if i < len(special) {
		return special[i]
	}
	return fmt.Sprintf("word-%d", i)
}

func pointer(i int) *int {
	if i == 0 {
		return nil
	}
	return &i
}

func pipe(i int) chan int {
	if i == 0 {
		return nil
	}
	return make(chan int, i%3)
}

func closure(i int) func() int {
	switch i % 3 {
	case 0:
		return nil
	case 1:
		return func() int { return 7 }
	}
	return func() int { return i }
}

// hashable gives interfaces that may be keys.
func hashable(i int) interface{} {
	switch i % 12 {
	case 0:
		if i == 0 {
			return nil
		}
		return uint8(i)
	case 1:
		return i
	case 2:
		return word(i)
	case 3:
		return float(i)
	case 4:
		return celsius(i)
	case 5:
		return pair{i, word(i)}
	case 6:
		return &pair{Count: i}
	case 7:
		return [2]int8{int8(i), -1}
	case 8:
		return i%24 == 8
	case 9:
		return complex(float32(i), -1)
	case 10:
		return struct{}{}
	}
	return name(word(i))
}

func anything(i int) interface{} {
	switch i % 6 {
	case 0:
		return []string{word(i), word(i + 1)}
	case 1:
		return map[string]int{"n": i}
	case 2:
		return record{id: uint64(i), text: [20]string{word(i)}}
	case 3:
		return deep{deep{deep{deep{deep{deep{i}}}}}}
	case 4:
		return closure(i)
	}
	return hashable(i)
}

func failure(i int) error {
	if i%3 == 0 {
		return nil
	}
	return errors.New(word(i))
}

func stringer(i int) fmt.Stringer { return color(i) }

func numbers(i int) []int {
	if i == 0 {
		return nil
	}
	list := make([]int, (i-1)%20)
	for n := range list {
		list[n] = n * i
	}
	return list
}

func table(i int) map[string]int {
	if i == 0 {
		return nil
	}
	return map[string]int{word(i): i}
}

func full(i int) holder {
	return holder{
		pair: pair{i, word(i)}, point: &point{int16(i), 1}, Any: anything(i), err: failure(i),
		flags: [3]bool{true, i%2 == 0, false}, list: numbers(i), table: table(i), call: closure(i),
		pipe: pipe(i), raw: unsafe.Pointer(&i),
	}
}

func linked(i int) chain {
	return chain{&chain{nil, 'x'}, byte(i)}
}

func big(i int) wider {
	w := wider{0: uint64(i), 16: math.MaxUint64 - uint64(i)}
	return w
}

func nest(i int) [2][3]point {
	return [2][3]point{{{int16(i), 0}}, {{}, {1, int16(-i)}}}
}
