// Command load measures gateways: an upstream of known delays, and the generator that asks through them.
//
//	load upstream -listen 127.0.0.1:9000
//	load open     -url http://127.0.0.1:8080/v1 -rate 500 -seconds 5
//	load closed   -url http://127.0.0.1:8080/v1 -connections 32 -seconds 5
//	load abort    -url http://127.0.0.1:8080/v1 -upstream http://127.0.0.1:9000 -count 10
//
// What was measured is one JSON document on standard output; all times are microseconds.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"time"
)

func main() {
	commands := map[string]func([]string) error{"upstream": upstream, "open": open, "closed": closed, "abort": abort}
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: load upstream|open|closed|abort [flags]; -h after it shows them")
		os.Exit(2)
	}
	if err := commands[os.Args[1]](os.Args[2:]); err != nil {
		fmt.Fprintf(os.Stderr, "load %s: %v\n", os.Args[1], err)
		os.Exit(1)
	}
}

// options are the flags that all kinds of load share.
type options struct {
	url        string
	form       string
	model      string
	stream     bool
	seconds    time.Duration
	warm       time.Duration
	promptSize int
	headers    headers
}

func (o *options) add(flags *flag.FlagSet) {
	flags.StringVar(&o.url, "url", "", "where /chat/completions is, without it")
	flags.StringVar(&o.form, "form", "openai", "how to ask: openai, or triton for its generate extension")
	flags.StringVar(&o.model, "model", "bench", "the model to ask for")
	flags.BoolVar(&o.stream, "stream", false, "ask for a stream of events")
	flags.DurationVar(&o.seconds, "seconds", 5*time.Second, "how long to measure")
	flags.DurationVar(&o.warm, "warm", 500*time.Millisecond, "how long to ask before that")
	flags.IntVar(&o.promptSize, "prompt", 1024, "characters of a prompt, about")
	flags.Var(&o.headers, "header", "a further header, NAME=VALUE; may be given several times")
}

func (o *options) plan() (*plan, error) {
	return newPlan(o)
}

func print(document any) error {
	return json.NewEncoder(os.Stdout).Encode(document)
}
