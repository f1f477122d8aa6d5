// The page: it knows no model, only controls with dials, and files by their endings.

import { Dials } from "/page/dials.js";

const element = (id) => document.getElementById(id);
const TYPES = { ".png": "image/png", ".gif": "image/gif", ".webm": "video/webm", ".wav": "audio/wav", ".mid": "audio/midi", ".txt": "text/plain" };
const PAUSE = 150; // milliseconds after which a dial that was turned counts
const WIDE = 640; // pixels up to which small pictures are enlarged, by whole numbers
const SLOW = 3000; // milliseconds after which what a control makes is not made anew with every turn

let shown = null; // the control
let asking = null; // what ends the question under way
let wanted = false; // whether something was turned while one was under way
let timer = 0;
let urls = [];

const dials = new Dials(element("dials"), () => element("live").checked && later());

function later() {
  clearTimeout(timer);
  timer = setTimeout(ask, PAUSE);
}

function fail(said) {
  element("error").textContent = said;
  element("error").hidden = !said;
}

async function ask() {
  if (asking && !shown.streams) {
    wanted = true;
    return;
  }
  asking?.abort();
  const mine = (asking = new AbortController());
  const control = shown;
  const began = performance.now();
  const question = { control: control.name, dials: dials.values, seed: Number(element("seed").value) };
  element("status").textContent = control.streams ? "writing …" : "making …";
  try {
    const answer = await fetch(control.streams ? "/write" : "/make", {
      method: "POST",
      body: JSON.stringify(question),
      signal: mine.signal,
    });
    if (!answer.ok) throw new Error((await answer.json()).error);
    fail("");
    if (control.streams) await read(answer);
    else if (control === shown) present(await answer.json());
    const took = performance.now() - began;
    element("status").textContent = `${(took / 1000).toFixed(1)} s`;
    if (took > SLOW && !control.streams) element("live").checked = false;
  } catch (error) {
    if (error.name === "AbortError") return;
    element("status").textContent = "";
    fail(error instanceof TypeError ? "the server has ended: start it again and reload" : error.message);
  } finally {
    if (asking === mine) asking = null;
  }
  if (wanted) {
    wanted = false;
    ask();
  }
}

async function read(answer) {
  const text = document.createElement("pre");
  clear();
  element("made").append(text);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) text.textContent += part.value;
}

function clear() {
  urls.forEach((url) => URL.revokeObjectURL(url));
  urls = [];
  element("made").replaceChildren();
}

function present(files) {
  const found = Object.entries(files).map(([ending, content]) => view(ending, Uint8Array.from(atob(content), (c) => c.charCodeAt(0))));
  clear();
  urls = found.map(({ url }) => url);
  element("made").append(...found.map(({ item }) => item));
}

function view(ending, bytes) {
  const type = TYPES[ending] ?? "application/octet-stream";
  const url = URL.createObjectURL(new Blob([bytes], { type }));
  const says = `what ${shown.name} made`;
  let item;
  if (type.startsWith("image/")) item = Object.assign(new Image(), { src: url, alt: says, onload: enlarge });
  else if (type.startsWith("video/") || type === "audio/wav") {
    item = Object.assign(document.createElement(type.startsWith("video/") ? "video" : "audio"), { src: url, controls: true, loop: true });
    item.setAttribute("aria-label", says);
  } else if (type === "text/plain") item = Object.assign(document.createElement("pre"), { textContent: new TextDecoder().decode(bytes) });
  else {
    item = Object.assign(document.createElement("a"), { href: url, download: `made${ending}`, textContent: `save made${ending}` });
  }
  return { url, item };
}

function enlarge(event) {
  const { style, naturalWidth } = event.target;
  style.width = `${naturalWidth * Math.max(1, Math.floor(WIDE / naturalWidth))}px`;
}

function choose(control) {
  asking?.abort();
  asking = null;
  wanted = false;
  shown = control;
  for (const button of element("controls").children) button.setAttribute("aria-pressed", button.dataset.name === control.name);
  element("says").textContent = control.says;
  element("make").textContent = control.streams ? "Write" : "Make";
  clear();
  fail("");
  dials.show(control.dials);
  element("live").checked = !control.streams;
  ask();
}

element("make").addEventListener("click", ask);
element("again").addEventListener("click", () => {
  element("seed").value = Number(element("seed").value) + 1;
  ask();
});
element("reset").addEventListener("click", () => {
  dials.show(shown.dials);
  ask();
});
element("seed").addEventListener("input", () => element("live").checked && later());

const about = await (await fetch("/controls")).json();
document.title = `${about.title} · generative play`;
element("title").textContent = about.title;
element("about").textContent = about.about;
for (const control of about.controls) {
  const button = Object.assign(document.createElement("button"), { type: "button", textContent: control.name.replaceAll("-", " ") });
  button.dataset.name = control.name;
  button.addEventListener("click", () => choose(control));
  element("controls").append(button);
}
choose(about.controls[0]);
