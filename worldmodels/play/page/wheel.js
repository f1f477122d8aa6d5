// Wheel and pedals, from keys and from buttons that are held; steering takes a moment from one side to the other.

const KEYS = {
  ArrowLeft: "left", ArrowRight: "right", ArrowUp: "gas", ArrowDown: "brake",
  KeyA: "left", KeyD: "right", KeyW: "gas", KeyS: "brake",
};
const TURN = 0.35; // of the way to where it is held, at each step

export class Wheel {
  constructor(touched) {
    this.held = new Map(); // what holds it -> where to
    this.x = 0;
    this.choice = 0;
    this.touched = touched;
  }

  // Whether the key belongs to the wheel.
  press(code) {
    if (!(code in KEYS)) return false;
    this.hold(code, KEYS[code]);
    return true;
  }

  release(code) {
    this.held.delete(code);
  }

  hold(by, direction) {
    this.held.set(by, direction);
    this.touched();
  }

  letGo() {
    this.held.clear();
  }

  wants(direction) {
    return [...this.held.values()].includes(direction) ? 1 : 0;
  }

  // Where the wheel is at the next step.
  next() {
    const aim = this.wants("right") - this.wants("left");
    this.x += TURN * (aim - this.x);
    if (Math.abs(aim - this.x) < 0.05) this.x = aim;
    return { x: this.x, y: this.wants("gas") - this.wants("brake"), choice: this.choice };
  }

  buttons(pads) {
    for (const button of pads.querySelectorAll("[data-hold]")) {
      const by = `button ${button.dataset.hold}`;
      const free = () => {
        this.release(by);
        button.classList.remove("held");
      };
      const hold = () => {
        this.hold(by, button.dataset.hold);
        button.classList.add("held");
      };
      button.addEventListener("pointerdown", (event) => {
        event.preventDefault();
        hold();
      });
      for (const name of ["pointerup", "pointercancel", "pointerleave"]) button.addEventListener(name, free);
      button.addEventListener("keydown", (event) => ["Enter", "Space"].includes(event.code) && hold());
      button.addEventListener("keyup", free);
      button.addEventListener("blur", free);
      button.addEventListener("contextmenu", (event) => event.preventDefault());
    }
  }
}
