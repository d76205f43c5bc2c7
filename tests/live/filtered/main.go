// A program that gives itself, when it runs already, a filter of system calls (seccomp): what Go's runtime needs and this
// program calls, all else kills it. Then two goroutines write one map.
//
//	filtered locked    with a lock, for a second; says how often
//	filtered racing    without, and so seldom that they meet once in hours
package main

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

// What the runtime of Go 1.19 to 1.27 calls on Linux, for threads, signals, memory, sleep, its poller and cgroups
// (runtime/sys_linux_amd64.s, runtime/os_linux.go, internal/runtime/syscall). The time comes from the vDSO, without a call.
var allowed = []uintptr{
	syscall.SYS_READ, syscall.SYS_WRITE, syscall.SYS_CLOSE, syscall.SYS_OPENAT, syscall.SYS_PREAD64, syscall.SYS_FCNTL,
	syscall.SYS_MMAP, syscall.SYS_MUNMAP, syscall.SYS_MADVISE, syscall.SYS_MINCORE, syscall.SYS_PRCTL, syscall.SYS_BRK,
	syscall.SYS_CLONE, syscall.SYS_GETTID, syscall.SYS_GETPID, syscall.SYS_TGKILL, syscall.SYS_EXIT, syscall.SYS_EXIT_GROUP,
	syscall.SYS_FUTEX, syscall.SYS_NANOSLEEP, syscall.SYS_SCHED_YIELD, syscall.SYS_SCHED_GETAFFINITY,
	syscall.SYS_RT_SIGACTION, syscall.SYS_RT_SIGPROCMASK, syscall.SYS_RT_SIGRETURN, syscall.SYS_SIGALTSTACK,
	syscall.SYS_EPOLL_CREATE1, syscall.SYS_EPOLL_CTL, syscall.SYS_EPOLL_PWAIT, syscall.SYS_PIPE2, syscall.SYS_EVENTFD2,
	318, // getrandom: package syscall of amd64 is older
}

// linux/filter.h, linux/seccomp.h and linux/prctl.h.
const (
	loadWord       = 0x20       // BPF_LD | BPF_W | BPF_ABS: the call's number lies at 0
	jumpEqual      = 0x15       // BPF_JMP | BPF_JEQ | BPF_K
	answer         = 0x06       // BPF_RET | BPF_K
	retAllow       = 0x7fff0000 // SECCOMP_RET_ALLOW
	retKillProcess = 0x80000000 // SECCOMP_RET_KILL_PROCESS
	sysSeccomp     = 317
	setModeFilter  = 1 // SECCOMP_SET_MODE_FILTER
	allThreads     = 1 // SECCOMP_FILTER_FLAG_TSYNC
	setNoNewPrivs  = 38
)

func filter() {
	code := []syscall.SockFilter{{Code: loadWord}}
	for _, nr := range allowed {
		code = append(code, syscall.SockFilter{Code: jumpEqual, Jf: 1, K: uint32(nr)}, syscall.SockFilter{Code: answer, K: retAllow})
	}
	code = append(code, syscall.SockFilter{Code: answer, K: retKillProcess})
	program := syscall.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
	runtime.LockOSThread()
	_, _, errno := syscall.RawSyscall6(syscall.SYS_PRCTL, setNoNewPrivs, 1, 0, 0, 0, 0)
	if errno == 0 {
		_, _, errno = syscall.RawSyscall(sysSeccomp, setModeFilter, allThreads, uintptr(unsafe.Pointer(&program)))
	}
	runtime.UnlockOSThread()
	if errno != 0 {
		fmt.Println("no filter:", errno)
		os.Exit(70)
	}
}

func main() {
	counts := map[int]int{0: 0}
	filter()
	fmt.Println("filtered")
	if os.Args[1] == "racing" {
		for worker := 0; worker < 2; worker++ {
			go func(worker int) {
				for n := 1; ; n++ {
					time.Sleep(time.Duration(10000+n*(27919+worker*2090)%20000) * time.Microsecond)
					counts[n%10]++
				}
			}(worker)
		}
		time.Sleep(time.Minute)
		return
	}
	var mu sync.Mutex
	var group sync.WaitGroup
	for worker := 0; worker < 2; worker++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for n := 0; n < 1000; n++ {
				mu.Lock()
				counts[n%10]++
				mu.Unlock()
				time.Sleep(time.Millisecond)
			}
		}()
	}
	group.Wait()
	sum := 0
	for _, n := range counts {
		sum += n
	}
	fmt.Println("counted", sum)
}
