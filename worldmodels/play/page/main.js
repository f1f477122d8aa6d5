// The studio: asks for steps at an even pace while driving, and shows what comes.

import { Dials } from "./dials.js";
import { Link } from "./link.js";
import { Wheel } from "./wheel.js";
import { World } from "./world.js";

const FILMS = ["webm", "mp4", "gif"];
const element = (id) => document.getElementById(id);
const worlds = [new World("dream", "Dream"), new World("real", "Real environment")];
const state = { driving: false, agent: false, recording: false, due: 0, turn: false, shown: [], over: false, news: "" };
const wheel = new Wheel(() => !state.driving && !state.over && drive(true));
const dials = new Dials(() => (state.turn = true));
let greeting = null;

const link = new Link({
  loading: say,
  greeting(said) {
    greeting = said;
    element("run").textContent = said.run;
    document.title = `${said.run} · worldmodels play`;
    element("rate").value = Math.min(25, Math.round(said.fps));
    element("seed").value = said.seed;
    fill(element("part"), said.parts);
    fill(element("other"), said.runs);
    element("swap").disabled = said.runs.length === 0;
    element("films").hidden = said.films.length === 0;
    for (const id of FILMS) element(id).hidden = !said.films.includes(id);
    element("parts").hidden = said.parts.length === 0;
    element("choice").hidden = said.worlds.length === 1;
    element("start").querySelector("[value=here]").hidden = !said.worlds.includes("real");
    choices(said.choices);
    dials.greet(said);
    rate();
    say(`${said.env}. Press an arrow key, or Drive.`);
  },
  seen(facts, frames) {
    for (const world of worlds) world.show(facts[world.name], frames);
    const shown = worlds.filter((world) => facts[world.name]);
    element("worlds").classList.toggle("one", shown.length === 1);
    state.over = shown.every((world) => facts[world.name].over);
    if (facts.latent) dials.follow(facts.latent);
    element("agent").disabled = !facts.has_agent;
    element("agent").title = facts.has_agent ? "" : "this run has no agent yet";
    dials.residuals(facts.residuals);
    record(facts.recorded);
    count();
    if (state.news) say(state.news);
    state.news = "";
    if (state.over && state.driving) {
      drive(false);
      say(`The drive is over: ${shown.map((world) => facts[world.name].over).join(", ")}. R begins another.`);
    }
  },
  film(name, content) {
    const address = URL.createObjectURL(new Blob([content]));
    const anchor = Object.assign(document.createElement("a"), { href: address, download: name });
    anchor.click();
    setTimeout(() => URL.revokeObjectURL(address), 10000);
    say(`${name} is saved.`);
  },
  error(message) {
    drive(false);
    state.news = "";
    say("");
    element("error").textContent = message;
    element("error").hidden = false;
  },
  closed(reason, refused) {
    drive(false);
    if (!refused) element("run").textContent = greeting?.run ?? "No connection";
    if (!refused) this.error(`The connection has ended${reason ? `: ${reason}` : ""}. Start the server again, then reload this page.`);
    for (const control of document.querySelectorAll("button, input, select")) control.disabled = true;
  },
});

function say(text) {
  element("status").textContent = text;
}

function fill(select, names) {
  select.replaceChildren(...names.map((name) => new Option(name, name)));
}

function choices(count_) {
  element("choices").hidden = count_ === 0;
  element("pads").hidden = count_ > 0;
  for (let index = 0; index < count_; index += 1) {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: `action ${index}` });
    button.addEventListener("click", () => (wheel.choice = index));
    element("choices").append(button);
  }
}

function drive(on) {
  state.driving = on;
  state.due = performance.now();
  if (on) element("error").hidden = true;
  else wheel.letGo();
  element("play").textContent = on ? "Pause" : "Drive";
  element("play").setAttribute("aria-pressed", String(on));
  if (on) say(state.agent ? "The agent drives." : "You drive.");
}

function worldsWanted() {
  return document.querySelector("[name=worlds]:checked").value;
}

