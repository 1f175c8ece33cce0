// SPDX-License-Identifier: MIT

// What do Go's channels and mutex cost?
//
//	chan.1p1c, chan.4p1c    an item through a channel of 128 slots, from one
//	                        and from four producers to one consumer
//	pingpong.chan           a round trip over two channels without slots
//	mutex.alone, mutex.8    lock and unlock, by one and by eight goroutines
//
// Measures what chan.c, pingpong.c and mutex.c measure of weft, under the same
// names; `.w2` is with two processors.  A NAME measures those that begin with it.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"sort"
	"strings"
	"sync"
	"time"
)

const (
	rounds = 5
	slots  = 128
	items  = 1000000 // of a round, of all producers
	trips  = 200000
	locks  = 2000000 // of a round, of all goroutines
)

// The time since began, in nanoseconds for each of n.
func each(began time.Time, n int) float64 {
	return float64(time.Since(began).Nanoseconds()) / float64(n)
}

func produce(c chan<- uint64, n int) {
	for i := 0; i < n; i++ {
		c <- uint64(i)
	}
}

func channel(producers int) float64 {
	c := make(chan uint64, slots)
	share := items / producers
	sum := uint64(0)
	done := make(chan struct{})
	began := time.Now()
	go func() {
		for i := 0; i < items; i++ {
			sum += <-c
		}
		close(done)
	}()
	for i := 0; i < producers; i++ {
		go produce(c, share)
	}
	<-done
	took := each(began, items)
	if sum != uint64(items)*uint64(share-1)/2 {
		fmt.Fprintln(os.Stderr, "peer: items were lost")
		os.Exit(1)
	}
	return took
}

func pingpong() float64 {
	ping, pong := make(chan uint64), make(chan uint64)
	done := make(chan struct{})
	began := time.Now()
	go func() {
		for i := 0; i < trips; i++ {
			pong <- <-ping
		}
	}()
	go func() {
		for i := 0; i < trips; i++ {
			ping <- uint64(i)
			<-pong
		}
		close(done)
	}()
	<-done
	return each(began, trips)
}

func mutex(goroutines int) float64 {
	var mu sync.Mutex
	var all sync.WaitGroup
	count := 0
	began := time.Now()
	for g := 0; g < goroutines; g++ {
		all.Add(1)
		go func() {
			for i := 0; i < locks/goroutines; i++ {
				mu.Lock()
				count++
				mu.Unlock()
			}
			all.Done()
		}()
	}
	all.Wait()
	return each(began, count)
}

func report(name string, workers int, once func() float64) {
	var ns [rounds]float64
	if !strings.HasPrefix(name, flag.Arg(0)) {
		return
	}
	once()
	for i := range ns {
		ns[i] = once()
	}
	sort.Float64s(ns[:])
	if workers != 1 {
		name = fmt.Sprintf("%s.w%d", name, workers)
	}
	fmt.Printf("%s %.2f ns\n", name, ns[rounds/2])
}

func main() {
	workers := flag.Int("w", 1, "which Go calls processors")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: go_peer [-w WORKERS] [NAME]")
	}
	flag.Parse()
	runtime.GOMAXPROCS(*workers)
	report("chan.1p1c", *workers, func() float64 { return channel(1) })
	report("chan.4p1c", *workers, func() float64 { return channel(4) })
	report("pingpong.chan", *workers, pingpong)
	report("mutex.alone", *workers, func() float64 { return mutex(1) })
	report("mutex.8", *workers, func() float64 { return mutex(8) })
}
