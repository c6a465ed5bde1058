// The marking page. Everything a student wrote comes as harmless HTML from the server, or is set as text.
"use strict";

const at = (id) => document.getElementById(id);
const state = { questions: [], marks: {}, q: 0, a: 0, all: false, undo: [], shown: null, raw: false, put: null, busy: Promise.resolve() };
const cache = new Map();

const question = () => state.questions[state.q];
const sheet = () => question() && question().answers[state.a];
const mark = (id) => state.marks[id] || { points: null, comment: "", waits: true, old: [] };
const settled = (id) => !mark(id).waits;

// ---------------------------------------------------------------- talking to the server

async function ask(path, options) {
  let reply;
  try {
    reply = await fetch(path, options);
  } catch {
    throw new Error("The server does not answer: is maml-edu classroom mark still running?");
  }
  const told = await reply.json().catch(() => ({ error: `status ${reply.status}` }));
  if (told.marks) state.marks = told.marks;
  if (!reply.ok) throw new Error(told.error);
  return told;
}

function give(ids, points, comment) {
  const seen = ids.map((id) => ({ points: mark(id).points, comment: mark(id).comment }));
  const body = JSON.stringify({ answers: ids, points, comment, seen });
  return ask("give", { method: "POST", headers: { "Content-Type": "application/json" }, body });
}

// One request after the other, so that what is seen is what was there.
function inTurn(work) {
  state.busy = state.busy.then(work, work).catch((error) => say(error.message, true)); // what was typed stays
  return state.busy;
}

async function textOf(id) {
  if (!cache.has(id)) cache.set(id, ask(`answer/${id}`).catch((error) => { cache.delete(id); throw error; }));
  return cache.get(id);
}

// ---------------------------------------------------------------- marking

function parsed(text) {
  const plain = text.trim().replace(",", ".");
  if (!plain) return null;
  const value = Number(plain);
  if (!/^\d{1,6}(\.\d{0,6})?$/.test(plain) || value > question().worth)
    throw new Error(`Points are a number from 0 to ${question().worth}, not “${text.trim()}”.`);
  return value;
}

const idsOf = (one) => (state.all ? [one.id, ...one.same] : [one.id]);

const lines = (text) => text.replace(/\r\n?/g, "\n"); // as a text area has them
const shown = () => ({ points: at("points").value.trim().replace(",", "."), comment: at("comment").value });
const typedOn = () => ["points", "comment"].some((name) => at(name).value !== state.put[name]); // since it was sent

function dirty() {
  const one = sheet();
  if (!one) return false;
  const now = mark(one.id);
  const { points, comment } = shown(), was = lines(now.comment);
  const others = idsOf(one).some((id) => mark(id).points !== now.points || mark(id).comment !== now.comment);
  const changed = points !== (now.points === null ? "" : String(now.points)) || comment !== was;
  return changed || (others && (points !== "" || comment !== ""));
}

async function save() {
  const one = sheet();
  if (!one || !dirty()) return true;
  const points = parsed(at("points").value), comment = at("comment").value, ids = idsOf(one);
  const before = ids.map((id) => ({ id, points: mark(id).points, comment: mark(id).comment }));
  const sent = { of: one.id, points: at("points").value, comment };
  await give(ids, points, comment);
  state.put = sent;
  state.undo.push({ q: state.q, a: state.a, before });
  say(points === null ? "Saved the comment; the answer still waits."
    : `Saved: ${points} of ${question().worth}${ids.length > 1 ? `, for ${ids.length} equal answers` : ""}.`);
  return true;
}

const setPoints = (value) => inTurn(async () => {
  if (!sheet() || value > question().worth) return say(`It is worth ${question().worth} points.`, true);
  at("points").value = String(value);
  await save();
  draw();
});

const undo = () => inTurn(async () => {
  const last = state.undo.pop();
  if (!last) return say("There is nothing to undo.");
  for (const was of last.before) await give([was.id], was.points, was.comment);
  go(last.q, last.a);
  say("Undone.");
});

// ---------------------------------------------------------------- going about

function go(q, a) {
  if (q !== state.q || a !== state.a) { state.all = false; state.raw = false; }
  if (q === state.q && a !== state.a && matchMedia("(max-width: 61.9rem)").matches) // read once; one tap away
    at("question").open = at("rubric").open = false;
  state.q = q; state.a = a; state.shown = null;
  draw();
}

// Saves what is there, and then moves; who typed on meanwhile stays with the answer that it is for.
const move = (where) => inTurn(async () => {
  await save();
  if (!dirty() || !typedOn()) return where();
  draw();
  say("You typed on while it was saved: that is not saved yet.", true);
});

