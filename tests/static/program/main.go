// Prints what Go itself knows of its functions, lines and types, and dies so that a core holds the same.
// The argument is a file of PCs, one a line: signed distances from the entry of main.anchor.
//
//	pc ADDR FUNCTION|FILE:LINE ...           runtime.CallersFrames, innermost first
//	type ADDR KIND SIZE NAMED PKG NAME       reflect.Type and what it leads to
//	elem ADDR, key ADDR, len N, methods N    of the type before
//	field INDEX ADDR OFFSET EMBEDDED NAME
//	word ITAB-OR-TYPE TYPE                   the first word of an interface value, and its dynamic type
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"
	"unsafe"
)

var out = bufio.NewWriter(os.Stdout)

//go:noinline
func anchor() {}

type (
	set[K comparable] map[K]struct{}
	counts            map[string]int
	pair[A, B any]    struct {
		first  A
		Second B
	}
	embedded struct {
		sync.Mutex
		*strings.Builder
		fmt.Stringer
		name   string `json:"name"`
		_      int32
		Inline struct {
			a, b [3]int16
			c    chan<- *pair[string, int]
		}
		callback func(int, ...string) (error, bool)
		self     *embedded
		byKey    map[pair[int8, string]][]*embedded
		shared   set[string]
	}
	large  [1000]pair[uint64, complex128]
	degree float32
)

func (d degree) String() string { return "warm" }

func (s set[K]) add(k K) set[K] {
	s[k] = struct{}{}
	return s
}

func (p *pair[A, B]) swap(b B) B {
	b, p.Second = p.Second, b
	return b
}

func inlinedLeaf(x int) int  { return x*3 + len(os.Args) }
func inlinedTwice(x int) int { return inlinedLeaf(x) + inlinedLeaf(x+1) }

//go:noinline
func calls(x int) int {
	y := inlinedTwice(x)
	for i := range os.Args {
		y += inlinedTwice(i) + func() int { return inlinedLeaf(y) }()
	}
	return y
}

func frames(pc uintptr) string {
	var text strings.Builder
	// A second PC that follows from no first one makes Go 1.21 and later give all inlined frames.
	list := runtime.CallersFrames([]uintptr{pc + 1, 1})
	for {
		frame, more := list.Next()
		if frame.PC == 0 {
			break
		}
		fmt.Fprintf(&text, " %s|%s:%d", frame.Function, frame.File, frame.Line)
		if !more {
			break
		}
	}
	return text.String()
}

func showFunctions(path string) {
	file, err := os.Open(path)
	if err != nil {
		panic(err)
	}
	base := runtime.FuncForPC(reflect.ValueOf(anchor).Pointer()).Entry()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		offset, err := strconv.ParseInt(lines.Text(), 10, 64)
		if err != nil {
			panic(err)
		}
		pc := base + uintptr(offset)
		fmt.Fprintf(out, "pc %#x%s\n", pc, frames(pc))
	}
}

func address(t reflect.Type) uintptr {
	return uintptr((*[2]unsafe.Pointer)(unsafe.Pointer(&t))[1])
}

func showType(t reflect.Type) {
	named := 0
	if t.Name() != "" {
		named = 1
	}
	pkg := t.PkgPath()
	if pkg == "" {
		pkg = "-"
	}
	fmt.Fprintf(out, "type %#x %s %d %d %s %s\n", address(t), t.Kind(), t.Size(), named, pkg, t)
	switch t.Kind() {
	case reflect.Array, reflect.Chan, reflect.Ptr, reflect.Slice, reflect.Map:
		fmt.Fprintf(out, "elem %#x\n", address(t.Elem()))
	}
	switch t.Kind() {
	case reflect.Map:
		fmt.Fprintf(out, "key %#x\n", address(t.Key()))
	case reflect.Array:
		fmt.Fprintf(out, "len %d\n", t.Len())
	case reflect.Interface:
		fmt.Fprintf(out, "methods %d\n", t.NumMethod())
	case reflect.Struct:
		fmt.Fprintf(out, "len %d\n", t.NumField())
		for i := 0; i < t.NumField(); i++ {
			f := t.Field(i)
			embedded := 0
			if f.Anonymous {
				embedded = 1
			}
			fmt.Fprintf(out, "field %d %#x %d %d %s\n", i, address(f.Type), f.Offset, embedded, f.Name)
		}
	}
}

