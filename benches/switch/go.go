package main

import (
	"runtime"
	"sync"
)

func takeTurns(count int) {
	var both sync.WaitGroup
	for i := 0; i < 2; i++ {
		both.Add(1)
		go func() {
			for i := 0; i < count/2; i++ {
				runtime.Gosched()
			}
			both.Done()
		}()
	}
	both.Wait()
}

func main() {
	runCase(map[string]func() float64{"yield": func() float64 { return eachNs(takeTurns) }})
}
