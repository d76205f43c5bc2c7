// Variables of every kind of place, live in frames that stand on the stack when the program dies. Each
// is told beforehand in a line that tests/variables/compare holds against what DWARF gives:
//
//	variable FUNCTION NAME address ADDR HOW    it lies there
//	variable FUNCTION NAME value WORD HOW      its first word is this
//	global NAME ADDR SIZE
//
// HOW is always where optimised code has the variable too, and noopt where only code without optimisation
// must. A stack that has grown has moved: what is told is told after that.
//
// truth: cause=other what="nil dereference" messages="invalid memory address or nil pointer dereference" minimum=1.19
package main

import "unsafe"

type pair struct {
	left, right *int
	sum         int
}

type cache struct {
	name  string
	items map[string]int
}

var (
	table   = map[string]*cache{}
	numbers [9]int
	first   = &cache{name: "first", items: map[string]int{"a": 1}}
	total   uint16
	sink    *int
)

//go:noinline
func use(args ...any) {
	if len(args) == 99 {
		println(args[0])
	}
}

//go:noinline
func crash(p *int, depth int) int {
	if depth == 0 {
		return *p
	}
	// Not a tail call: the frame stays.
	n := crash(p, depth-1)
	use(n, depth)
	return n + depth
}

// inlined ends up in its caller's frame.
func inlined(c *cache, key string) int {
	hidden := len(key) + 40
	println("variable main.inlined c value", unsafe.Pointer(c), "always")
	println("variable main.inlined hidden value", hidden, "always")
	n := crash(nil, 2)
	use(c, hidden)
	return n
}

//go:noinline
func middle(c *cache, count int, p pair, m map[string]int) int {
	var array [4]int
	array[count%4] = count
	println("variable main.middle c value", unsafe.Pointer(c), "always")
	println("variable main.middle count value", count, "noopt")
	println("variable main.middle p value", unsafe.Pointer(p.left), "always")
	println("variable main.middle m value", *(*unsafe.Pointer)(unsafe.Pointer(&m)), "noopt")
	println("variable main.middle array address", unsafe.Pointer(&array), "noopt")
	n := inlined(c, "ab")
	use(c, count, p, m, array)
	return n
}

func (c *cache) put(key string, steps func(int) int) int {
	escaped := len(key)
	held := &escaped
	sink = held
	println("variable main.(*cache).put &escaped value", unsafe.Pointer(held), "always")
	println("variable main.(*cache).put c value", unsafe.Pointer(c), "always")
	// The closure holds escaped by reference.
	add := func(n int) int {
		escaped += n
		r := steps(escaped)
		escaped++
		return r
	}
	use(held)
	r := add(3)
	use(c, add, held)
	return r
}

//go:noinline
func grow(n int) int {
	var room [1000]int
	if n > 0 {
		room[n%1000] = grow(n - 1)
	}
	return room[n%7] + n
}

func main() {
	grow(20)
	one, two := new(int), new(int)
	local := map[string]int{"x": 1, "y": 2}
	println("variable main.main local value", *(*unsafe.Pointer)(unsafe.Pointer(&local)), "noopt")
	println("global main.table", &table, unsafe.Sizeof(table))
	println("global main.numbers", &numbers, unsafe.Sizeof(numbers))
	println("global main.first", &first, unsafe.Sizeof(first))
	println("global main.total", &total, unsafe.Sizeof(total))
	n := first.put("key", func(n int) int {
		return middle(first, n, pair{one, two, 3}, local)
	})
	use(n, local, one, two)
}
