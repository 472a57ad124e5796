package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"runtime/debug"
	"sync"
	"time"
)

const (
	// drain is how long answers are waited for after the last request.
	drain = 3 * time.Second
	// patience is how long the upstream may take to learn that a client has left.
	patience = 1500 * time.Millisecond
	// hopeless is after how many streams whose end the upstream never learned of no further one is left.
	hopeless = 2
)

// open asks at a constant rate, whatever comes back: a request that has to wait for its turn is late from the time
// at which it should have been sent (no coordinated omission).
func open(arguments []string) error {
	var o options
	flags := flag.NewFlagSet("open", flag.ExitOnError)
	o.add(flags)
	rate := flags.Float64("rate", 100, "requests per second")
	most := flags.Int("unanswered", 250, "requests under way at which to give up")
	delay := flags.Duration("delay", 0, "how long to wait before the first request")
	flags.Parse(arguments)
	p, err := o.plan()
	if err != nil {
		return err
	}
	clock, err := newTimer()
	if err != nil {
		return err
	}
	debug.SetGCPercent(-1)
	start := time.Now().Add(*delay)
	total, pause := int((o.warm+o.seconds).Seconds()**rate), time.Duration(float64(time.Second) / *rate)
	kept := newRecord(start.Add(o.warm))
	f := newFleet(p, kept)
	scheduled, overloaded := 0, false
	for i := 0; i < total && !overloaded; i++ {
		due := start.Add(time.Duration(i) * pause)
		clock.sleep(time.Until(due))
		overloaded = f.submit(due) > *most
		if !due.Before(kept.from) {
			scheduled++
		}
	}
	unanswered := f.wait(drain)
	result := kept.end(time.Now(), scheduled, unanswered)
	result.Seconds, result.Overloaded = o.seconds.Seconds(), overloaded
	return print(result)
}

// fleet is connections that wait for work; the one that was used last is used first.
type fleet struct {
	plan    *plan
	record  *record
	mutex   sync.Mutex
	idle    []chan time.Time
	running map[time.Time]bool
	late    bool
	ended   *sync.Cond
}

func newFleet(p *plan, kept *record) *fleet {
	f := &fleet{plan: p, record: kept, running: map[time.Time]bool{}}
	f.ended = sync.NewCond(&f.mutex)
	return f
}

// submit has one request sent; it returns how many are under way now.
func (f *fleet) submit(due time.Time) int {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.running[due] = true
	if last := len(f.idle) - 1; last >= 0 {
		f.idle[last] <- due
		f.idle = f.idle[:last]
	} else {
		work := make(chan time.Time, 1)
		work <- due
		go f.serve(work)
	}
	return len(f.running)
}

func (f *fleet) serve(work chan time.Time) {
	c := newConnection(f.plan)
	for due := range work {
		sent := time.Now()
		r := c.ask(nil)
		f.finish(work, due, sent, r)
	}
}

func (f *fleet) finish(work chan time.Time, due, sent time.Time, r reply) {
	if !due.Before(f.record.from) {
		f.record.add(due, sent, r, time.Now())
	}
	f.mutex.Lock()
	defer f.mutex.Unlock()
	delete(f.running, due)
	f.ended.Signal()
	f.idle = append(f.idle, work)
}

// wait waits for the answers that are left; it returns the measured requests that have none in time.
func (f *fleet) wait(most time.Duration) []time.Time {
	alarm := time.AfterFunc(most, func() {
		f.mutex.Lock()
		defer f.mutex.Unlock()
		f.late = true
		f.ended.Signal()
	})
	defer alarm.Stop()
	f.mutex.Lock()
	defer f.mutex.Unlock()
	for len(f.running) > 0 && !f.late {
		f.ended.Wait()
	}
	var left []time.Time
	for due := range f.running {
		if !due.Before(f.record.from) {
			left = append(left, due)
		}
	}
	return left
}

// closed asks as fast as answers come, over a number of connections: what one core can do.
func closed(arguments []string) error {
	var o options
	flags := flag.NewFlagSet("closed", flag.ExitOnError)
	o.add(flags)
	connections := flags.Int("connections", 32, "connections")
	flags.Parse(arguments)
	p, err := o.plan()
	if err != nil {
		return err
	}
	debug.SetGCPercent(400)
	start := time.Now()
	kept := newRecord(start.Add(o.warm))
	last := kept.from.Add(o.seconds)
	var all sync.WaitGroup
	for range *connections {
		all.Go(func() { askUntil(newConnection(p), kept, last) })
	}
	all.Wait()
	result := kept.end(time.Now(), 0, nil)
	result.Seconds = o.seconds.Seconds()
	return print(result)
}

// askUntil asks again and again; answers that end within the time measured count, whenever they began.
func askUntil(c *connection, kept *record, last time.Time) {
	defer c.close()
	for {
		sent := time.Now()
		if sent.After(last) {
			return
		}
		counted := 0
		r := c.ask(func(r *reply) bool {
			now := time.Now()
			if now.After(kept.from) && !now.After(last) {
				kept.receive(r.characters - counted)
			}
			counted = r.characters
			return now.After(last)
		})
		now := time.Now()
		if now.After(last) {
			return
		}
		if r.failure != "" {
			time.Sleep(time.Millisecond)
		}
		if now.After(kept.from) {
			kept.add(sent, sent, r, now)
		}
	}
}

// abort leaves streams after their first text, one at a time, and asks the upstream when it knew.
func abort(arguments []string) error {
	var o options
	flags := flag.NewFlagSet("abort", flag.ExitOnError)
	o.add(flags)
	count := flags.Int("count", 10, "streams to leave")
	told := flags.String("upstream", "", "the upstream's own address, for its statistics")
	flags.Parse(arguments)
	o.stream = true
	p, err := o.plan()
	if err != nil {
		return err
	}
	kept := newRecord(time.Time{})
	for range *count {
		if kept.figures.Failures[neverTold] >= hopeless {
			break
		}
		if err := abortOne(p, *told, kept); err != nil {
			return err
		}
	}
	return print(kept.end(time.Now(), *count, nil))
}

const neverTold = "never told"

func abortOne(p *plan, upstream string, kept *record) error {
	before, err := seen(upstream)
	if err != nil {
		return err
	}
	c := newConnection(p)
	r := c.ask(func(r *reply) bool { return r.chunks > 0 })
	left := time.Now()
	if r.chunks == 0 {
		kept.add(left, left, reply{failure: "no text"}, left)
		return nil
	}
	for time.Since(left) < patience {
		now, err := seen(upstream)
		if err != nil {
			return err
		}
		if len(now.Aborts) > len(before.Aborts) {
			at := time.UnixMicro(now.Aborts[len(before.Aborts)])
			kept.add(left, left, reply{first: at}, at)
			return nil
		}
		time.Sleep(2 * time.Millisecond)
	}
	kept.add(left, left, reply{failure: neverTold}, left)
	return nil
}

func seen(upstream string) (stats, error) {
	var found stats
	response, err := http.Get(upstream + "/stats")
	if err != nil {
		return found, err
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(&found); err != nil {
		return found, fmt.Errorf("the upstream's statistics: %w", err)
	}
	return found, nil
}
