package main

import (
	"os"
	"syscall"
	"time"
	"unsafe"
)

// timer sleeps to within some tens of microseconds. Go's own sleep is rounded up to a whole millisecond once its
// only thread waits in epoll; a timerfd is one more file there, and ends the wait when it is due.
type timer struct {
	file *os.File
	fd   uintptr
}

const (
	clockMonotonic = 1
	nonblocking    = syscall.O_NONBLOCK | syscall.O_CLOEXEC
)

func newTimer() (*timer, error) {
	fd, _, failed := syscall.Syscall(syscall.SYS_TIMERFD_CREATE, clockMonotonic, nonblocking, 0)
	if failed != 0 {
		return nil, failed
	}
	return &timer{os.NewFile(fd, "timer"), fd}, nil
}

// sleep waits; a time that is not positive has passed.
func (t *timer) sleep(d time.Duration) {
	if d <= 0 {
		return
	}
	due := [2]syscall.Timespec{{}, syscall.NsecToTimespec(int64(d))}
	syscall.Syscall6(syscall.SYS_TIMERFD_SETTIME, t.fd, 0, uintptr(unsafe.Pointer(&due)), 0, 0, 0)
	var expirations [8]byte
	t.file.Read(expirations[:])
}

func (t *timer) close() {
	t.file.Close()
}
