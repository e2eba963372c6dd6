// What is live on the alerts page, and the keys of every page. All else works without it.

const KINDS = ["opened", "updated", "confirmed", "corrected", "ended", "retracted", "expired"];
const MOST = 200;
const find = (selector, within = document) => within.querySelector(selector);

// --- alerts as they happen

// One after the other, so that an older state never overwrites a newer one.
let before = Promise.resolve();

function listen(state) {
  const say = (text, kind) => {
    state.textContent = text;
    state.dataset.state = kind;
  };
  const source = new EventSource(`/v1/events?shadow=true&after=${state.dataset.after}`);
  source.onopen = () => say("Live", "on");
  source.onerror = () =>
    source.readyState === EventSource.CLOSED
      ? say("Not live: reload to see what is new", "off")
      : say("Reconnecting", "off");
  source.addEventListener("overtaken", () => say("Not live: reload to see what is new", "off"));
  for (const kind of KINDS) {
    source.addEventListener(`alert.${kind}`, (event) => {
      state.dataset.after = event.lastEventId;
      const { id, title } = JSON.parse(event.data).data.alert;
      before = before.then(() => show(find("#alerts"), id, kind, title)).catch(() => {});
    });
  }
  return source;
}

// A page that nobody sees lets go: browsers keep few connections to one host.
function follow(state) {
  let source;
  const look = () => {
    source?.close();
    source = document.hidden ? undefined : listen(state);
  };
  document.addEventListener("visibilitychange", look);
  look();
}

async function show(list, id, kind, title) {
  const answer = await fetch(`/alerts/${encodeURIComponent(id)}/row${location.search}`);
  const old = document.getElementById(id);
  if (answer.status === 204) return old?.remove();
  if (!answer.ok) return;
  const made = new DOMParser().parseFromString(await answer.text(), "text/html");
  const row = document.adoptNode(find("li.alert", made));
  row.classList.add("fresh");
  if (old) {
    const open = find("details", old)?.open;
    const focused = old.contains(document.activeElement);
    old.replaceWith(row);
    if (open) find("details", row).open = true;
    if (focused) find("a", row).focus();
  } else {
    list.prepend(row);
    // A page that is open for days stays light.
    while (list.children.length > MOST) list.lastElementChild.remove();
    find("#empty")?.remove();
  }
  find("#said").textContent = `${kind}: ${title}`;
}

// --- keys

function rows() {
  return [...document.querySelectorAll("#alerts > li, [data-rows] tbody tr")];
}

function move(step) {
  const all = rows();
  if (all.length === 0) return;
  const at = all.findIndex((row) => row.contains(document.activeElement));
  const to = at < 0 ? (step > 0 ? 0 : all.length - 1) : at + step;
  const row = all[Math.min(Math.max(to, 0), all.length - 1)];
  find("a", row)?.focus();
  row.scrollIntoView({ block: "nearest" });
}

function current() {
  return rows().find((row) => row.contains(document.activeElement));
}

function press(event) {
  const typing = event.target.closest?.("input, textarea, select, dialog");
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const keys = {
    "?": () => find("#keys").showModal(),
    j: () => move(1),
    k: () => move(-1),
    o: () => current() && find("a", current())?.click(),
    e: () => {
      const details = current() && find("details", current());
      if (details) details.open = !details.open;
    },
  };
  if (!Object.hasOwn(keys, event.key)) return;
  event.preventDefault();
  keys[event.key]();
}

document.addEventListener("keydown", press);
const button = find("[data-keys]");
button.hidden = false;
button.addEventListener("click", () => find("#keys").showModal());
const state = find("[data-live]");
// A page of older alerts stays as it is.
if (state && !new URLSearchParams(location.search).has("cursor")) follow(state);
