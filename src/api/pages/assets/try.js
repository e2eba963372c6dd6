// The playground answers while one types.

const PAUSE_MS = 150;
const form = document.querySelector("#try");
const answer = document.querySelector("#answer");
let timer;
let asked;

async function ask() {
  asked?.abort();
  asked = new AbortController();
  try {
    const body = new URLSearchParams(new FormData(form));
    const got = await fetch("/playground/answer", { method: "POST", body, signal: asked.signal });
    const made = new DOMParser().parseFromString(await got.text(), "text/html");
    const part = made.querySelector("#answered") ?? made.querySelector(".notice");
    if (part) answer.replaceChildren(document.adoptNode(part));
  } catch (error) {
    if (error.name !== "AbortError") answer.textContent = "No answer: try again.";
  }
}

form.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(ask, PAUSE_MS);
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  clearTimeout(timer);
  ask();
});
document.addEventListener("click", async (event) => {
  const button = event.target.closest?.("[data-copy]");
  if (!button) return;
  const text = document.querySelector(button.dataset.copy);
  text.select();
  await navigator.clipboard?.writeText(text.value).catch(() => {});
  button.textContent = "Copied";
});
