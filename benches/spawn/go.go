package main

import "sync"

const many = 1000000

func oneByOne(count int) {
	var running sync.WaitGroup
	for i := 0; i < count; i++ {
		running.Add(1)
		go running.Done()
		running.Wait()
	}
}

func allAtOnce(rounds int) {
	for ; rounds > 0; rounds-- {
		var running sync.WaitGroup
		running.Add(many)
		for i := 0; i < many; i++ {
			go running.Done()
		}
		running.Wait()
	}
}

func main() {
	runCase(map[string]func() float64{
		"spawn_join": func() float64 { return eachNs(oneByOne) },
		"spawn_many": func() float64 { return eachNs(allAtOnce) / many },
	})
}