function restart() {
  state.over = false;
  const start = element("start").value;
  const seed = Math.max(0, Math.floor(Number(element("seed").value)) || 0);
  link.ask({ do: "restart", worlds: worldsWanted(), start, seed });
  element("sees-row").hidden = worldsWanted() !== "both";
}

function another() {
  element("seed").value = Number(element("seed").value) + 1;
  restart();
}

function step() {
  link.ask({
    do: "step",
    ...wheel.next(),
    agent: state.agent,
    sees: element("sees").value,
    expectation: element("expectation").checked,
  });
}

function handOver() {
  if (element("agent").disabled) return;
  state.agent = !state.agent;
  element("agent").textContent = state.agent ? "Take the wheel" : "Let the agent drive";
  element("agent").setAttribute("aria-pressed", String(state.agent));
  say(state.agent ? "The agent has the wheel." : "You have the wheel.");
}

function record(frames) {
  element("recorded").textContent = frames ? `${frames} frames` : "";
  for (const id of FILMS) element(id).disabled = !frames;
}

function rate() {
  element("rate-value").textContent = element("rate").value;
}

// What was shown in the last second, for whoever wants to know.
function count() {
  const now = performance.now();
  state.shown = [...state.shown.filter((time) => now - time < 1000), now];
  document.documentElement.dataset.rate = state.shown.length;
}

function tick(now) {
  if (link.free) {
    if (state.turn) {
      state.turn = false;
      link.ask(dials.question());
    } else if (state.driving && now >= state.due) {
      state.due = Math.max(state.due + 1000 / Number(element("rate").value), now - 100);
      step();
    }
  }
}

// Not by animation frames: those are 60 a second or none, and a step should be asked for as soon as it is due.
setInterval(() => tick(performance.now()), 4);

element("play").addEventListener("click", () => (state.over ? another() : drive(!state.driving)));
element("step").addEventListener("click", step);
element("restart").addEventListener("click", another);
element("agent").addEventListener("click", handOver);
element("rate").addEventListener("input", rate);
element("seed").addEventListener("change", restart);
element("start").addEventListener("change", restart);
for (const radio of document.querySelectorAll("[name=worlds]")) radio.addEventListener("change", restart);
element("record").addEventListener("click", () => {
  state.recording = !state.recording;
  element("record").setAttribute("aria-pressed", String(state.recording));
  element("record").textContent = state.recording ? "Stop recording" : "Record";
  link.ask({ do: "record", on: state.recording });
});
for (const format of FILMS) {
  element(format).addEventListener("click", () => {
    drive(false);
    say("The film is being made …");
    link.ask({ do: "film", format, fps: Number(element("rate").value) });
  });
}
element("swap").addEventListener("click", () => {
  drive(false);
  element("error").hidden = true;
  state.news = `The drive goes on with the ${element("part").value} of ${element("other").value}.`;
  link.ask({ do: "swap", part: element("part").value, run: element("other").value });
});
element("worlds").addEventListener("click", () => document.activeElement?.blur());
wheel.buttons(element("pads"));

const ACTS = {
  Space: () => (state.over ? another() : drive(!state.driving)),
  Period: step,
  KeyR: another,
  KeyG: handOver,
};

document.addEventListener("keydown", (event) => {
  const at = event.target.tagName;
  if (event.ctrlKey || event.metaKey || event.altKey || ["INPUT", "SELECT", "TEXTAREA"].includes(at)) return;
  if (["BUTTON", "SUMMARY"].includes(at) && ["Space", "Enter"].includes(event.code)) return; // the button's own
  if (wheel.press(event.code)) event.preventDefault();
  else if (event.code in ACTS && !event.repeat) {
    event.preventDefault();
    ACTS[event.code]();
  }
});
document.addEventListener("keyup", (event) => wheel.release(event.code));
window.addEventListener("blur", () => wheel.letGo());
document.addEventListener("visibilitychange", () => document.hidden && drive(false));
// What was used by hand gives the keys back to the wheel; who uses the keyboard keeps the focus where it is.
document.addEventListener("pointerup", () =>
  setTimeout(() => {
    const used = document.activeElement;
    if (used?.tagName === "BUTTON" || ["range", "radio", "checkbox"].includes(used?.type)) used.blur();
  }),
);
