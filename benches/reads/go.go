package main

import (
	"encoding/binary"
	"fmt"
	"math/rand"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

const (
	blockBytes = 4096
	inFlight   = 32
)

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// alignedBlock is what O_DIRECT wants.
func alignedBlock() []byte {
	memory := make([]byte, 2*blockBytes)
	skip := blockBytes - int(uintptr(unsafe.Pointer(&memory[0]))%blockBytes)
	return memory[skip : skip+blockBytes]
}

func reader(file *os.File, blocks int64, seed int64, left *int64) {
	random := rand.New(rand.NewSource(seed))
	block := alignedBlock()
	for atomic.AddInt64(left, -1) >= 0 {
		number := random.Int63n(blocks)
		_, err := file.ReadAt(block, number*blockBytes)
		must(err)
		if binary.LittleEndian.Uint64(block) != uint64(number) {
			panic("a wrong block")
		}
	}
}

func readAll(file *os.File, blocks int64, count int64) {
	var group sync.WaitGroup
	for i := int64(0); i < inFlight; i++ {
		group.Add(1)
		go func(seed int64) {
			reader(file, blocks, seed, &count)
			group.Done()
		}(i)
	}
	group.Wait()
}

func cpuTime() time.Duration {
	var usage syscall.Rusage
	must(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func main() {
	runtime.GOMAXPROCS(1)
	flags := os.O_RDONLY
	if os.Args[2] == "direct" {
		flags |= syscall.O_DIRECT
	}
	file, err := os.OpenFile(os.Args[1], flags, 0)
	must(err)
	status, err := file.Stat()
	must(err)
	for count := int64(1024); ; count *= 2 {
		cpu, start := cpuTime(), time.Now()
		readAll(file, status.Size()/blockBytes, count)
		took := time.Since(start)
		if took >= 300*time.Millisecond {
			each := float64(count) * 1e3
			fmt.Printf("%.6g %.6g\n", float64(cpuTime()-cpu)/each, float64(took)/each)
			return
		}
	}
}
