// Holds maps in every kind of place that a typed pointer leads to, prints for each "ADDRESS TYPE COUNT<TAB>OWNER",
// the owner as mapcrash names it (without the address of the object that a field is in), and dies of a panic.
//
// truth: cause=other what="explicit panic" messages="owners: all is shown" minimum=1.19
package main

import (
	"fmt"
	"reflect"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

type base struct{ labels map[string]int }

type store struct {
	name  string
	byID  map[int]string
	inner struct{ depth map[string]bool }
	base
	any    interface{}
	err    error
	list   []map[uint8]int
	next   *store
	cells  [3]cell
	buffer chan *cell
	call   func() int
	boxed  *map[int16]int
}

type cell struct{ m map[int32]int }

type failure struct{ causes map[string]string }

func (failure) Error() string { return "failure" }

type cache[K comparable, V any] struct{ items map[K]V }

type named map[string]float64

var (
	global   = map[string]int{"a": 1, "b": 2, "c": 3}
	state    store
	pointer  = &store{name: "behind a package variable"}
	typed    = named{"pi": 3.14}
	generic  = &cache[string, int]{map[string]int{"g": 1}}
	nested   = map[string]map[string]int{"in": {"b": 2}}
	array    [20]map[int]int
	value    atomic.Value
	empty    map[string]int
	pool     = struct{ parts map[rune]int }{map[rune]int{'x': 1}}
	objects  = map[int]*cell{}
	byStruct = map[cell2]int{}
)

type cell2 struct{ p *cell }

var lines []string

// The map is not kept: no interface with its type is to lead to it later.
func show(m interface{}, owner string) {
	v := reflect.ValueOf(m)
	lines = append(lines, fmt.Sprintf("%#x %s %d\t%s", v.Pointer(), v.Type(), v.Len(), owner))
}

func fill(s *store, called string) {
	s.byID = map[int]string{1: called, 20: called, 300: called, 4000: called, 50000: called}
	s.inner.depth = map[string]bool{called: true}
	s.labels = map[string]int{called: 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7,
		"eight": 8, "nine": 9}
	s.any = map[string]int{called: 2}
	s.err = failure{map[string]string{called: "cause"}}
	s.list = []map[uint8]int{{1: 1}, {2: 2}}
	s.next = &store{byID: map[int]string{2: called}}
	s.cells[1].m = map[int32]int{1: 1}
	s.buffer = make(chan *cell, 4)
	inside := &cell{map[int32]int{7: 7}}
	s.buffer <- inside
	captured := map[int64]int{9: 9, 99: 99, 999: 999, 9999: 9999}
	s.call = func() int { return captured[9] }
	s.boxed = &map[int16]int{3: 3}
	show(s.next.byID, "main.(*store).byID")
	show(s.err.(failure).causes, "main.(*failure).causes")
	show(inside.m, "main.(*cell).m")
	if closures {
		show(captured, "main.fill.captured")
	}
	for _, m := range s.list {
		show(m, "-")
	}
}

// Where a closure keeps what it captured is in DWARF from Go 1.23 on.
var closures bool

//go:noinline
func wait(held map[string]int, done chan bool) int {
	local := map[string]uint{"local": 1}
	show(held, "main.wait.held")
	show(local, "main.wait.local")
	done <- true
	<-done
	return held["held"] + int(local["local"])
}

func main() {
	var minor int
	fmt.Sscanf(runtime.Version(), "go1.%d", &minor)
	closures = minor >= 23

	fill(&state, "state")
	show(state.byID, "main.state.byID")
	show(state.inner.depth, "main.state.inner.depth")
	show(state.labels, "main.state.base.labels")
	show(state.any, "main.state.any")
	show(state.cells[1].m, "main.state.cells.m")
	show(*state.boxed, "main.state.boxed")
	fill(pointer, "pointer")
	show(pointer.byID, "main.(*store).byID")
	show(pointer.labels, "main.(*base).labels")
	show(pointer.any, "main.(*store).any")
	show(pointer.cells[1].m, "main.(*cell).m")
	show(*pointer.boxed, "main.(*store).boxed")

	show(global, "main.global")
	show(typed, "main.typed")
	show(generic.items, "main.(*cache[string,int]).items")
	show(nested, "main.nested")
	show(nested["in"], "element of map")
	array[17] = map[int]int{17: 17}
	show(array[17], "main.array")
	behind := map[string]int{"value": 1}
	value.Store(behind)
	show(behind, "main.value.v")
	show(pool.parts, "main.pool.parts")
	objects[3] = &cell{map[int32]int{33: 33}}
	show(objects, "main.objects")
	show(objects[3].m, "main.(*cell).m")
	byStruct[cell2{&cell{map[int32]int{44: 44}}}] = 4
	for key := range byStruct {
		show(key.p.m, "main.(*cell).m")
	}

	var once sync.Once
	done := make(chan bool)
	go wait(map[string]int{"held": 1}, done)
	<-done
	once.Do(func() {})
	time.Sleep(10 * time.Millisecond)
	for _, line := range lines {
		fmt.Println(line)
	}
	panic(fmt.Sprint("owners: all is shown, ", len(lines), " maps"))
}
