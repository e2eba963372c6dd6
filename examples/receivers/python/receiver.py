"""Receives Wirebell's webhooks: verifies, drops repeats, keeps order, fills gaps. Python 3.9+."""
import base64, hashlib, hmac, json, os, queue, sys, threading, time, urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECRETS = os.environ.get("WIREBELL_SECRET", "").split()  # two while the key turns
if not SECRETS:
    sys.exit("WIREBELL_SECRET is not set")
API = os.environ.get("WIREBELL_API", "http://127.0.0.1:8080")
TOKEN = os.environ.get("WIREBELL_TOKEN", "")
STATE = os.environ.get("WIREBELL_STATE", "receiver-state.json")
PLACE = (os.environ.get("HOST", "127.0.0.1"), int(os.environ.get("PORT", "9000")))
work = queue.Queue(10_000)
webhook_id = lambda event: f'{event["id"]}-{event["subscription"]}'

def act(kind, data):
    # Your part: what happens for each type of event.
    event, alert = data["event"], data["alert"]
    if kind == "alert.opened":
        pass  # ring somebody, unless event["late"]: then the alert is over, or the news is old
    elif kind in ("alert.updated", "alert.confirmed"):
        pass  # tell those who were rung more
    elif kind == "alert.corrected":
        pass  # an article no longer says so; data["reason"] tells why
    elif kind in ("alert.ended", "alert.retracted", "alert.expired"):
        pass  # stand down
    elif kind != "test.ping":
        return  # a type of later versions
    print(json.dumps({"type": kind, "id": webhook_id(event), "sequence": event["sequence"],
                      "title": alert and alert["title"]}, ensure_ascii=False), flush=True)

def verified(headers, body):
    id, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not (stamp.isascii() and stamp.isdigit()) or abs(time.time() - int(stamp)) > 300:
        return False  # an old request sent again, or a clock that is off
    given = headers.get("webhook-signature", "").encode().split(b" ")
    for secret in SECRETS:
        key = base64.b64decode(secret.removeprefix("whsec_"))
        mac = hmac.new(key, f"{id}.{stamp}.".encode() + body, hashlib.sha256).digest()
        if any(hmac.compare_digest(b"v1," + base64.b64encode(mac), one) for one in given):
            return True
    return False

class Hook(BaseHTTPRequestHandler):
    protocol_version, timeout = "HTTP/1.1", 60

    def do_POST(self):
        body = self.rfile.read(min(int(self.headers.get("content-length", 0)), 1 << 20))
        if not verified(self.headers, body):  # the bytes as they came, before any parsing
            status = 401
        elif work.full():
            status = 503  # Wirebell tries again
        else:
            work.put(json.loads(body))  # answer first, work later
            status = 204
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

def pull(subscription, after):
    """Asks Wirebell's log for the event that follows a sequence."""
    url = f"{API}/v1/subscriptions/{subscription}/events?after={after}&limit=1"
    asked = urllib.request.Request(url, headers={"authorization": f"Bearer {TOKEN}"})
    with urllib.request.urlopen(asked, timeout=20) as answer:
        return json.load(answer)["data"][0]

def once(state, body):
    event = body["data"]["event"]
    if webhook_id(event) in state["seen"]:
        return  # a retry or a replay
    act(body["type"], body["data"])
    state["seen"] = (state["seen"] + [webhook_id(event)])[-10_000:]
    if event["sequence"] > 0:  # a test.ping does not count
        done = state["done"].get(event["subscription"], 0)
        state["done"][event["subscription"]] = max(done, event["sequence"])
    with open(STATE + ".new", "w") as file:
        json.dump(state, file)
    os.replace(STATE + ".new", STATE)  # after the act: a crash in between acts twice, never not

def take(state, body):
    """Acts on what is missing before a body, then on the body."""
    event = body["data"]["event"]
    # Nothing is missing before the first event of a subscription.
    done = state["done"].get(event["subscription"], event["sequence"])
    while done + 1 < event["sequence"]:
        try:
            missed = pull(event["subscription"], done)
        except Exception as error:  # go on: a gap must not hold up an alarm
            print(f"something before {event['sequence']} is missing: {error!r}", file=sys.stderr)
            break
        once(state, missed)
        done = missed["data"]["event"]["sequence"]
    once(state, body)

state = json.load(open(STATE)) if os.path.exists(STATE) else {"seen": [], "done": {}}
server = ThreadingHTTPServer(PLACE, Hook)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(f"listening on port {server.server_address[1]}", file=sys.stderr, flush=True)
while True:
    take(state, work.get())  # where it fails, the process ends