// Follows what types lead to, in both directions that reflect knows.
func showTypes(seeds []reflect.Type) {
	seen := make(map[reflect.Type]bool)
	var types []reflect.Type
	visit := func(t reflect.Type) {
		if !seen[t] {
			seen[t] = true
			types = append(types, t)
		}
	}
	visitSignature := func(t reflect.Type) {
		for j := 0; j < t.NumIn(); j++ {
			visit(t.In(j))
		}
		for j := 0; j < t.NumOut(); j++ {
			visit(t.Out(j))
		}
	}
	for _, t := range seeds {
		visit(t)
	}
	for i := 0; i < len(types); i++ {
		t := types[i]
		switch t.Kind() {
		case reflect.Array, reflect.Chan, reflect.Ptr, reflect.Slice, reflect.Map:
			visit(t.Elem())
		}
		switch t.Kind() {
		case reflect.Map:
			visit(t.Key())
		case reflect.Struct:
			for j := 0; j < t.NumField(); j++ {
				visit(t.Field(j).Type)
			}
		case reflect.Func:
			visitSignature(t)
		}
		// The method's own type is made by reflect on the spot.
		for j := 0; j < t.NumMethod(); j++ {
			visitSignature(t.Method(j).Type)
		}
	}
	sort.Slice(types, func(i, j int) bool { return address(types[i]) < address(types[j]) })
	for _, t := range types {
		showType(t)
	}
}

func showWords() {
	empty := []interface{}{1, "a", degree(1), &embedded{}, embedded{}, set[string]{}, errors.New("x"), time.Second}
	for i := range empty {
		word := *(*uintptr)(unsafe.Pointer(&empty[i]))
		fmt.Fprintf(out, "word %#x %#x\n", word, address(reflect.TypeOf(empty[i])))
	}
	stringers := []fmt.Stringer{degree(1), time.Second, time.Time{}, &strings.Builder{}}
	for i := range stringers {
		word := *(*uintptr)(unsafe.Pointer(&stringers[i]))
		fmt.Fprintf(out, "word %#x %#x\n", word, address(reflect.TypeOf(stringers[i])))
	}
	errs := []error{io.EOF, &json.SyntaxError{}, &os.PathError{}}
	for i := range errs {
		word := *(*uintptr)(unsafe.Pointer(&errs[i]))
		fmt.Fprintf(out, "word %#x %#x\n", word, address(reflect.TypeOf(errs[i])))
	}
}

// What showTypes made with reflect lives on the heap and must not be collected.
var made []reflect.Type

func main() {
	calls(1)
	anchor()
	(&pair[string, int]{}).swap(len(set[float64]{}.add(1)))
	showFunctions(os.Args[1])
	word := reflect.TypeOf("")
	made = []reflect.Type{
		reflect.MapOf(reflect.TypeOf(degree(0)), reflect.TypeOf(embedded{})),
		reflect.SliceOf(reflect.SliceOf(reflect.TypeOf(pair[string, int]{}))),
		reflect.ArrayOf(77, reflect.PtrTo(reflect.TypeOf(large{}))),
		reflect.ChanOf(reflect.BothDir, reflect.MapOf(word, reflect.TypeOf(large{}))),
	}
	showTypes(append([]reflect.Type{
		reflect.TypeOf(&embedded{}), reflect.TypeOf(counts{}), reflect.TypeOf(large{}),
		reflect.TypeOf(set[float64]{}), reflect.TypeOf(&pair[string, int]{}),
		reflect.TypeOf(&json.Decoder{}), reflect.TypeOf(time.NewTimer), reflect.TypeOf(os.Open),
		reflect.TypeOf((*reflect.Type)(nil)), reflect.TypeOf(unsafe.Pointer(nil)), reflect.TypeOf(degree(0)),
	}, made...))
	showWords()
	out.Flush()
	runtime.KeepAlive(made)
	panic("static: all is shown")
}
