"use strict";

const said = document.getElementById("said"), state = document.getElementById("state");
const replies = document.getElementById("replies"), form = document.getElementById("say"), text = document.getElementById("text");
const MOST = 12; // messages that are sent along; the model reads fewer
let messages = [];

async function post(path, content) {
  const answer = await fetch(path, { method: "POST", body: JSON.stringify(content), headers: { "Content-Type": "application/json" } });
  const found = await answer.json();
  if (!answer.ok) throw new Error(found.error);
  return found;
}

function show(message) {
  const item = document.createElement("li");
  item.textContent = message.text;
  if (message.mine) item.className = "me";
  said.append(item);
  item.scrollIntoView({ block: "nearest" });
}

function offer(found) {
  replies.replaceChildren(...found.replies.map((reply) => {
    const button = document.createElement("button"), why = document.createElement("small");
    button.type = "button";
    button.append(reply.text, why);
    why.textContent = found.fallback ? "fixed" : `${reply.intent}, ${Math.round(100 * reply.score)} %`;
    button.title = reply.words.length ? `because of: ${reply.words.join(", ")}` : "";
    button.addEventListener("click", () => answer(reply.text));
    return button;
  }));
  state.textContent = found.reason || `confidence ${Math.round(100 * found.confidence)} %`;
}

async function hear(message) {
  messages = [...messages, message].slice(-MOST);
  show(message);
  if (message.mine) offer({ replies: [], reason: " " });
  else offer(await post("suggest", { messages }));
}

async function answer(reply) {
  if (messages.some((message) => !message.mine)) await post("learn", { messages, reply });
  await hear({ text: reply, mine: true });
}

function attempt(action) {
  action().catch((error) => { state.textContent = error.message; });
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const mine = form.elements.who.value === "me", content = text.value.trim();
  text.value = "";
  if (content) attempt(() => (mine ? answer(content) : hear({ text: content, mine: false })));
});

document.getElementById("again").addEventListener("click", () => {
  messages = [];
  said.replaceChildren();
  offer({ replies: [], reason: " " });
});

document.getElementById("forget").addEventListener("click", () => attempt(async () => {
  await post("forget", {});
  state.textContent = "forgotten";
}));
