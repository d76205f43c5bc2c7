// Deaths by faults of a map's own code, of which each is certain. A map's header is torn as a race of its growth would
// tear it: the word that leads to the entries no longer does. Who is where meanwhile is held by userfaultfd(2): reading
// a key's memory waits until this program lets it go on. A key that is being hashed is past the check of the flag, and a
// key that is compared with one in the map is within a write.
//
//	reader	reads the map, and faults while another goroutine writes it
//	writer	the same, as it writes the map itself
//	throw	as reader, at an address at which Go gives up at once
//	late	faults with a lock held, and a deferred function lets another one write the map before the program dies
//	recover	faults in the map, recovers, and ends with status 3
//	nil	faults elsewhere
//
// It begins when standard input ends.
package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

const (
	page = 4096
	// Linux include/uapi/linux/userfaultfd.h; the number of the call is amd64's.
	sysUserfaultfd = 323
	userModeOnly   = 1
	ioctlAPI       = 0xc018aa3f
	ioctlRegister  = 0xc020aa00
	ioctlZeropage  = 0xc020aa04
	apiVersion     = 0xaa
	modeMissing    = 1
)

type key [page]byte

var (
	m     = map[any]int{}
	mu    sync.Mutex
	fd    uintptr
	pages uintptr // the first is the key in the map, the second that of who faults
)

func ioctl(request uintptr, argument unsafe.Pointer) {
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, fd, request, uintptr(argument)); errno != 0 {
		skip("userfaultfd's ioctl", errno)
	}
}

func skip(what string, err error) {
	fmt.Fprintln(os.Stderr, what+":", err)
	os.Exit(77)
}

func open() {
	var errno syscall.Errno
	fd, _, errno = syscall.Syscall(sysUserfaultfd, syscall.O_CLOEXEC|userModeOnly, 0, 0)
	if errno != 0 {
		skip("userfaultfd", errno)
	}
	ioctl(ioctlAPI, unsafe.Pointer(&[3]uint64{apiVersion}))
	pages, _, errno = syscall.Syscall6(syscall.SYS_MMAP, 0, 2*page, syscall.PROT_READ|syscall.PROT_WRITE,
		syscall.MAP_PRIVATE|syscall.MAP_ANON, ^uintptr(0), 0)
	if errno != 0 {
		skip("mmap", errno)
	}
}

// Of a key in the page there, which is all zeros.
func keyAt(addr uintptr) any {
	var k any = key{}
	words := *(*[2]uintptr)(unsafe.Pointer(&k)) // type and data
	words[1] = addr
	return *(*any)(unsafe.Pointer(&words))
}

// Waits until somebody reads the page. Signals make him read it again.
func await(addr uintptr) {
	var message [4]uint64
	for message[2]&^(page-1) != uint64(addr) {
		if n, _, errno := syscall.Syscall(syscall.SYS_READ, fd, uintptr(unsafe.Pointer(&message)), 32); n != 32 {
			skip("reading userfaultfd", errno)
		}
	}
}

func letGo(addr uintptr) {
	ioctl(ioctlZeropage, unsafe.Pointer(&[4]uint64{uint64(addr), page}))
}

// hmap.buckets and Map.dirPtr both stand at 16.
func entries() *uintptr {
	return (*uintptr)(unsafe.Add(*(*unsafe.Pointer)(unsafe.Pointer(&m)), 16))
}

//go:noinline
func write(k any) {
	m[k] = 2 // racer: assign
}

//go:noinline
func read(k any) int {
	return m[k] // racer: read
}

func main() {
	mode := os.Args[1]
	time.AfterFunc(4*time.Minute, func() { os.Exit(78) })
	debug.SetGCPercent(-1) // it would wait for those who are held, and find the torn word
	runtime.GOMAXPROCS(4)
	m["one"] = 1
	io.Copy(io.Discard, os.Stdin) // who attaches first ends that
	switch mode {
	case "nil":
		var p *int
		*p = 1
	case "recover":
		for i := 0; i < 1000; i++ {
			recovered()
		}
		os.Exit(3)
	}
	open()
	m[keyAt(pages)] = 1
	syscall.Syscall(syscall.SYS_MADVISE, pages, page, syscall.MADV_DONTNEED)
	ioctl(ioctlRegister, unsafe.Pointer(&[4]uint64{uint64(pages), 2 * page, modeMissing}))
	if mode == "late" {
		late()
	}
	torn := uintptr(8)
	if mode == "throw" {
		torn = 0xdead000
	}
	go func() {
		if mode == "writer" {
			write(keyAt(pages + page))
		} else {
			read(keyAt(pages + page))
		}
	}()
	await(pages + page)
	go write(key{})
	await(pages)
	*entries() = torn
	letGo(pages + page)
	select {}
}

func recovered() {
	word := entries()
	whole := *word
	*word = 8
	defer func() {
		*word = whole
		if recover() == nil {
			os.Exit(4)
		}
	}()
	read("two")
}

func late() {
	word := entries()
	whole := *word
	mu.Lock()
	defer func() {
		*word = whole
		mu.Unlock()
		go func() {
			mu.Lock()
			write(key{})
			mu.Unlock()
		}()
		await(pages)
	}()
	*word = 8
	read("two")
}
