// For the subjects written in Go: PROGRAM CASE WORKERS prints one number. Built together with each of them.

package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"time"
)

func tookNs(body func(count int), count int) float64 {
	start := time.Now()
	body(count)
	return float64(time.Since(start))
}

// eachNs returns the nanoseconds of body(count), over count. It runs with more and more, which warms it up, until
// that takes 50 ms; then for 0.4 s, which count.
func eachNs(body func(count int)) float64 {
	count := 1
	took := tookNs(body, count)
	for took < 50e6 {
		if took < 5e6 {
			count *= 10
		} else {
			count *= 2
		}
		took = tookNs(body, count)
	}
	if took < 400e6 {
		count = int(float64(count) * 400e6 / took)
	} else {
		count = 1
	}
	return tookNs(body, count) / float64(count)
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
