package main

import (
	"slices"
	"sync"
	"time"
)

// quantiles that are kept of each kind of time.
var quantiles = []float64{0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1}

// times are durations in microseconds.
type times struct {
	Count     int       `json:"count"`
	Mean      float64   `json:"mean"`
	Quantiles []float64 `json:"quantiles"`
}

func summary(all []time.Duration) times {
	if len(all) == 0 {
		return times{Quantiles: []float64{}}
	}
	slices.Sort(all)
	var sum time.Duration
	for _, one := range all {
		sum += one
	}
	found := times{Count: len(all), Mean: microseconds(sum) / float64(len(all))}
	for _, q := range quantiles {
		found.Quantiles = append(found.Quantiles, microseconds(all[int(q*float64(len(all)-1)+0.5)]))
	}
	return found
}

func microseconds(d time.Duration) float64 {
	return float64(d.Nanoseconds()) / 1000
}

// figures of one measurement. Latency and First run from the scheduled time, Behind is how late requests were sent.
// Characters are those of whole answers, Received those of a closed load's streams, unfinished ones included.
type figures struct {
	Seconds    float64        `json:"seconds"`
	Scheduled  int            `json:"scheduled"`
	Answered   int            `json:"answered"`
	Failures   map[string]int `json:"failures"`
	Unanswered int            `json:"unanswered"`
	Overloaded bool           `json:"overloaded"`
	Chunks     int            `json:"chunks"`
	Characters int            `json:"characters"`
	Received   int            `json:"received"`
	Latency    times          `json:"latency"`
	First      times          `json:"first"`
	Gap        times          `json:"gap"`
	Behind     times          `json:"behind"`
}

// record collects replies; what happens before `from` only warms up.
type record struct {
	mutex                        sync.Mutex
	from                         time.Time
	figures                      figures
	latency, first, gaps, behind []time.Duration
}

func newRecord(from time.Time) *record {
	return &record{from: from, figures: figures{Failures: map[string]int{}}}
}

func (k *record) receive(characters int) {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	k.figures.Received += characters
}

func (k *record) add(scheduled, sent time.Time, r reply, now time.Time) {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	k.behind = append(k.behind, sent.Sub(scheduled))
	if r.failure != "" {
		k.figures.Failures[r.failure]++
		return
	}
	k.figures.Answered++
	k.figures.Chunks += r.chunks
	k.figures.Characters += r.characters
	k.latency = append(k.latency, now.Sub(scheduled))
	k.first = append(k.first, r.first.Sub(scheduled))
	k.gaps = append(k.gaps, r.gaps...)
}

// end is the result; `unanswered` requests count as answers that took until now.
func (k *record) end(now time.Time, scheduled int, unanswered []time.Time) figures {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	result := k.figures
	for _, one := range unanswered {
		k.latency = append(k.latency, now.Sub(one))
	}
	result.Scheduled, result.Unanswered = scheduled, len(unanswered)
	result.Latency, result.First = summary(k.latency), summary(k.first)
	result.Gap, result.Behind = summary(k.gaps), summary(k.behind)
	return result
}
