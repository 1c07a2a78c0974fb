package main

import (
	"context"
	"fmt"
	"log"
	"runtime"
	"sort"
	"sync"
	"syscall"
	"time"
)

func insertedAndStopped(count int) {
	for i := 0; i < count; i++ {
		time.AfterFunc(10*time.Second, func() {}).Stop()
	}
}

func scopes(count int) {
	for i := 0; i < count; i++ {
		_, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		runtime.Gosched()
		cancel()
	}
}

const (
	sleeps  = 1000000
	scatter = 7919 // prime: the order is none that a heap would like
)

func cpu() int64 {
	var usage syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return usage.Utime.Nano() + usage.Stime.Nano()
}

func expire() float64 {
	late := make([]float64, sleeps)
	var base time.Time
	gate := make(chan struct{}) // opens when every goroutine has its memory
	var waiting, running sync.WaitGroup
	waiting.Add(sleeps)
	running.Add(sleeps)
	for i := 0; i < sleeps; i++ {
		go func(i int) {
			waiting.Done()
			<-gate
			when := base.Add(time.Duration(i * scatter % sleeps * 1e9 / sleeps))
			time.Sleep(time.Until(when))
			late[i] = float64(time.Since(when))
			running.Done()
		}(i)
	}
	waiting.Wait()
	base = time.Now().Add(5 * time.Second)
	close(gate)
	time.Sleep(time.Until(base) - 200*time.Millisecond)
	if time.Now().After(base) {
		log.Fatal("the sleeps were not all started in time")
	}
	begin := cpu()
	running.Wait()
	each := float64(cpu()-begin) / sleeps
	sort.Float64s(late)
	fmt.Printf("expire_late_p99 %.6g\n", late[sleeps/100*99]/1e6)
	return each
}

func main() {
	runCase(map[string]func() float64{
		"insert_cancel": func() float64 { return eachNs(insertedAndStopped) },
		"timeout_scope": func() float64 { return eachNs(scopes) },
		"expire":        expire,
	})
}
