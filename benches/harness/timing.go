// For the subjects written in Go: PROGRAM CASE WORKERS prints one number. Built together with each of them.

package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"time"
)

// eachNs returns the nanoseconds of body(count), over count. It runs with more and more, which warms it up, until it
// takes 50 ms; then for 0.4 s, which count.
func eachNs(body func(count int)) float64 {
	for count := 100; ; {
		start := time.Now()
		body(count)
		took := time.Since(start)
		if took < 50*time.Millisecond {
			if took < 5*time.Millisecond {
				count *= 10
			} else {
				count *= 2
			}
			continue
		}
		count = int(float64(count) * 400e6 / float64(took))
		start = time.Now()
		body(count)
		return float64(time.Since(start)) / float64(count)
	}
}

// runCase runs the case that the arguments name, with GOMAXPROCS set to the number of workers.
func runCase(cases map[string]func() float64) {
	if len(os.Args) == 3 && cases[os.Args[1]] != nil {
		workers, _ := strconv.Atoi(os.Args[2])
		runtime.GOMAXPROCS(workers)
		fmt.Printf("%.6g\n", cases[os.Args[1]]())
		return
	}
	fmt.Fprintf(os.Stderr, "usage: %s CASE WORKERS\n", os.Args[0])
	os.Exit(2)
}
