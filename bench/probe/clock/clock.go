// Package clock tells how much processor time the process has used: other programs on the machine do not count.
package clock

import (
	"fmt"
	"syscall"
	"unsafe"
)

// processCPU is CLOCK_PROCESS_CPUTIME_ID: Linux include/uapi/linux/time.h.
const processCPU = 2

func now() int64 {
	var ts syscall.Timespec
	if _, _, err := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, processCPU, uintptr(unsafe.Pointer(&ts)), 0); err != 0 {
		panic(err)
	}
	return ts.Nano()
}

// Measure runs chunk many times, each of ops operations, and prints the nanoseconds of one operation of each but the
// first, which warms up.
func Measure(chunks, ops int, chunk func()) {
	for i := 0; i < chunks; i++ {
		start := now()
		chunk()
		if i > 0 {
			fmt.Printf("%.2f\n", float64(now()-start)/float64(ops))
		}
	}
}
