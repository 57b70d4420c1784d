// Zoom and pan of the mesh graph. The picture is drawn on the server; without this file it is scrolled.

const STEP = 1.25;
const LEAST = 0.15;
const MOST = 3;
const READABLE = 0.75;

for (const frame of document.querySelectorAll("[data-zoom]")) {
  const canvas = frame.querySelector(".canvas");
  let zoom = 1;
  const natural = () => Number(canvas.querySelector("svg")?.getAttribute("width") ?? 1);

  // The point that is in the middle (or under the pointer) stays where it is.
  function to(wanted, x = frame.clientWidth / 2, y = frame.clientHeight / 2) {
    const before = zoom;
    zoom = Math.min(MOST, Math.max(LEAST, wanted));
    const left = (frame.scrollLeft + x) / before;
    const top = (frame.scrollTop + y) / before;
    canvas.style.zoom = String(zoom);
    frame.scrollLeft = left * zoom - x;
    frame.scrollTop = top * zoom - y;
  }
  const fit = () => to((frame.clientWidth - 4) / natural());

  const bar = document.createElement("div");
  bar.className = "zoom";
  bar.setAttribute("role", "group");
  bar.setAttribute("aria-label", "Zoom");
  for (const [label, name, act] of [
    ["−", "Smaller", () => to(zoom / STEP)],
    ["+", "Larger", () => to(zoom * STEP)],
    ["Fit", "Fit the width", fit],
    ["Natural", "Natural size", () => to(1)],
  ]) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = label;
    button.title = name;
    if (!/\w/.test(label)) button.setAttribute("aria-label", name);
    button.addEventListener("click", act);
    bar.append(button);
  }
  frame.before(bar);

  frame.addEventListener(
    "wheel",
    (event) => {
      if (!event.ctrlKey && !event.metaKey) return; // a plain wheel scrolls the page
      event.preventDefault();
      const box = frame.getBoundingClientRect();
      to(zoom * STEP ** (-event.deltaY / 100), event.clientX - box.left, event.clientY - box.top);
    },
    { passive: false },
  );
  frame.addEventListener("keydown", (event) => {
    const act = { "+": () => to(zoom * STEP), "-": () => to(zoom / STEP), 0: fit }[event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act();
  });

  let drag = null;
  frame.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || event.pointerType !== "mouse" || event.target.closest("a")) return;
    drag = { x: event.clientX, y: event.clientY, left: frame.scrollLeft, top: frame.scrollTop };
    frame.setPointerCapture(event.pointerId);
    frame.classList.add("dragged");
  });
  frame.addEventListener("pointermove", (event) => {
    if (!drag) return;
    frame.scrollLeft = drag.left - (event.clientX - drag.x);
    frame.scrollTop = drag.top - (event.clientY - drag.y);
  });
  for (const end of ["pointerup", "pointercancel"]) {
    frame.addEventListener(end, () => {
      drag = null;
      frame.classList.remove("dragged");
    });
  }
  // As much as fits, as long as it can be read; the rest is scrolled.
  if (natural() > frame.clientWidth && frame.clientWidth > 600) to(Math.max(READABLE, (frame.clientWidth - 4) / natural()));
}
