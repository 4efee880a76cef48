"use strict";
// A finger that goes sideways steps once for each 24 px.
function swiped(element, step) {
  let from = null;
  element.addEventListener("pointerdown", (e) => { from = e.clientX; });
  element.addEventListener("pointermove", (e) => {
    if (from === null) return;
    const by = Math.trunc((e.clientX - from) / 24);
    if (by) { step(by); from += 24 * by; }
  });
  for (const name of ["pointerup", "pointercancel", "pointerleave"])
    element.addEventListener(name, () => { from = null; });
}

const players = [...document.querySelectorAll(".player")].map((section) => {
  const frames = JSON.parse(section.querySelector("script").textContent);
  const [image, range, says, button] = ["img", "input", "output", "button"].map((x) => section.querySelector(x));
  const title = section.querySelector("h2").textContent;
  let at = Number(section.dataset.start), timer = null;
  const show = (i) => {
    at = i;
    image.src = frames[i].image;
    image.alt = title + ": " + frames[i].says;
    range.value = i;
    range.setAttribute("aria-valuetext", frames[i].says);
    says.textContent = frames[i].says;
  };
  const step = (by) => show(Math.min(frames.length - 1, Math.max(0, at + by)));
  const play = (on) => {
    clearInterval(timer);
    timer = on ? setInterval(() => show((at + 1) % frames.length), 3000 / Math.max(12, Math.min(frames.length, 30))) : null;
    button.textContent = on ? "Pause" : "Play";
    button.setAttribute("aria-pressed", String(on));
  };
  range.addEventListener("input", () => { play(false); show(Number(range.value)); });
  button.addEventListener("click", () => play(timer === null));
  swiped(image, (by) => { play(false); step(by); });
  return { section, step: (by) => { play(false); step(by); }, toggle: () => play(timer === null), show };
});

let active = 0;
const sections = [...document.querySelectorAll("main section")];
sections.forEach((section, i) => {
  for (const name of ["pointerdown", "focusin"]) section.addEventListener(name, () => { active = i; });
});

const dialog = document.querySelector("dialog"), cards = [...document.querySelectorAll(".card")];
let shown = 0;
const enlarge = (i) => {
  shown = (i + cards.length) % cards.length;
  const large = dialog.querySelector(".large");
  large.replaceChildren(...[...cards[shown].querySelectorAll("img")].map((x) => x.cloneNode()));
  dialog.querySelector("p").textContent = [...large.children].map((x) => x.alt).join("; ");
  if (!dialog.open) dialog.showModal();
};
cards.forEach((card, i) => card.addEventListener("click", () => enlarge(i)));
dialog.querySelector(".close").addEventListener("click", () => dialog.close());
dialog.querySelector(".back").addEventListener("click", () => enlarge(shown - 1));
dialog.querySelector(".on").addEventListener("click", () => enlarge(shown + 1));
dialog.addEventListener("close", () => cards[shown].focus());
let slid = 0;
dialog.addEventListener("pointerdown", (e) => { slid = e.clientX; });
dialog.addEventListener("pointerup", (e) => {
  if (Math.abs(e.clientX - slid) > 48) enlarge(shown + (e.clientX < slid ? 1 : -1));
});

document.addEventListener("keydown", (e) => {
  if (e.altKey || e.ctrlKey || e.metaKey) return;
  const by = { ArrowLeft: -1, ArrowRight: 1 }[e.key];
  if (dialog.open) {
    if (by) { e.preventDefault(); enlarge(shown + by); }
    return;
  }
  const number = Number(e.key);
  if (number >= 1 && number <= sections.length) {
    active = number - 1;
    sections[active].focus({ preventScroll: true });
    sections[active].scrollIntoView({ block: "start" });
    return;
  }
  const player = players[active];
  if (by && active >= players.length) {
    const i = cards.indexOf(document.activeElement);
    cards[Math.min(cards.length - 1, Math.max(0, i + by))].focus();
    e.preventDefault();
  } else if (by && player) {
    player.step(by);
    e.preventDefault();
  } else if (e.key === " " && player && document.activeElement.tagName !== "BUTTON") {
    player.toggle();
    e.preventDefault();
  } else if ((e.key === "Home" || e.key === "End") && player && player.section.contains(document.activeElement)) {
    player.step(e.key === "Home" ? -1e6 : 1e6);
    e.preventDefault();
  }
});