function step(by) {
  const n = question().answers.length;
  const a = state.a + by;
  if (a >= 0 && a < n) return go(state.q, a);
  const q = state.q + by;
  if (q >= 0 && q < state.questions.length) return go(q, by > 0 ? 0 : state.questions[q].answers.length - 1);
  draw();
  say(by > 0 ? "This is the last answer." : "This is the first answer.");
}

function nextWaiting() {
  const places = state.questions.flatMap((one, q) => one.answers.map((own, a) => ({ q, a, id: own.id })));
  const here = places.findIndex((place) => place.q === state.q && place.a === state.a);
  const found = [...places.slice(here + 1), ...places.slice(0, here)].find((place) => !settled(place.id));
  if (found) return go(found.q, found.a);
  draw();
  if (settled(places[here].id)) say("Everything is marked. Ctrl-C in the terminal ends it.");
}

function jump(by) {
  const q = state.q + by;
  if (q < 0 || q >= state.questions.length) return;
  const first = state.questions[q].answers.findIndex((one) => !settled(one.id));
  go(q, Math.max(first, 0));
}

// ---------------------------------------------------------------- drawing

function say(words, wrong = false) {
  at("said").textContent = words;
  at("said").classList.toggle("wrong", wrong);
}

function node(tag, text, name) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (name) made.className = name;
  return made;
}

function put(where, html) {
  where.innerHTML = html; // made harmless by the server; the policy of this page runs no script in it
  for (const image of where.querySelectorAll("img.tex")) image.style.verticalAlign = `-${Number(image.dataset.low)}px`;
}

function drawAsked() {
  const one = question();
  for (const part of ["question", "rubric", "model"]) {
    at(part).hidden = !one[part];
    const box = at(part).querySelector("div");
    if (box.dataset.of !== one.id) { box.dataset.of = one.id; put(box, one[part]); }
  }
}

function drawButtons() {
  const one = question(), now = mark(sheet().id).points, box = at("buttons");
  const step_ = one.worth <= 4 ? 0.5 : 1;
  if (box.dataset.of !== one.id) { // the same ones stay: one of them may have the focus
    box.dataset.of = one.id;
    box.replaceChildren();
    for (let value = 0; value <= one.worth && value <= 12; value += step_) {
      const button = node("button", String(value));
      button.type = "button";
      button.addEventListener("click", () => setPoints(value));
      box.append(button);
    }
  }
  for (const button of box.children) button.setAttribute("aria-pressed", String(Number(button.textContent) === now));
  at("worth").textContent = `of ${one.worth}`;
}

function drawFlags(one) {
  const flags = [];
  if (one.earlier) flags.push(`an earlier hand-in, ${one.earlier}`);
  if (one.model) flags.push("equal to the model answer");
  if (one.same.length) flags.push(`${one.same.length + 1} equal answers`);
  if (one.reason) flags.push(one.reason);
  at("flags").replaceChildren(...flags.map((words) => node("span", words, "flag")));
  at("old").replaceChildren(...mark(one.id).old.map((was) => {
    const points = was.points === null ? "a comment" : `${was.points} of ${question().worth} points`;
    return node("p", `Changed since it was read. Then: ${points}${was.comment ? `, “${was.comment}”` : ""}`, "old");
  }));
}

function drawSame(one) {
  const box = at("same");
  box.replaceChildren();
  if (!one.same.length) return;
  const made = node("div", undefined, "same"), label = node("label"), check = node("input");
  check.type = "checkbox"; check.id = "for-all"; check.checked = state.all;
  check.addEventListener("change", () => { state.all = check.checked; });
  label.append(check, ` one mark for all ${one.same.length + 1} equal answers (e)`);
  const list = node("ul");
  for (const id of one.same) {
    const a = question().answers.findIndex((own) => own.id === id), now = mark(id).points;
    const item = node("li"), link = node("button", `${question().answers[a].name}${now === null ? "" : `: ${now}`}`);
    link.type = "button"; link.dir = "auto";
    link.addEventListener("click", () => move(() => go(state.q, a)));
    item.append(link);
    list.append(item);
  }
  made.append(label, list);
  box.append(made);
}

async function drawAnswer(one) {
  const key = `${one.id} ${state.raw}`;
  at("answer").classList.toggle("done", settled(one.id));
  if (state.shown === key) return;
  state.shown = key;
  try {
    const text = await textOf(one.id);
    if (state.shown !== key) return;
    if (state.raw) at("answer").replaceChildren(node("pre", text.source, "words"));
    else if (text.html.trim()) put(at("answer"), text.html);
    else at("answer").replaceChildren(node("p", "(no answer was found: look in the notebook)", "soft"));
  } catch (error) { say(error.message, true); }
  const next = question().answers[state.a + 1];
  if (next) textOf(next.id).catch(() => {});
}

