package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

// headers are NAME=VALUE flags.
type headers []string

func (h *headers) String() string { return strings.Join(*h, ", ") }

func (h *headers) Set(value string) error {
	if !strings.Contains(value, "=") {
		return fmt.Errorf("%q is not NAME=VALUE", value)
	}
	*h = append(*h, value)
	return nil
}

// form is how an upstream is asked and answers: paths and bodies around the prompt, and the key of a text.
type form struct {
	path, before, after string
	text                []byte
	marked              bool // its streams end with [DONE]
}

// forms by name: OpenAI's chat completions, and the generate extension of Triton (whose texts are cumulative: their
// number and times count, their lengths do not).
var forms = map[string]form{
	"openai": {
		"/chat/completions",
		`{"model":%q,"stream":%t,"max_tokens":1024,"temperature":0.2,"messages":[` +
			`{"role":"system","content":"You answer in plain words."},{"role":"user","content":"`,
		`"}]}`,
		[]byte(`"content":`),
		true,
	},
	"triton": {
		"/v2/models/%s/generate_stream",
		`{"sampling_param_max_tokens":1024,"sampling_param_temperature":0.2,"streaming":true,` +
			`"return_finish_reason":true,"text_input":"`,
		`"}`,
		[]byte(`"text_output":`),
		false,
	},
}

// plan is what is asked, again and again: all bytes of a request but the few that make each prompt its own.
type plan struct {
	address string
	before  []byte
	after   []byte
	text    []byte
	marked  bool
	number  atomic.Uint64
}

const nonceLength = 12

func newPlan(o *options) (*plan, error) {
	parsed, err := url.Parse(o.url)
	chosen, known := forms[o.form]
	if err != nil || parsed.Host == "" || !known {
		return nil, fmt.Errorf("-url %q is no URL with a host and a port, or -form %q is unknown", o.url, o.form)
	}
	path, before := chosen.path, chosen.before
	if o.form == "triton" {
		path = fmt.Sprintf(path, o.model)
	} else {
		before = fmt.Sprintf(before, o.model, o.stream)
	}
	var prompt strings.Builder
	for i := 0; prompt.Len() < o.promptSize; i++ {
		prompt.WriteString(token(i))
	}
	before += prompt.String() + "Chapter "
	var head strings.Builder
	fmt.Fprintf(&head, "POST %s%s HTTP/1.1\r\nHost: %s\r\n", strings.TrimRight(parsed.Path, "/"), path, parsed.Host)
	length := len(before) + nonceLength + len(chosen.after)
	fmt.Fprintf(&head, "Content-Type: application/json\r\nContent-Length: %d\r\n", length)
	for _, header := range o.headers {
		name, value, _ := strings.Cut(header, "=")
		fmt.Fprintf(&head, "%s: %s\r\n", name, value)
	}
	made := &plan{
		address: parsed.Host,
		before:  []byte(head.String() + "\r\n" + before),
		after:   []byte(chosen.after),
		text:    chosen.text,
		marked:  chosen.marked,
	}
	made.number.Store(uint64(time.Now().UnixNano()))
	return made, nil
}

// request puts the next request's bytes into a buffer; its prompt is like no other, so that no cache has its answer.
func (p *plan) request(buffer []byte) []byte {
	buffer = append(buffer[:0], p.before...)
	number := p.number.Add(1)
	for range nonceLength {
		buffer = append(buffer, byte('a'+number%16))
		number /= 16
	}
	return append(buffer, p.after...)
}

// connection asks one request after the other; it is opened when it is needed.
type connection struct {
	plan   *plan
	socket net.Conn
	reader *bufio.Reader
	asked  []byte
	buffer []byte
	line   []byte
}

func newConnection(p *plan) *connection {
	return &connection{plan: p, buffer: make([]byte, 32*1024)}
}

// reply is what came back. Times are zero for what did not happen.
type reply struct {
	first      time.Time
	last       time.Time
	gaps       []time.Duration
	chunks     int
	characters int
	failure    string
}

// ask sends one request and reads its whole answer. `until` ends it early: true leaves, which closes the connection.
func (c *connection) ask(until func(*reply) bool) reply {
	var r reply
	if err := c.send(); err != nil {
		return c.failed(r, "connection")
	}
	response, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return c.failed(r, "connection")
	}
	if response.StatusCode != http.StatusOK {
		io.Copy(io.Discard, response.Body)
		return c.failed(r, fmt.Sprintf("status %d", response.StatusCode))
	}
	streamed := strings.HasPrefix(response.Header.Get("Content-Type"), "text/event-stream")
	ended := c.read(response.Body, streamed, &r, until)
	if !ended || response.Close {
		c.close()
	}
	if r.failure == "" && !ended {
		r.failure = "cut"
	}
	return r
}

func (c *connection) send() error {
	if c.socket == nil {
		socket, err := net.Dial("tcp", c.plan.address)
		if err != nil {
			return err
		}
		c.socket, c.reader = socket, bufio.NewReaderSize(socket, 16*1024)
	}
	c.asked = c.plan.request(c.asked)
	_, err := c.socket.Write(c.asked)
	return err
}

// read takes the body; it returns whether the answer came to its proper end.
func (c *connection) read(body io.Reader, streamed bool, r *reply, until func(*reply) bool) bool {
	c.line = c.line[:0]
	done := false
	for {
		size, err := body.Read(c.buffer)
		if size > 0 {
			r.arrived(time.Now(), c.take(c.buffer[:size], streamed, r, &done))
			if until != nil && until(r) {
				return false
			}
		}
		if err != nil {
			if !streamed {
				r.characters += c.plan.textLength(c.line)
			}
			if !streamed || !c.plan.marked {
				done = r.characters > 0
			}
			return err == io.EOF && done
		}
	}
}

// arrived notes a read that brought text.
func (r *reply) arrived(now time.Time, text bool) {
	if !text {
		return
	}
	if r.first.IsZero() {
		r.first = now
	} else {
		r.gaps = append(r.gaps, now.Sub(r.last))
	}
	r.last = now
}

// take splits a piece of an event stream into lines; it returns whether one of them brought text.
func (c *connection) take(data []byte, streamed bool, r *reply, done *bool) bool {
	if !streamed {
		c.line = append(c.line, data...)
		return true
	}
	text := false
	for {
		end := bytes.IndexByte(data, '\n')
		if end < 0 {
			c.line = append(c.line, data...)
			return text
		}
		line := data[:end]
		if len(c.line) > 0 {
			c.line = append(c.line, line...)
			line = c.line
		}
		if bytes.HasPrefix(line, []byte("data: [DONE]")) {
			*done = true
		} else if length := c.plan.textLength(line); length > 0 {
			r.chunks++
			r.characters += length
			text = true
		}
		c.line = c.line[:0]
		data = data[end+1:]
	}
}

// textLength is the length of the text in an event or a document; the upstream's text needs no escapes.
func (p *plan) textLength(document []byte) int {
	_, rest, found := bytes.Cut(document, p.text)
	rest = bytes.TrimLeft(rest, " ")
	if !found || len(rest) == 0 || rest[0] != '"' {
		return 0
	}
	return max(bytes.IndexByte(rest[1:], '"'), 0)
}

func (c *connection) failed(r reply, failure string) reply {
	r.failure = failure
	c.close()
	return r
}

func (c *connection) close() {
	if c.socket != nil {
		c.socket.Close()
		c.socket = nil
	}
}
