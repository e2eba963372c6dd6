// Receives Wirebell's webhooks: verifies, drops repeats, keeps order, fills gaps. Node 22.18 and
// newer run it as it is, older ones after `npx esbuild receiver.mts --outfile=receiver.mjs`.
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { createHmac, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

type Event = { id: string; subscription: string; sequence: number; late: boolean };
type Body = { type: string; data: { event: Event; alert: { title: string } | null } };

const env = process.env;
const secrets = (env.WIREBELL_SECRET ?? "").split(" ").filter(Boolean); // two while the key turns
if (secrets.length === 0) throw new Error("WIREBELL_SECRET is not set");
const api = env.WIREBELL_API ?? "http://127.0.0.1:8080";
const file = env.WIREBELL_STATE ?? "receiver-state.json";
let [work, waiting] = [Promise.resolve(), 0]; // one after the other
let state: { seen: string[]; done: Record<string, number> } = { seen: [], done: {} };
if (existsSync(file)) state = JSON.parse(readFileSync(file, "utf8"));

// Your part: what happens for each type of event.
async function act({ type, data: { event, alert } }: Body): Promise<void> {
  switch (type) {
    case "alert.opened": break; // ring somebody, unless event.late: over meanwhile, or old news
    case "alert.updated": case "alert.confirmed": break; // tell those who were rung more
    case "alert.corrected": break; // an article no longer says so; data.reason tells why
    case "alert.ended": case "alert.retracted": case "alert.expired": break; // stand down
    case "test.ping": break;
    default: return; // a type of later versions
  }
  const [id, title] = [webhookId(event), alert?.title ?? null];
  console.log(JSON.stringify({ type, id, sequence: event.sequence, title }));
}

function verify(secret: string, headers: IncomingHttpHeaders, body: Buffer): boolean {
  const [id, stamp, given] =
    ["id", "timestamp", "signature"].map((name) => String(headers[`webhook-${name}`] ?? ""));
  if (!/^\d+$/.test(stamp) || Math.abs(Date.now() / 1000 - Number(stamp)) > 300) return false;
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  const mac = createHmac("sha256", key).update(`${id}.${stamp}.`).update(body).digest("base64");
  const wanted = Buffer.from(`v1,${mac}`);
  return given.split(" ").map((one) => Buffer.from(one))
    .some((one) => one.length === wanted.length && timingSafeEqual(one, wanted));
}

const webhookId = (event: Event): string => `${event.id}-${event.subscription}`;

// Asks Wirebell's log for the event that follows a sequence.
async function pull(subscription: string, after: number): Promise<Body> {
  const url = `${api}/v1/subscriptions/${subscription}/events?after=${after}&limit=1`;
  const headers = { authorization: `Bearer ${env.WIREBELL_TOKEN ?? ""}` };
  const answer = await fetch(url, { headers, signal: AbortSignal.timeout(20_000) });
  const page = (await answer.json()) as { data?: Body[] };
  if (!page.data?.length) throw new Error(`${url} answers ${answer.status}`);
  return page.data[0];
}

async function once(body: Body): Promise<void> {
  const { event } = body.data;
  if (state.seen.includes(webhookId(event))) return; // a retry or a replay
  await act(body);
  state.seen = [...state.seen, webhookId(event)].slice(-10_000);
  const done = Math.max(state.done[event.subscription] ?? 0, event.sequence);
  if (event.sequence > 0) state.done[event.subscription] = done; // a test.ping does not count
  writeFileSync(`${file}.new`, JSON.stringify(state));
  renameSync(`${file}.new`, file); // after the act: a crash in between acts twice, never not
}

// Acts on what is missing before a body, then on the body.
async function take(body: Body): Promise<void> {
  waiting -= 1;
  const { subscription, sequence } = body.data.event;
  let done = state.done[subscription] ?? sequence; // none: the first that comes begins
  while (done + 1 < sequence) {
    const missed = await pull(subscription, done).catch((error) => {
      console.error(`something before ${sequence} is missing: ${error}`);
    });
    if (!missed) break; // go on with what is there: a gap must not hold up an alarm
    await once(missed);
    done = missed.data.event.sequence;
  }
  await once(body);
}

const server = createServer(async (request, response) => {
  const parts: Buffer[] = [];
  for await (const part of request) if (parts.length < 1_000) parts.push(part as Buffer);
  const body = Buffer.concat(parts); // the bytes as they came, before any parsing
  const trusted = secrets.some((secret) => verify(secret, request.headers, body));
  if (!trusted) return response.writeHead(401).end();
  if (waiting >= 10_000) return response.writeHead(503).end(); // Wirebell tries again
  waiting += 1;
  work = work.then(() => take(JSON.parse(body.toString()))); // answer first, work later
  response.writeHead(204).end();
});
server.listen(Number(env.PORT ?? 9000), env.HOST ?? "127.0.0.1", () =>
  console.error(`listening on port ${(server.address() as AddressInfo).port}`));
