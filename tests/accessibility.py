"""What of a page in the browser some people could not use: text too faint, controls without a name or without focus."""

import json

LEAST = 4.5
"""Contrast of text and its background, after WCAG 2.2, 1.4.3 (level AA)."""
FAULTS = """(() => {
  const pen = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const rgba = (colour, below) => {
    pen.clearRect(0, 0, 1, 1);
    for (const each of [below, colour]) { pen.fillStyle = each; pen.fillRect(0, 0, 1, 1); }
    return [...pen.getImageData(0, 0, 1, 1).data];
  };
  const css = ([red, green, blue]) => `rgb(${red} ${green} ${blue})`;
  const behind = (element) =>
    element ? css(rgba(getComputedStyle(element).backgroundColor, behind(element.parentElement))) : "white";
  const light = (colour) =>
    [0.2126, 0.7152, 0.0722].reduce((sum, weight, at) => {
      const value = colour[at] / 255;
      return sum + weight * (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
    }, 0.05);
  const contrast = (element) => {
    const [ink, page] = [rgba(getComputedStyle(element).color, behind(element)), rgba(behind(element), "white")];
    const [dark, bright] = [light(ink), light(page)].sort((one, other) => one - other);
    return bright / dark;
  };
  const faults = [];
  const seen = (element) => element.checkVisibility() && !element.closest(":disabled");
  for (const element of [...document.querySelectorAll("body *")].filter(seen)) {
    const text = [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
    const what = `${element.tagName} ${element.id || element.className} ${element.textContent.trim().slice(0, 20)}`;
    if (text && !["SCRIPT", "STYLE", "OPTION"].includes(element.tagName) && contrast(element) < LEAST)
      faults.push(`${what}: contrast ${contrast(element).toFixed(2)}`);
    if (element.matches("button, input, select, textarea, a[href], summary, canvas, [role=img]")) {
      const labels = [...(element.labels ?? [])].map((label) => label.textContent).join("");
      const own = element.matches("select, canvas") ? "" : element.textContent;
      const name = element.ariaLabel || labels || own;
      if (!name.trim()) faults.push(`${what}: no name`);
      if (element.matches("canvas, [role=img]")) continue;
      element.focus({ preventScroll: true });
      if (document.activeElement !== element || element.tabIndex < 0) faults.push(`${what}: not reached by keyboard`);
    }
  }
  document.activeElement?.blur();
  return JSON.stringify(faults);
})()"""


async def faults(tab):
    """Return the faults of what is visible now, in light and in dark colours."""
    found = []
    for scheme in ("dark", "light"):
        media = {"prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce"}  # no colours half-way
        features = [{"name": name, "value": value} for name, value in media.items()]
        await tab.call("Emulation.setEmulatedMedia", features=features)
        said = json.loads(await tab.value(FAULTS.replace("LEAST", str(LEAST))))
        found += [f"{scheme}: {each}" for each in said]
    return found
