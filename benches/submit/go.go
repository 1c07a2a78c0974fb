// A channel of functions, which a goroutine calls. The sender has a thread of its own, and so a P more than the
// receiver.

package main

import (
	"runtime"
	"sort"
	"time"
)

const (
	wakes  = 400
	warmUp = 50
)

// calls lets a goroutine that stays on a thread of its own send, and calls what it sends.
func calls(count int) {
	work := make(chan func(), 1024)
	called := 0
	go func() {
		runtime.LockOSThread()
		for i := 0; i < count; i++ {
			work <- func() { called++ }
		}
		close(work)
	}()
	for function := range work {
		function()
	}
}

func busy() float64 {
	runtime.GOMAXPROCS(2)
	return eachNs(calls)
}

func wake() float64 {
	runtime.GOMAXPROCS(2)
	work := make(chan func())
	took := make([]float64, 0, wakes)
	go func() {
		runtime.LockOSThread()
		for i := 0; i < wakes; i++ {
			time.Sleep(time.Millisecond)
			sent := time.Now()
			work <- func() { took = append(took, float64(time.Since(sent))) }
		}
		close(work)
	}()
	for function := range work {
		function()
	}
	took = took[warmUp:]
	sort.Float64s(took)
	return took[len(took)/2] / 1000
}

func main() {
	runCase(map[string]func() float64{"busy": busy, "wake": wake})
}
