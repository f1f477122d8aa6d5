// What is seen of one world: its picture, what was expected, its numbers, and a trace of them.

const SHOWN = 480; // steps of the trace

export class World {
  constructor(name, title) {
    const figure = document.getElementById("world").content.firstElementChild.cloneNode(true);
    document.getElementById("worlds").append(figure);
    figure.id = name;
    figure.querySelector("h2").textContent = title;
    this.figure = figure;
    this.name = name;
    this.came = figure.querySelector(".came");
    this.expected = figure.querySelector(".expected");
    this.trace = figure.querySelector(".trace");
    this.over = figure.querySelector(".over");
    this.numbers = figure.querySelectorAll("[data-fact]");
    this.past = [];
    const where = title.toLowerCase();
    this.came.ariaLabel = `The ${where} as it goes on`;
    this.expected.querySelector("canvas").ariaLabel = `What the memory expected in the ${where}`;
    this.trace.ariaLabel = `Return and probability of the end in the ${where}, step by step`;
  }

  show(facts, frames) {
    this.figure.hidden = !facts;
    if (!facts) {
      this.past = [];
      return;
    }
    paint(this.came, frames.get(this.name));
    const expected = frames.get(`${this.name}_expected`);
    this.expected.hidden = !expected;
    if (expected) paint(this.expected.querySelector("canvas"), expected);
    for (const cell of this.numbers) cell.textContent = written(cell.dataset.fact, facts[cell.dataset.fact]);
    this.over.hidden = !facts.over;
    this.over.textContent = facts.over;
    this.remember(facts);
  }

  remember(facts) {
    const last = this.past.at(-1);
    if (last && facts.step < last.step) this.past = [];
    if (!last || facts.step !== last.step) this.past.push(facts);
    if (this.past.length > SHOWN) this.past.shift();
    this.draw();
  }

  draw() {
    const pen = this.trace.getContext("2d");
    const { width, height } = this.trace;
    const style = getComputedStyle(this.figure);
    pen.clearRect(0, 0, width, height);
    pen.fillStyle = style.getPropertyValue("--warn");
    pen.globalAlpha = 0.45;
    this.past.forEach((facts, at) => {
      const tall = (facts.end_probability ?? 0) * height;
      pen.fillRect(at, height - tall, 1, tall);
    });
    pen.globalAlpha = 1;
    const returns = this.past.map((facts) => facts.return ?? 0);
    const low = Math.min(0, ...returns);
    const high = Math.max(1, ...returns);
    pen.strokeStyle = style.getPropertyValue("--accent");
    pen.lineWidth = 2;
    pen.beginPath();
    returns.forEach((value, at) => pen.lineTo(at, height - 3 - ((value - low) / (high - low)) * (height - 6)));
    pen.stroke();
  }
}

function paint(canvas, image) {
  if (!image) return;
  if (canvas.width !== image.width) canvas.width = image.width;
  if (canvas.height !== image.height) canvas.height = image.height;
  canvas.getContext("2d").putImageData(image, 0, 0);
}

function written(name, value) {
  if (value === undefined || value === null) return "–";
  if (name === "step") return String(value);
  if (name === "end_probability") return `${(100 * value).toFixed(1)} %`;
  return value.toFixed(name === "return" ? 1 : 2);
}
