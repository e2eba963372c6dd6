// Receives Wirebell's webhooks: verifies, drops repeats, keeps order, fills gaps. Here are your part
// and the door; inbox.go has the memory. Go 1.19 or newer.
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

var file = setting("WIREBELL_STATE", "receiver-state.json")
var secrets = strings.Fields(os.Getenv("WIREBELL_SECRET")) // two while the key turns
var work = make(chan Body, 10_000)

// act is your part: what happens for each type of event. Where it fails, the process ends.
func act(body Body) error {
	switch body.Type {
	case "alert.opened": // ring somebody, unless Event.Late: over meanwhile, or old news
	case "alert.updated", "alert.confirmed": // tell those who were rung more
	case "alert.corrected": // an article no longer says so; Reason tells why
	case "alert.ended", "alert.retracted", "alert.expired": // stand down
	case "test.ping":
	default:
		return nil // a type of later versions
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{"type": body.Type, "id": body.webhookId(),
		"sequence": body.Data.Event.Sequence, "title": body.Data.Alert.Title})
}

func setting(name, usual string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return usual
}

func verified(h http.Header, body []byte) bool {
	id, stamp := h.Get("webhook-id"), h.Get("webhook-timestamp")
	at, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil || time.Since(time.Unix(at, 0)).Abs() > 5*time.Minute {
		return false // an old request sent again, or a clock that is off
	}
	for _, secret := range secrets {
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
		mac := hmac.New(sha256.New, key)
		fmt.Fprintf(mac, "%s.%s.%s", id, stamp, body)
		wanted := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
		for _, given := range strings.Fields(h.Get("webhook-signature")) {
			if err == nil && hmac.Equal([]byte(wanted), []byte(given)) {
				return true
			}
		}
	}
	return false
}

func hook(w http.ResponseWriter, r *http.Request) {
	var body Body
	bytes, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20)) // as they came, before parsing
	if err != nil || !verified(r.Header, bytes) || json.Unmarshal(bytes, &body) != nil {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	select {
	case work <- body: // answer first, work later
		w.WriteHeader(http.StatusNoContent)
	default: // Wirebell tries again
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

func main() {
	if len(secrets) == 0 {
		log.Fatal("WIREBELL_SECRET is not set: the subscription's secret")
	}
	inbox := Inbox{Done: map[string]int64{}}
	if bytes, err := os.ReadFile(file); !os.IsNotExist(err) {
		must(err)
		must(json.Unmarshal(bytes, &inbox))
	}
	listener, err := net.Listen("tcp", setting("HOST", "127.0.0.1")+":"+setting("PORT", "9000"))
	must(err)
	log.Print("listening on port ", listener.Addr().(*net.TCPAddr).Port)
	server := http.Server{Handler: http.HandlerFunc(hook), ReadTimeout: time.Minute}
	go func() { must(server.Serve(listener)) }()
	for body := range work {
		inbox.take(body)
	}
}
