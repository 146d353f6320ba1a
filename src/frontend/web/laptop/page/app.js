// Shows what /api/state says and asks for it again whenever /api/news has a word.
import { $, asker, element, follow, when } from "/common.js";
import { elsewhere, headline, needs, status, steps, subject } from "/words.js";

const ask = asker(({ cause, error }) => {
  switch (cause) {
    case "no-such-transaction": return "That is over already.";
    case undefined: return "That did not work. Reload this page.";
    default: return `Sorry, ${error}.`;
  }
});

// One thing at a time; what went wrong is said at the top. A button that is truly disabled would lose the
// focus.
async function attempt(button, path) {
  if (button.getAttribute("aria-disabled") === "true") return;
  button.setAttribute("aria-disabled", "true");
  $("#problem").textContent = "";
  try {
    await ask("POST", path);
    await refresh();
  } catch (error) {
    $("#problem").textContent = error.message;
  } finally {
    button.removeAttribute("aria-disabled");
  }
}

function button(words, path, attributes = {}) {
  const made = element("button", { type: "button", ...attributes }, words);
  made.addEventListener("click", () => attempt(made, path));
  return made;
}

// The code, with white around it in every light, and as text for those who cannot use a picture.
function code(card) {
  const picture = element("img", { src: `/api/transactions/${card.id}/code.svg`, alt: "QR code, to scan with your phone’s camera", width: 320, height: 320 });
  return element("div", { class: "code" }, picture,
    element("details", {}, element("summary", {}, "The code as text"), element("code", {}, card.code)));
}

function progress(card) {
  if (card.what === "select") return null;
  const { names, behind } = steps(card);
  const step = (name, at) => {
    const state = at < behind ? "behind" : at === behind ? "current" : "ahead";
    return element("li", { class: state, "aria-current": state === "current" ? "step" : null }, name);
  };
  return element("ol", { class: "steps", "aria-label": "How far it is" }, ...names.map(step));
}

const notes = (card) => card.notes.map((note) => element("p", { class: "note" }, note));

function running(card) {
  const made = element("article", { class: "card asks", "data-transaction": card.id, "aria-labelledby": `head-${card.id}` },
    element("h3", { id: `head-${card.id}` }, ...headline(card, element("span", { class: "site" }, card.rpId))),
    element("p", { class: "quiet" }, "Only the program says so. Did you start this?"),
    element("div", { class: "stage" }));
  const of = `: ${subject(card)}`;
  made.append(element("div", { class: "buttons" },
    button(card.what === "select" ? "Not this one" : "Cancel", `/api/transactions/${card.id}/cancel`, { class: "cancel", "aria-label": (card.what === "select" ? "Not this one" : "Cancel") + of }),
    card.what === "select" ? button("It is my phone", "/api/touch", { class: "main touch" }) : ""));
  return made;
}

// The part of a card that changes; its buttons stay, and with them the focus.
function fill(made, card) {
  const stage = made.querySelector(".stage");
  const parts = [element("p", { class: "status" }, status(card))];
  if (card.code) parts.push(element("p", { class: "quiet" }, needs(card)), code(card));
  if (elsewhere(card)) parts.push(element("p", { class: "note elsewhere" }, elsewhere(card)));
  if (card.linked) parts.push(element("p", {}, `${card.linked} is remembered from now on.`));
  parts.push(progress(card) ?? "", ...notes(card));
  stage.replaceChildren(...parts.filter((part) => part !== ""));
}

function ended(card) {
  const orphan = card.orphan === null ? null : element("p", { class: "note" }, "The program left without its new passkey, which may be an orphan on the phone now: see above.");
  return element("li", { "data-transaction": card.id },
    element("h3", {}, subject(card)),
    element("p", { class: card.failure ? "problem" : "" }, status(card)),
    card.failure ? element("p", { class: "quiet" }, `What to do: ${card.failure.hint}.`) : null,
    card.linked ? element("p", {}, `${card.linked} is remembered from now on.`) : null,
    ...notes(card), orphan,
    element("p", { class: "quiet" }, when(card.begunAt)),
    element("div", { class: "buttons" }, button("Close", `/api/transactions/${card.id}/clear`, { class: "small close", "aria-label": `Close: ${subject(card)}` })));
}

// What was drawn of each card, so that only what changed is drawn anew and said.
let drawn = new Map();

function showCards(cards) {
  const now = $("#now");
  const earlier = $("#earlier");
  const seen = new Map();
  const lost = document.activeElement?.closest("[data-transaction]")?.dataset.transaction;
  for (const card of cards) {
    const text = JSON.stringify(card);
    seen.set(card.id, text);
    if (drawn.get(card.id) === text) continue;
    const over = card.stage === "done" || card.stage === "failed";
    const old = document.querySelector(`[data-transaction="${card.id}"]`);
    if (over) {
      old?.remove();
      const made = ended(card);
      const after = [...earlier.children].find((other) => Number(other.dataset.transaction) < card.id);
      earlier.insertBefore(made, after ?? null);
    } else {
      const made = old ?? now.appendChild(running(card));
      fill(made, card);
    }
    if (drawn.size || !over) say(card);
  }
  for (const id of drawn.keys()) if (!seen.has(id)) document.querySelector(`[data-transaction="${id}"]`)?.remove();
  drawn = seen;
  $("#nothing").hidden = now.childElementCount > 0;
  $("#earlier-part").hidden = earlier.childElementCount === 0;
  document.title = now.childElementCount ? `(${now.childElementCount}) Passkeys on your phone` : "Passkeys on your phone";
  // Whoever was in a card that is gone is led to where it went.
  if (lost && document.activeElement === document.body) (document.querySelector(`[data-transaction="${lost}"] button`) ?? $("#now-title")).focus();
}

// For those who hear the page: one sentence at a time, for whatever card it is.
const say = (card) => { $("#said").textContent = `${subject(card)}: ${status(card)}`; };

function orphan({ receipt, rpId, userName, at }) {
  const whom = userName || "(without a name)";
  return element("li", { "data-receipt": receipt },
    element("p", {}, element("span", { class: "site" }, rpId), `, account ${whom}, made ${when(at)}`),
    element("div", { class: "buttons" }, button("Settled: forget it here", `/api/orphans/${receipt}/forget`, { class: "small forget", "aria-label": `Settled, forget it here: ${rpId}, ${whom}` })));
}

async function showOrphans() {
  const { orphans, more } = await ask("GET", "/api/orphans");
  const inside = $("#orphans").contains(document.activeElement);
  $("#orphans").replaceChildren(...orphans.map(orphan));
  $("#orphans-part").hidden = orphans.length === 0;
  $("#more-orphans").hidden = more === 0;
  $("#more-orphans").textContent = `And ${more} older ones: cabled receipts list --orphans`;
  if (inside) (orphans.length ? $("#orphans-title") : $("#now-title")).focus();
}

let counted = null;

async function refresh() {
  const state = await ask("GET", "/api/state");
  showCards(state.cards);
  const changed = state.orphans !== counted || !$("#orphans-part").hidden;
  counted = state.orphans;
  if (changed) await showOrphans();
  document.body.dataset.ready = "yes";
}

follow(refresh);