// The fields, but for one in which something has been typed since it was filled or sent.
function drawFields(one) {
  const now = mark(one.id), same = state.put && state.put.of === one.id, shows = shown();
  const put = { of: one.id, points: now.points === null ? "" : String(now.points), comment: lines(now.comment) };
  for (const name of ["points", "comment"]) {
    const box = at(name), right = document.activeElement === box && shows[name] === put[name];
    if (same && (right || box.value !== state.put[name])) put[name] = state.put[name];
    else box.value = put[name];
  }
  state.put = put;
}

function drawProgress() {
  const every = state.questions.flatMap((one) => one.answers), done = every.filter((one) => settled(one.id)).length;
  at("progress").textContent = `${done} of ${every.length} done`;
  at("bar").style.width = `${every.length ? (100 * done) / every.length : 0}%`;
  document.title = `Marking: ${done} of ${every.length}`;
  state.questions.forEach((one, q) => {
    const own = one.answers.filter((answer) => settled(answer.id)).length;
    at("which").options[q].textContent = `${one.chapter} · ${one.title} (${one.id}) · ${own}/${one.answers.length}`;
  });
  at("which").selectedIndex = state.q;
}

function draw() {
  const one = sheet();
  if (!one) { at("main").hidden = true; at("progress").textContent = "Nothing waits for a person."; return; }
  drawProgress();
  drawAsked();
  drawButtons();
  at("name").textContent = one.name;
  at("place").textContent = `${state.a + 1} of ${question().answers.length}`;
  drawFlags(one);
  drawSame(one);
  drawFields(one);
  at("undo").disabled = !state.undo.length;
  drawAnswer(one);
}

// ---------------------------------------------------------------- keys and buttons

const saveAndNext = () => { document.activeElement.blur(); move(nextWaiting); };

const KEYS = {
  Enter: saveAndNext,
  ArrowRight: () => move(() => step(1)),
  ArrowLeft: () => move(() => step(-1)),
  "]": () => move(() => jump(1)),
  "[": () => move(() => jump(-1)),
  "+": () => setPoints(Math.min((mark(sheet().id).points ?? 0) + 0.5, question().worth)),
  "-": () => setPoints(Math.max((mark(sheet().id).points ?? 0) - 0.5, 0)),
  c: () => at("comment").focus(),
  p: () => { at("points").focus(); at("points").select(); },
  e: () => { if (at("for-all")) { state.all = !state.all; at("for-all").checked = state.all; } },
  m: () => { at("model").open = !at("model").open; },
  s: () => { state.raw = !state.raw; drawAnswer(sheet()); },
  u: undo,
  "?": () => at("help").showModal(),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || at("help").open || !sheet()) return;
  const where = event.target, typing = where.matches("textarea, input:not([type=checkbox])");
  if (typing) {
    if (event.key === "Escape") where.blur();
    else if (event.key === "Enter" && !event.shiftKey) { event.preventDefault(); saveAndNext(); }
    return;
  }
  if (event.key === "Enter" && where.matches("button, summary, a")) return;
  if (where.matches("select")) return;
  const digit = /^[0-9]$/.test(event.key), act = KEYS[event.key];
  if (!digit && !act) return;
  event.preventDefault();
  if (digit) setPoints(Number(event.key)); else act();
});

at("mark").addEventListener("submit", (event) => { event.preventDefault(); saveAndNext(); });
at("back").addEventListener("click", () => move(() => step(-1)));
at("undo").addEventListener("click", undo);
at("help-button").addEventListener("click", () => at("help").showModal());
for (const box of ["points", "comment"])
  at(box).addEventListener("change", () => inTurn(async () => { await save(); draw(); }));
at("which").addEventListener("change", () => {
  const by = at("which").selectedIndex - state.q;
  at("which").blur();
  move(() => jump(by));
});
window.addEventListener("focus", () => { if (sheet() && !dirty()) inTurn(async () => { await ask("marks"); draw(); }); });
window.addEventListener("beforeunload", (event) => { if (dirty()) event.preventDefault(); });

async function start() {
  const told = await ask("state");
  state.questions = told.questions;
  at("which").replaceChildren(...told.questions.map(() => node("option")));
  const q = told.questions.findIndex((one) => one.answers.some((own) => !settled(own.id)));
  state.q = Math.max(q, 0);
  state.a = q < 0 ? 0 : told.questions[q].answers.findIndex((own) => !settled(own.id));
  draw();
}

start().catch((error) => say(error.message, true));
