// The dials of the dream, and one row for each dimension of its latent: follow, hold at a value, or push by one.

const element = (id) => document.getElementById(id);

export class Dials {
  constructor(turned) {
    this.turned = turned;
    this.latents = [];
    for (const id of ["temperature", "noise", "endless"]) element(id).addEventListener("input", () => this.changed());
    element("follow").addEventListener("click", () => {
      for (const row of this.latents) this.mode(row, "follow");
      this.changed();
    });
  }

  greet(greeting) {
    element("temperature").value = greeting.dials.temperature;
    element("noise").value = greeting.dials.noise;
    element("latents").replaceChildren();
    this.latents = greeting.latents.map(([low, high], index) => this.row(index, low, high));
    this.label();
  }

  residuals(there) {
    const option = element("noise").querySelector("[value=residual]");
    if (option.disabled === !there) return;
    option.disabled = !there;
    option.textContent = there ? "recorded (residual)" : "recorded (none here)";
  }

  row(index, low, high) {
    const row = document.createElement("div");
    row.className = "latent";
    row.innerHTML =
      `<span aria-hidden="true">${index}</span>` +
      `<select aria-label="Latent ${index}: what becomes of it">` +
      `<option value="follow">follow</option><option value="hold">hold</option><option value="push">push</option></select>` +
      `<input type="range" min="${low}" max="${high}" step="any" aria-label="Latent ${index}: value"><output></output>`;
    const [, select, slider, output] = row.children;
    const kept = { index, row, select, slider, output, low, high };
    select.addEventListener("input", () => {
      this.mode(kept, select.value);
      this.changed();
    });
    slider.addEventListener("input", () => {
      if (select.value === "follow") this.mode(kept, "hold", Number(slider.value)); // moved by hand: held there
      this.changed();
    });
    element("latents").append(row);
    return kept;
  }

  mode(kept, mode, value) {
    const push = mode === "push";
    const wide = (kept.high - kept.low) / 8;
    const present = value ?? Number(kept.slider.value);
    kept.select.value = mode;
    kept.slider.min = push ? -wide : kept.low;
    kept.slider.max = push ? wide : kept.high;
    kept.slider.value = push ? 0 : present;
    kept.row.classList.toggle("turned", mode !== "follow");
  }

  // Let the sliders that follow show the present latent.
  follow(latent) {
    for (const { index, select, slider, output } of this.latents) {
      if (latent && select.value === "follow") slider.value = latent[index];
      output.textContent = Number(slider.value).toFixed(2);
    }
  }

  changed() {
    this.label();
    this.turned();
  }

  label() {
    element("temperature-value").textContent = Number(element("temperature").value).toFixed(2);
    this.follow(null);
  }

  question() {
    const of = (mode) =>
      this.latents.filter(({ select }) => select.value === mode).map(({ index, slider }) => [index, Number(slider.value)]);
    return {
      do: "turn",
      temperature: Number(element("temperature").value),
      noise: element("noise").value,
      endless: element("endless").checked,
      held: of("hold"),
      pushed: of("push"),
    };
  }
}
