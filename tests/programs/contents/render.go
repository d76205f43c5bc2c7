// How a map's content is written, here by Go itself and in mapcrash from a core; the two texts are compared.
//
// A map is a line "ADDRESS TYPE COUNT", the address of its header as 0x and lower-case hexadecimal digits, the
// type as the runtime names it; then a line "KEY<TAB>VALUE" for each entry, these lines sorted as bytes.
//
//	bool                       true or false
//	int.., uint.., uintptr     decimal; uint8 too, so that a []byte is a slice of numbers
//	float32, float64           strconv.FormatFloat(v, 'g', -1, bits): 0.1, 1e+06, NaN, +Inf, -Inf, -0
//	complex64, complex128      strconv.FormatComplex(v, 'g', -1, bits): (1+2i), (NaN-Infi)
//	string                     strconv.Quote(v); of more than 4096 bytes that of the first 4096: "..." ...+84
//	pointer, unsafe.Pointer,   the word that is there as 0x and lower-case hexadecimal digits, or nil; for a
//	chan, func, map            func it is the closure's address, not that of its code; nothing is followed
//	slice                      [1 2 3]; after 16 elements those left are counted: [.. 15 16 ...+84]; nil: []
//	array                      as a slice
//	struct                     {A:1 b:"x"}, all fields by name, also unexported, embedded and blank ones
//	interface                  the dynamic type and value: int(5), main.point({x:1 y:2}), *int(0xc000012345); or nil
//
// An element of a slice or array, a field and an interface's value are each one level below what holds them. The
// key or value itself is at level 0, and whatever is at level 8 is written as three dots.
package main

import (
	"bufio"
	"fmt"
	"os"
	"reflect"
	"sort"
	"strconv"
	"strings"
	"unsafe"
)

const (
	maxLevel    = 8
	maxElements = 16
	maxString   = 4096
)

func renderWord(text *strings.Builder, word uintptr) {
	if word == 0 {
		text.WriteString("nil")
		return
	}
	fmt.Fprintf(text, "%#x", word)
}

func renderString(text *strings.Builder, s string) {
	if len(s) <= maxString {
		text.WriteString(strconv.Quote(s))
		return
	}
	fmt.Fprintf(text, "%s ...+%d", strconv.Quote(s[:maxString]), len(s)-maxString)
}

func renderElements(text *strings.Builder, element reflect.Type, at unsafe.Pointer, n, level int) {
	text.WriteByte('[')
	for i := 0; i < n && i < maxElements; i++ {
		if i > 0 {
			text.WriteByte(' ')
		}
		render(text, element, unsafe.Add(at, uintptr(i)*element.Size()), level)
	}
	if n > maxElements {
		fmt.Fprintf(text, " ...+%d", n-maxElements)
	}
	text.WriteByte(']')
}

// render writes what is at an address, read as a type: reflect would not show what is in unexported fields.
func render(text *strings.Builder, t reflect.Type, at unsafe.Pointer, level int) {
	if level == maxLevel {
		text.WriteString("...")
		return
	}
	v := reflect.NewAt(t, at).Elem()
	switch t.Kind() {
	case reflect.Bool:
		text.WriteString(strconv.FormatBool(v.Bool()))
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		text.WriteString(strconv.FormatInt(v.Int(), 10))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		text.WriteString(strconv.FormatUint(v.Uint(), 10))
	case reflect.Float32, reflect.Float64:
		text.WriteString(strconv.FormatFloat(v.Float(), 'g', -1, t.Bits()))
	case reflect.Complex64, reflect.Complex128:
		text.WriteString(strconv.FormatComplex(v.Complex(), 'g', -1, t.Bits()))
	case reflect.String:
		renderString(text, v.String())
	case reflect.Ptr, reflect.UnsafePointer, reflect.Chan, reflect.Func, reflect.Map:
		renderWord(text, *(*uintptr)(at))
	case reflect.Slice:
		renderElements(text, t.Elem(), v.UnsafePointer(), v.Len(), level+1)
	case reflect.Array:
		renderElements(text, t.Elem(), at, t.Len(), level+1)
	case reflect.Struct:
		text.WriteByte('{')
		for i := 0; i < t.NumField(); i++ {
			if i > 0 {
				text.WriteByte(' ')
			}
			field := t.Field(i)
			text.WriteString(field.Name)
			text.WriteByte(':')
			render(text, field.Type, unsafe.Add(at, field.Offset), level+1)
		}
		text.WriteByte('}')
	case reflect.Interface:
		if v.IsNil() {
			text.WriteString("nil")
			return
		}
		text.WriteString(v.Elem().Type().String())
		text.WriteByte('(')
		inside := reflect.New(v.Elem().Type())
		inside.Elem().Set(v.Elem())
		render(text, inside.Type().Elem(), inside.UnsafePointer(), level+1)
		text.WriteByte(')')
	default:
		panic("no such kind: " + t.String())
	}
}

var (
	out = bufio.NewWriter(os.Stdout)
	// What is shown stays alive and as it is until the process ends.
	shown []interface{}
)

func show(m interface{}) {
	shown = append(shown, m)
	v := reflect.ValueOf(m)
	fmt.Fprintf(out, "%#x %s %d\n", v.Pointer(), v.Type(), v.Len())
	var lines []string
	key, value := reflect.New(v.Type().Key()), reflect.New(v.Type().Elem())
	for entries := v.MapRange(); entries.Next(); {
		key.Elem().Set(entries.Key())
		value.Elem().Set(entries.Value())
		var line strings.Builder
		render(&line, v.Type().Key(), key.UnsafePointer(), 0)
		line.WriteByte('\t')
		render(&line, v.Type().Elem(), value.UnsafePointer(), 0)
		lines = append(lines, line.String())
	}
	sort.Strings(lines)
	for _, line := range lines {
		out.WriteString(line)
		out.WriteByte('\n')
	}
}
