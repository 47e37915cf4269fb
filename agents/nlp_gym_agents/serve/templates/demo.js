// Sends forms in place and swaps the content, so that the keyboard keeps its place. Without this
// file, or where anything fails, the same forms load the same pages.
"use strict";

const main = document.getElementById("main");
const said = document.getElementById("said");
let latest = 0;
let plain = false; // forms are sent by the browser itself

async function swap(form, button) {
  const turn = ++latest;
  const fields = new URLSearchParams(new FormData(form, button));
  const url = new URL(form.getAttribute("action"), document.baseURI);
  const asks = form.getAttribute("method") === "get";
  if (asks) url.search = fields;
  main.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(url, asks ? {} : { method: "post", body: fields });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (turn !== latest) return; // a later one is on its way
    const content = page.getElementById("main").childNodes;
    const opened = [...main.querySelectorAll("details[open][id]")].map((one) => one.id);
    const place = document.activeElement?.id;
    const caret = document.activeElement?.selectionStart;
    main.replaceChildren(...content);
    document.title = page.title;
    if (answer.redirected) history.pushState(null, "", answer.url);
    for (const id of opened) document.getElementById(id)?.setAttribute("open", "");
    said.textContent = main.querySelector("[data-say]")?.dataset.say ?? "";
    const same = form.dataset.swap === "here" && place && document.getElementById(place);
    (same || document.getElementById("focus"))?.focus();
    if (same && caret != null) same.setSelectionRange(caret, caret);
  } catch {
    if (turn !== latest) return;
    plain = true;
    form.requestSubmit(button);
  } finally {
    if (turn === latest) main.removeAttribute("aria-busy");
  }
}

document.addEventListener("submit", (event) => {
  if (plain || !("swap" in event.target.dataset)) return;
  event.preventDefault();
  swap(event.target, event.submitter);
});

let pause;
document.addEventListener("input", (event) => {
  const form = event.target.form;
  if (!form || !("live" in form.dataset)) return;
  clearTimeout(pause);
  pause = setTimeout(() => swap(form, null), 200);
});

addEventListener("popstate", () => location.reload());
