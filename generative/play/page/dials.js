// A widget for each dial, by its kind; `values` has what they are turned to.

let count = 0;

function make(tag, more = {}, ...children) {
  const { role, ...properties } = more;
  const element = Object.assign(document.createElement(tag), properties);
  if (role) element.setAttribute("role", role);
  element.append(...children);
  return element;
}

const number = (text) => (text.trim() === "" ? null : Number(text));

// Values of a list as they are typed: words between commas or blanks, numbers where they look like it.
const list = (text) =>
  text
    .split(/[\s,]+/)
    .filter(Boolean)
    .map((word) => (Number.isFinite(Number(word)) ? Number(word) : word));

const KINDS = {
  whole: (dial, id) => field(dial, make("input", { id, type: "number", step: 1, value: dial.value ?? "" }), number),
  number: (dial, id) => field(dial, make("input", { id, type: "number", step: "any", value: dial.value ?? "" }), number),
  text: (dial, id) => field(dial, make("textarea", { id, rows: 2, value: dial.value ?? "" }), (text) => text, true),
  list: (dial, id) => field(dial, make("input", { id, type: "text", value: (dial.value ?? []).join(" ") }), list, true),
  choice: (dial, id) => {
    const options = dial.choices.map((name) => make("option", { value: name, textContent: name }));
    const select = make("select", { id }, ...options);
    select.value = dial.value;
    return field(dial, select, (text) => text);
  },
  tick: (dial, id) => {
    const box = make("input", { id, type: "checkbox", checked: Boolean(dial.value) });
    const label = make("label", { className: "tick", htmlFor: id }, box, words(dial.name));
    return { row: make("div", {}, label, note(dial)), value: () => box.checked };
  },
  names: (dial, id) => {
    const boxes = dial.choices.map((name, place) => {
      const box = make("input", { id: `${id}-${place}`, type: "checkbox", value: name });
      return [box, make("label", { className: "tick", htmlFor: box.id }, box, name)];
    });
    const names = make("div", { className: "names" }, ...boxes.map(([, label]) => label));
    const row = group(dial, names);
    return { row, value: () => boxes.filter(([box]) => box.checked).map(([box]) => box.value) };
  },
  sliders: (dial, id) => {
    const rows = dial.sliders.map(([name, low, high], place) => {
      const slider = make("input", { id: `${id}-${place}`, type: "range", min: low, max: high, step: "any", value: 0 });
      const output = make("output", { htmlFor: slider.id, textContent: "0.0" });
      slider.addEventListener("input", () => (output.textContent = Number(slider.value).toFixed(1)));
      return [slider, make("div", { className: "slider" }, make("label", { htmlFor: slider.id }, name), slider, output)];
    });
    const row = group(dial, make("div", { className: "sliders" }, ...rows.map(([, each]) => each)));
    return { row, value: () => rows.map(([slider]) => Number(slider.value)) };
  },
};

const words = (name) => (name[0].toUpperCase() + name.slice(1)).replaceAll("_", " ");
// What stands between backticks is what people type.
const coded = (text) => text.split("`").map((part, place) => (place % 2 ? make("code", { textContent: part }) : part));
const note = (dial) => make("p", { className: "muted" }, ...coded(dial.says));

function field(dial, input, read, wide = false) {
  const label = make("label", { htmlFor: input.id }, words(dial.name));
  const row = make("div", { className: wide ? "row wide" : "row" }, label, input, note(dial));
  return { row, value: () => read(input.value) };
}

function group(dial, content) {
  const set = make("fieldset", {}, make("legend", {}, words(dial.name)), content, note(dial));
  return make("div", { className: "row wide" }, set);
}

export class Dials {
  constructor(form, turned) {
    this.form = form;
    form.addEventListener("input", turned);
    form.addEventListener("submit", (event) => event.preventDefault());
  }

  show(dials) {
    this.rows = dials.map((dial) => ({ name: dial.name, ...KINDS[dial.kind](dial, `dial-${(count += 1)}`) }));
    this.form.replaceChildren(...this.rows.map(({ row }) => row));
  }

  // An empty number is left as it is by default.
  get values() {
    const all = this.rows.map(({ name, value }) => [name, value()]);
    return Object.fromEntries(all.filter(([, value]) => value !== null));
  }
}
