package main

import (
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"
	"time"
)

var api = setting("WIREBELL_API", "http://127.0.0.1:8080")

// Body is what is read of a webhook; docs/webhooks.md tells what else is there.
type Body struct {
	Type string
	Data struct {
		Event struct {
			Id, Subscription string
			Sequence         int64
			Late             bool
		}
		Alert  struct{ Title *string }
		Reason string
	}
}

func (body Body) webhookId() string { return body.Data.Event.Id + "-" + body.Data.Event.Subscription }

// Inbox is what was acted on: the last ids, and the last sequence of each subscription.
type Inbox struct {
	Seen []string
	Done map[string]int64
}

// take acts on what is missing before a body, then on the body.
func (inbox *Inbox) take(body Body) {
	event := body.Data.Event
	done := inbox.Done[event.Subscription] // 0: it is the first, and nothing is missing before it
	for done > 0 && done+1 < event.Sequence {
		next, err := pull(event.Subscription, done)
		if err != nil {
			log.Printf("something before %d is missing: %v", event.Sequence, err)
			break // go on with what is there: a gap must not hold up an alarm
		}
		inbox.once(next)
		done = next.Data.Event.Sequence
	}
	inbox.once(body)
}

func (inbox *Inbox) once(body Body) {
	for _, id := range inbox.Seen {
		if id == body.webhookId() {
			return // a retry or a replay
		}
	}
	must(act(body))
	inbox.Seen = append(inbox.Seen, body.webhookId())
	if len(inbox.Seen) > 10_000 {
		inbox.Seen = inbox.Seen[1:]
	}
	event := body.Data.Event
	if event.Sequence > inbox.Done[event.Subscription] { // a test.ping, which is 0, does not count
		inbox.Done[event.Subscription] = event.Sequence
	}
	bytes, err := json.Marshal(inbox)
	must(err)
	must(os.WriteFile(file+".new", bytes, 0o600))
	must(os.Rename(file+".new", file)) // after the act: a crash in between acts twice, never not
}

// must ends the process; what still waits is pulled after the next start.
func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// pull asks Wirebell's log for the event that follows a sequence.
func pull(subscription string, after int64) (next Body, err error) {
	url := fmt.Sprintf("%s/v1/subscriptions/%s/events?after=%d&limit=1", api, subscription, after)
	request, err := http.NewRequest("GET", url, nil)
	if err != nil {
		return next, err
	}
	request.Header.Set("authorization", "Bearer "+os.Getenv("WIREBELL_TOKEN"))
	answer, err := (&http.Client{Timeout: 20 * time.Second}).Do(request)
	if err != nil {
		return next, err
	}
	defer answer.Body.Close()
	var page struct{ Data []Body }
	if err = json.NewDecoder(answer.Body).Decode(&page); err != nil || len(page.Data) != 1 {
		return next, fmt.Errorf("%s answers %s: %v", url, answer.Status, err)
	}
	return page.Data[0], nil
}
