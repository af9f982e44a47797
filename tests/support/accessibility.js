// Run in the page: what is wrong with ids, landmarks, headings, contrast, targets and reflow.
() => {
  const found = [];
  const visible = (e) => e.checkVisibility({ opacityProperty: true, visibilityProperty: true });
  const name = (e) => `${e.tagName.toLowerCase()}.${e.className} “${e.textContent.trim().slice(0, 40)}”`;

  const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
  for (const id of new Set(ids.filter((id, at) => ids.indexOf(id) !== at))) found.push(`id ${id} stands twice`);
  for (const what of ["main", "header"]) {
    const count = document.querySelectorAll(`body > ${what}`).length;
    if (count !== 1) found.push(`${count} ${what} landmarks`);
  }
  if (!document.documentElement.lang) found.push("the page has no language");
  const levels = [...document.querySelectorAll("h1, h2, h3, h4")].filter(visible).map((h) => Number(h.tagName[1]));
  levels.forEach((level, at) => {
    if (level > (levels[at - 1] ?? 1) + 1) found.push(`heading level jumps to ${level}`);
  });

  // Contrast of each text with the nearest painted background behind it.
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return canvas.getImageData(0, 0, 1, 1).data;
  };
  const light = (colour) => {
    const [r, g, b] = [...rgba(colour)].slice(0, 3).map((v) => v / 255)
      .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (one, other) => {
    const [high, low] = [light(one), light(other)].sort((a, b) => b - a);
    return (high + 0.05) / (low + 0.05);
  };
  const behind = (e) => {
    for (let at = e; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if (rgba(colour)[3] > 200) return colour;
    }
    return "white";
  };
  const top = document.querySelector("dialog[open]") ?? document.body;
  const texts = document.createTreeWalker(top, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const e = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || !visible(e) || e.closest(".unseen, .skip, :disabled, script")) continue;
    const style = getComputedStyle(e);
    const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && style.fontWeight >= 700);
    const got = ratio(style.color, behind(e));
    if (got < (large ? 3 : 4.5)) found.push(`contrast ${got.toFixed(2)} of ${name(e)}`);
  }

  for (const e of top.querySelectorAll("button, input, textarea, summary, a[href]")) {
    if (!visible(e) || e.closest(".skip")) continue;
    const box = e.getBoundingClientRect();
    if (Math.min(box.width, box.height) < 23.9) found.push(`target ${box.width}x${box.height}: ${name(e)}`);
    if (e.matches("button, input[type=text], textarea") && !e.disabled && !e.matches(".primary, .quiet, .link, .cell")) {
      const edge = ratio(getComputedStyle(e).borderTopColor, behind(e.parentElement));
      if (edge < 3) found.push(`edge contrast ${edge.toFixed(2)} of ${name(e)}`);
    }
  }
  const wide = document.documentElement;
  if (wide.scrollWidth > wide.clientWidth) found.push(`scrolls sideways: ${wide.scrollWidth} > ${wide.clientWidth}`);
  return found;
}
