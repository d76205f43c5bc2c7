// Prints what the runtime's own hash functions give for known bytes, with the keys of this process:
// one initializer of struct vectors for test_memhash.c.
//
// memhash_vectors.inc holds its output for each Go version (tools/go V run -ldflags=-checklinkname=0 .,
// without the flag before 1.23): on amd64, on amd64 with GODEBUG=cpu.aes=off, and for GOARCH=arm64 under
// qemu-aarch64.
package main

import (
	"fmt"
	"runtime"
	"unsafe"
)

//go:linkname memhash runtime.memhash
func memhash(p unsafe.Pointer, h, s uintptr) uintptr

//go:linkname memhash32 runtime.memhash32
func memhash32(p unsafe.Pointer, h uintptr) uintptr

//go:linkname memhash64 runtime.memhash64
func memhash64(p unsafe.Pointer, h uintptr) uintptr

const seed = 0x123456789abcdef1

// The same as lengths in test_memhash.c.
var lengths = []uintptr{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 31, 32, 33, 48, 49, 63, 64, 65, 97, 127,
	128, 129, 255, 256, 257, 300, 384, 385}

func main() {
	var data [400]byte
	for i := range data {
		data[i] = byte(i*7 + i>>3)
	}
	p := unsafe.Pointer(&data[0])

	kind := "MEMHASH_WYHASH"
	if useAeshash {
		kind = "MEMHASH_AES"
	}
	arch := map[string]string{"amd64": "ARCH_AMD64", "arm64": "ARCH_ARM64"}[runtime.GOARCH]
	version := runtime.Version()
	minor := version[len("go1."):][:2]
	fmt.Printf("/* %s %s */\n{\n.keys = {%s, %s, %s,\n.schedule = {", version, runtime.GOARCH, kind, arch, minor)
	for _, b := range aeskeysched {
		fmt.Printf("%d, ", b)
	}
	fmt.Printf("},\n.hashkey = {")
	for _, k := range hashkey {
		fmt.Printf("%#x, ", k)
	}
	fmt.Printf("},\n},\n.memhash = {")
	for _, n := range lengths {
		fmt.Printf("%#x, ", memhash(p, seed, n))
	}
	fmt.Printf("},\n.memhash32 = %#x,\n.memhash64 = %#x,\n},\n", memhash32(p, seed), memhash64(p, seed))
}
