package main

func futureRoundTrips(count int) {
	there, back := make(chan int, 1), make(chan int, 1)
	go func() {
		for i := 0; i < count; i++ {
			<-there
			there = make(chan int, 1)
			back <- i
		}
	}()
	for i := 0; i < count; i++ {
		answer := back
		there <- i
		<-answer
		back = make(chan int, 1)
	}
}

func channelRoundTrips(count int) {
	there, back := make(chan int), make(chan int)
	go func() {
		for i := range there {
			back <- i
		}
	}()
	for i := 0; i < count; i++ {
		there <- i
		<-back
	}
	close(there)
}

func main() {
	runCase(map[string]func() float64{
		"futures": func() float64 { return eachNs(futureRoundTrips) },
		"queues":  func() float64 { return eachNs(channelRoundTrips) },
	})
}
