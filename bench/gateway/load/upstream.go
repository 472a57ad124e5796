package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// settings of the upstream's answers; delays in milliseconds.
type settings struct {
	First  float64 `json:"first"`
	Inter  float64 `json:"inter"`
	Tokens int     `json:"tokens"`
}

func milliseconds(m float64) time.Duration {
	return time.Duration(m * float64(time.Millisecond))
}

// stats tell what the upstream has seen. Aborts are the times, in microseconds since the epoch, at which a client
// was known to have left before its answer had ended.
type stats struct {
	Requests int     `json:"requests"`
	Running  int     `json:"running"`
	Tokens   int     `json:"tokens"`
	Aborts   []int64 `json:"aborts"`
}

type server struct {
	mutex  sync.Mutex
	answer answer
	stats  stats
	timers sync.Pool
}

// answer is made once per settings, so that serving it costs next to nothing.
type answer struct {
	settings
	whole  []byte
	chunks [][]byte
	usage  []byte
}

// words of an answer: prose in which no rule of any guard finds anything. One token is a word and a space.
var words = strings.Fields(`the river runs slowly past an old mill where children often play after school and their
 voices carry over quiet water until evening when lamps are lit along every street and people walk home to supper
 talking of weather and harvest while a dog barks somewhere behind tall hedges`)

// token is the text of one token; an answer's text is its tokens one after the other.
func token(i int) string {
	return words[i%len(words)] + " "
}

const chunkForm = `data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1700000000,"model":"bench",` +
	`"choices":[{"index":0,"delta":%s,"finish_reason":%s}]}` + "\n\n"

const usageForm = `{"prompt_tokens":250,"completion_tokens":%d,"total_tokens":%d}`

func newAnswer(s settings) answer {
	var text strings.Builder
	chunks := [][]byte{[]byte(fmt.Sprintf(chunkForm, `{"role":"assistant","content":""}`, "null"))}
	for i := range s.Tokens {
		text.WriteString(token(i))
		chunks = append(chunks, []byte(fmt.Sprintf(chunkForm, fmt.Sprintf(`{"content":%q}`, token(i)), "null")))
	}
	chunks = append(chunks, []byte(fmt.Sprintf(chunkForm, `{}`, `"stop"`)))
	usage := fmt.Sprintf(usageForm, s.Tokens, 250+s.Tokens)
	whole := fmt.Sprintf(`{"id":"chatcmpl-bench","object":"chat.completion","created":1700000000,"model":"bench",`+
		`"choices":[{"index":0,"message":{"role":"assistant","content":%q},"finish_reason":"stop"}],"usage":%s}`,
		text.String(), usage)
	event := `data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1700000000,"model":"bench",` +
		`"choices":[],"usage":` + usage + "}\n\n"
	return answer{s, []byte(whole), chunks, []byte(event)}
}

// upstream is an OpenAI-compatible provider that answers after known delays.
//
//	POST /v1/chat/completions   first milliseconds to the first token, inter between tokens
//	GET  /v1/models             one model
//	PUT  /settings              the delays and the length of answers from now on; forgets the statistics
//	GET  /stats                 what was seen since then
func upstream(arguments []string) error {
	flags := flag.NewFlagSet("upstream", flag.ExitOnError)
	listen := flags.String("listen", "127.0.0.1:9000", "address and port")
	flags.Parse(arguments)
	s := &server{answer: newAnswer(settings{First: 10, Tokens: 16}), stats: stats{Aborts: []int64{}}}
	routes := http.NewServeMux()
	routes.HandleFunc("POST /v1/chat/completions", s.complete)
	routes.HandleFunc("GET /v1/models", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"object":"list","data":[{"id":"bench","object":"model","created":1700000000,"owned_by":"bench"}]}`)
	})
	routes.HandleFunc("PUT /settings", s.configure)
	routes.HandleFunc("GET /stats", s.tell)
	return http.ListenAndServe(*listen, routes)
}

func (s *server) configure(w http.ResponseWriter, r *http.Request) {
	var wanted settings
	if err := json.NewDecoder(r.Body).Decode(&wanted); err != nil || wanted.Tokens < 1 {
		http.Error(w, "first, inter and tokens (at least 1) are wanted", http.StatusBadRequest)
		return
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.answer = newAnswer(wanted)
	s.stats = stats{Running: s.stats.Running, Aborts: []int64{}}
}

func (s *server) tell(w http.ResponseWriter, _ *http.Request) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(s.stats)
}

type request struct {
	Stream  bool `json:"stream"`
	Options struct {
		Usage bool `json:"include_usage"`
	} `json:"stream_options"`
}

func (s *server) complete(w http.ResponseWriter, r *http.Request) {
	arrived := time.Now()
	body, err := io.ReadAll(r.Body)
	var asked request
	if err != nil || json.Unmarshal(body, &asked) != nil {
		http.Error(w, `{"error":{"message":"not JSON","type":"invalid_request_error","param":null,"code":null}}`, 400)
		return
	}
	answer := s.begin()
	stop := context.AfterFunc(r.Context(), func() { s.aborted(time.Now()) })
	sent := 0
	defer func() { stop(); s.end(sent) }()
	clock, err := s.timer()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer s.timers.Put(clock)
	if asked.Stream {
		sent = answer.streamTo(w, r.Context(), clock, arrived, asked.Options.Usage)
		return
	}
	clock.sleep(milliseconds(answer.First+answer.Inter*float64(answer.Tokens-1)) - time.Since(arrived))
	if r.Context().Err() == nil {
		sent = answer.Tokens
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(answer.whole)))
		w.Write(answer.whole)
	}
}

// streamTo writes the events, each at its time; it returns how many tokens were sent.
func (a *answer) streamTo(w http.ResponseWriter, left context.Context, clock *timer, from time.Time, usage bool) int {
	w.Header().Set("Content-Type", "text/event-stream")
	out := w.(http.Flusher)
	clock.sleep(milliseconds(a.First) - time.Since(from))
	for i, chunk := range a.chunks {
		if i > 1 && i <= a.Tokens && a.Inter > 0 {
			out.Flush()
			clock.sleep(milliseconds(a.First+a.Inter*float64(i-1)) - time.Since(from))
		}
		if left.Err() != nil {
			return max(i-1, 0)
		}
		w.Write(chunk)
	}
	if usage {
		w.Write(a.usage)
	}
	io.WriteString(w, "data: [DONE]\n\n")
	return a.Tokens
}

func (s *server) begin() answer {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.stats.Requests++
	s.stats.Running++
	return s.answer
}

func (s *server) end(tokens int) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.stats.Running--
	s.stats.Tokens += tokens
}

func (s *server) aborted(at time.Time) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.stats.Aborts = append(s.stats.Aborts, at.UnixMicro())
}

func (s *server) timer() (*timer, error) {
	if clock, ok := s.timers.Get().(*timer); ok {
		return clock, nil
	}
	return newTimer()
}
