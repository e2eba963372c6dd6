// Receives Wirebell's webhooks: verifies, drops repeats, keeps order, fills gaps. Go 1.19 or newer.
package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

type Event struct {
	Id, Subscription string
	Sequence         int64
	Late             bool
}
type Data struct {
	Event Event
	Alert struct{ Title *string }
}
type Body struct {
	Type string
	Data Data
}

// When each webhook-id was acted on, and the last sequence of each subscription.
type State struct{ Seen, Done map[string]int64 }

var work = make(chan Body, 10_000)
var state = State{map[string]int64{}, map[string]int64{}}
var api = setting("WIREBELL_API", "http://127.0.0.1:8080")
var file = setting("WIREBELL_STATE", "receiver-state.json")

func setting(name, usual string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return usual
}

func webhookId(event Event) string { return event.Id + "-" + event.Subscription }

// Your part: what happens for each type of event.
func act(body Body) {
	switch body.Type {
	case "alert.opened": // ring somebody, unless Late: over meanwhile, or old news
	case "alert.updated", "alert.confirmed": // tell those who were rung more
	case "alert.corrected": // an article no longer says so
	case "alert.ended", "alert.retracted", "alert.expired": // stand down
	case "test.ping":
	default: // a type of later versions
		return
	}
	json.NewEncoder(os.Stdout).Encode(map[string]any{"type": body.Type, "title": body.Data.Alert.Title,
		"id": webhookId(body.Data.Event), "sequence": body.Data.Event.Sequence})
}

func verified(h http.Header, body []byte) bool {
	id, stamp := h.Get("webhook-id"), h.Get("webhook-timestamp")
	at, bad := strconv.ParseInt(stamp, 10, 64)
	if bad != nil || time.Since(time.Unix(at, 0)).Abs() > 5*time.Minute {
		return false // an old request sent again, or a clock that is off
	}
	for _, secret := range strings.Fields(os.Getenv("WIREBELL_SECRET")) { // two while the key turns
		key, bad := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
		mac := hmac.New(sha256.New, key)
		fmt.Fprintf(mac, "%s.%s.%s", id, stamp, body)
		wanted := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
		for _, given := range strings.Split(h.Get("webhook-signature"), " ") {
			if bad == nil && hmac.Equal([]byte(wanted), []byte(given)) {
				return true
			}
		}
	}
	return false
}

func hook(w http.ResponseWriter, r *http.Request) {
	var body Body
	bytes, bad := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20)) // as they came, before parsing
	status := 204
	if bad != nil || !verified(r.Header, bytes) || json.Unmarshal(bytes, &body) != nil {
		status = 401
	} else if len(work) == cap(work) {
		status = 503 // Wirebell tries again
	} else {
		work <- body // answer first, work later
	}
	w.WriteHeader(status)
}

// What lies between two sequences, from Wirebell's log.
func pull(subscription string, after, before int64) error {
	url := fmt.Sprintf("%s/v1/subscriptions/%s/events?after=%d&limit=500", api, subscription, after)
	request, bad := http.NewRequest("GET", url, nil)
	if bad != nil {
		return bad
	}
	request.Header.Set("authorization", "Bearer "+os.Getenv("WIREBELL_TOKEN"))
	answer, bad := (&http.Client{Timeout: 20 * time.Second}).Do(request)
	if bad != nil {
		return bad
	}
	defer answer.Body.Close()
	var page struct{ Data []Body }
	if bad := json.NewDecoder(answer.Body).Decode(&page); bad != nil || answer.StatusCode != 200 {
		return fmt.Errorf("%s answers %s: %v", url, answer.Status, bad)
	}
	for _, one := range page.Data {
		if after = one.Data.Event.Sequence; after < before {
			once(one)
		}
	}
	if len(page.Data) == 0 || after+1 >= before {
		return nil
	}
	return pull(subscription, after, before)
}

func once(body Body) {
	event, id, now := body.Data.Event, webhookId(body.Data.Event), time.Now().Unix()
	if state.Seen[id] > 0 {
		return // a retry or a replay
	}
	act(body)
	state.Seen[id] = now
	if event.Sequence > state.Done[event.Subscription] { // a test.ping, which is 0, does not count
		state.Done[event.Subscription] = event.Sequence
	}
	for old, at := range state.Seen {
		if at < now-30*86400 {
			delete(state.Seen, old)
		}
	}
	text, _ := json.Marshal(state)
	if bad := os.WriteFile(file+".new", text, 0o600); bad != nil {
		log.Fatal(bad)
	}
	os.Rename(file+".new", file) // after the act: a crash in between acts twice, never not
}

func main() {
	if text, bad := os.ReadFile(file); bad == nil {
		json.Unmarshal(text, &state)
	}
	listener, bad := net.Listen("tcp", setting("HOST", "127.0.0.1")+":"+setting("PORT", "9000"))
	if bad != nil {
		log.Fatal(bad)
	}
	log.Printf("listening on port %d", listener.Addr().(*net.TCPAddr).Port)
	go http.Serve(listener, http.HandlerFunc(hook))
	for body := range work {
		event := body.Data.Event
		if done := state.Done[event.Subscription]; done > 0 && event.Sequence > done+1 {
			if bad := pull(event.Subscription, done, event.Sequence); bad != nil {
				log.Printf("something before %d is missing: %v", event.Sequence, bad)
			} // go on with what is there: a gap must not hold up an alarm
		}
		once(body)
	}
}
