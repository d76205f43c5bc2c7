//go:build cgo

// Goroutines in C, and in Go called from C: on two stacks at once.
package main

/*
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include <pthread.h>

extern void backInGo(int);
extern int backBusy(int);

static void sleepInC(void) { pause(); }
static void busyInC(volatile int *stop) { while (!*stop) {} }
static void callBack(int n) { backInGo(n); }
static int callBackBusy(int n) { return backBusy(n); }
static void *thread(void *n) { backInGo((int)(long)n); return NULL; }
static void segv(volatile int *p) { *p = 1; }
static __thread volatile char mine[100]; // so that Go's own thread-local word does not come first
static void callFromThread(void) { pthread_t t; mine[5] = 1; pthread_create(&t, NULL, thread, (void *)3L); }
*/
import "C"

var stopC C.int

//export backInGo
func backInGo(n C.int) {
	if n > 0 {
		C.callBack(n - 1)
	}
	<-blocked
}

//export backBusy
func backBusy(n C.int) C.int {
	busyCalls()
	return n
}

func init() {
	segvInC = func() { C.segv(nil) }
	more = append(more,
		func() { C.sleepInC() },
		func() { C.busyInC(&stopC) },
		func() { C.callBack(0) },
		func() { C.callBack(2) },
		func() { C.callBackBusy(1) },
		func() { C.callFromThread() })
}
