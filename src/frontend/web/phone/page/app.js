// Shows what /api/state says and asks for it again whenever /api/news has a word. All texts go in as
// text, never as markup: they come from laptops and web sites.
import { $, asker, element, follow, when } from "/common.js";

const ask = asker(problem);

function problem(answer) {
  switch (answer.cause) {
    case "locked-out":
      return `Too many wrong PINs. Try again at ${new Date(answer.until * 1000).toLocaleTimeString()}; nothing is lost.`;
    case "over": return "This was answered elsewhere, or the laptop is gone.";
    case undefined: return "That did not work. Reload this page.";
    default: return `Sorry, ${answer.error}.`;
  }
}

const named = (account) => account.name || account.displayName || "(no name)";

function headline(question) {
  const who = question.asker === "laptop" ? "A laptop nearby" : "A program on this device";
  const site = element("span", { class: "site" }, question.rpId ?? "");
  switch (question.what) {
    case "save": return [`${who} wants to save a passkey for `, site, question.account ? `, account ${question.account}.` : "."];
    case "sign-in": return [`${who} wants to sign in to `, site, question.accounts.length === 1 ? ` as ${named(question.accounts[0])}.` : "."];
    case "already-registered": return [`${who} wants to save a passkey for `, site, `, but the one of ${named(question.accounts[0])} is on this phone already.`];
    case "nothing-found": return [`${who} wants to sign in to `, site, ", but no passkey for it is on this phone."];
    case "manage": return [`${who} asks to list, rename and delete passkeys of `, question.rpId ? site : "every site", ", for ten minutes."];
    case "change-data": return [`${who} asks to change the data that sites keep beside passkeys of `, question.rpId ? site : "every site", ", for ten minutes."];
    case "reset": return [`${who} asks to delete ALL ${question.passkeys} passkeys on this phone, for good.`];
    default: return [`${who} asks to use this phone.`];
  }
}

const YES = { save: "Save passkey", "sign-in": "Sign in", reset: "Delete all passkeys", "already-registered": "Tell the laptop so" };

function choices(question) {
  if (question.what !== "sign-in" || !question.pick || question.accounts.length < 2) return null;
  const radio = (account, index) => element("label", { class: "choice" },
    element("input", { type: "radio", name: "account", value: index, checked: index === 0 }),
    element("span", {}, named(account), account.label ? ` "${account.label}"` : "", element("span", { class: "quiet" }, `, last used ${when(account.lastUsedAt)}`)));
  return element("fieldset", {}, element("legend", {}, "With which account?"), ...question.accounts.map(radio));
}

function particulars(question) {
  const lines = [];
  if (question.what === "save") {
    if (question.rpName) lines.push(`The site calls itself: ${question.rpName}`);
    for (const old of question.accounts) lines.push(`Takes the place of: ${named(old)} of ${when(old.createdAt)}`);
  }
  if (question.what === "already-registered") lines.push("No second one is made.");
  if (question.what === "sign-in" && !question.pick && question.accounts.length > 1) lines.push("The laptop will see all accounts and let you choose.");
  if (question.what !== "nothing-found") {
    if (question.occasion) lines.push(question.occasion);
    lines.push(question.asker === "laptop" ? "Only the laptop says so. Did you start this?" : "Did you start this?");
  }
  return lines.map((line) => element("p", { class: "quiet" }, line));
}

function asked(question) {
  const trouble = element("p", { class: "problem", role: "alert" });
  const form = element("form", { class: "card asks", "data-question": question.id }, element("p", { tabindex: -1 }, ...headline(question)), ...particulars(question), choices(question));
  const path = `/api/questions/${question.id}`;
  const settle = (what, body) => attempt(form, trouble, () => ask("POST", `${path}/${what}`, body));
  if (question.what === "nothing-found") {
    form.append(trouble, element("div", { class: "buttons" }, element("button", { class: "main" }, "Tell the laptop so")));
    form.addEventListener("submit", (event) => { event.preventDefault(); settle("decline"); });
    return form;
  }
  form.append(
    element("label", {}, "PIN, to prove that it is you", element("input", { name: "pin", type: "password", autocomplete: "off", required: true })),
    trouble,
    element("div", { class: "buttons" },
      element("button", { type: "button", class: "decline", on: () => settle("decline") }, "Decline"),
      element("button", { class: "main" }, YES[question.what] ?? "Allow")));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const given = new FormData(form);
    settle("approve", { pin: given.get("pin"), account: Number(given.get("account") ?? 0) });
  });
  return form;
}

// One thing at a time; a PIN that was wrong is typed anew.
async function attempt(form, trouble, work) {
  const buttons = form.querySelectorAll("button");
  buttons.forEach((button) => { button.disabled = true; });
  trouble.textContent = "";
  try {
    await work();
    await refresh();
    return true;
  } catch (error) {
    trouble.textContent = error.message;
    const wrong = form.elements[error.field ?? "pin"];
    if (wrong) { wrong.value = ""; wrong.focus(); }
    return false;
  } finally {
    buttons.forEach((button) => { button.disabled = false; });
  }
}

const STATES = {
  created: "Maybe unknown to the site: no laptop confirmed that it got the answer. If the site does not list it, delete it here and register again.",
  delivered: "Delivered, never used yet.",
  used: null,
};

function kept(passkey) {
  const state = STATES[passkey.state];
  return element("li", { "data-passkey": passkey.id },
    element("h3", {}, passkey.label ? `${passkey.label} (${named(passkey)})` : named(passkey), passkey.state === "created" ? " " : "",
      passkey.state === "created" ? element("span", { class: "tag" }, "possibly orphaned") : ""),
    state ? element("p", { class: "quiet" }, state) : null,
    element("p", { class: "quiet" }, `Made ${when(passkey.createdAt)}, last used ${when(passkey.lastUsedAt)}`),
    element("div", { class: "buttons" },
      element("button", { type: "button", class: "small rename", "aria-label": `Rename ${named(passkey)} of ${passkey.rpId}`, on: () => renaming(passkey) }, "Rename"),
      element("button", { type: "button", class: "small danger delete", "aria-label": `Delete ${named(passkey)} of ${passkey.rpId}`, on: () => deleting(passkey) }, "Delete")));
}

function dialog(box, work, then = () => {}) {
  const form = box.querySelector("form");
  const trouble = box.querySelector(".problem");
  trouble.textContent = "";
  form.onsubmit = (event) => {
    if (event.submitter?.value !== "yes") return;
    event.preventDefault();
    attempt(form, trouble, work).then((done) => { if (done) { box.close(); then(); } });
  };
  form.querySelectorAll("button[type=button]").forEach((button) => { button.onclick = () => box.close(); });
  box.showModal();
}

function deleting(passkey) {
  $("#delete-what").replaceChildren(element("span", { class: "site" }, passkey.rpId), `: ${named(passkey)}`);
  dialog($("#delete"), () => ask("DELETE", `/api/passkeys/${passkey.id}`));
}

function renaming(passkey) {
  const field = $("#rename input");
  field.value = passkey.label ?? "";
  dialog($("#rename"), () => ask("PATCH", `/api/passkeys/${passkey.id}`, { label: field.value }));
}

let orphans = [];
// Far below the length of a request.
const PRUNED_AT_ONCE = 200;

function pruning() {
  const line = (passkey) => element("li", {}, element("span", { class: "site" }, passkey.rpId), `: ${named(passkey)}, made ${when(passkey.createdAt)}`);
  // What is deleted is what is shown, whatever comes meanwhile.
  const listed = orphans;
  $("#prune-what").replaceChildren(...listed.map(line));
  dialog($("#prune"), async () => {
    for (let at = 0; at < listed.length; at += PRUNED_AT_ONCE) {
      await ask("POST", "/api/prune", { ids: listed.slice(at, at + PRUNED_AT_ONCE).map(({ id }) => id) });
    }
  });
}

function exporting() {
  const box = $("#export");
  const form = box.querySelector("form");
  form.reset();
  let copy = null;
  dialog(box, async () => {
    const { passphrase, again, pin } = Object.fromEntries(new FormData(form));
    if (passphrase !== again) throw Object.assign(new Error("These two passphrases differ."), { field: "again" });
    copy = await download({ passphrase, pin });
  }, () => { form.reset(); offer(copy); });
}

async function download(body) {
  const headers = { "content-type": "application/json" };
  const response = await fetch("/api/export", { method: "POST", headers, body: JSON.stringify(body) });
  if (!response.ok) throw new Error(problem(await response.json().catch(() => ({}))));
  const told = (name) => Number(response.headers.get(`x-cabled-${name}`));
  return { id: told("export"), passkeys: told("passkeys"), bound: told("bound"), file: await response.blob() };
}

// The browser does not say whether it saved the file, so its user is asked.
function offer({ id, passkeys, bound, file }) {
  const name = `passkeys-${new Date().toISOString().slice(0, 10)}.age`;
  const link = element("a", { href: URL.createObjectURL(file), download: name });
  link.click();
  const stayed = bound === 0 ? "" : ` ${bound} stayed: their sites were told that they never leave this phone.`;
  $("#exported-what").textContent = `${passkeys === 1 ? "1 passkey is" : `${passkeys} passkeys are`} in ${name}, where your browser keeps downloads.${stayed}`;
  dialog($("#exported"), () => ask("POST", `/api/export/${id}/kept`));
  $("#exported").addEventListener("close", () => URL.revokeObjectURL(link.href), { once: true });
}

// A question that is still open keeps its form, and with it what was typed.
function showQuestions(questions) {
  const box = $("#questions");
  const open = new Map([...box.children].map((form) => [form.dataset.question, form]));
  const ids = new Set(questions.map(({ id }) => String(id)));
  for (const [id, form] of open) if (!ids.has(id)) form.remove();
  for (const question of questions) {
    if (open.has(String(question.id))) continue;
    const form = asked(question);
    box.append(form);
    if (!document.activeElement || document.activeElement === document.body) form.querySelector("p").focus();
  }
  $("#no-questions").hidden = questions.length > 0;
  document.title = questions.length ? `(${questions.length}) Passkeys on this phone` : "Passkeys on this phone";
}

function showPasskeys(passkeys) {
  const sites = Map.groupBy(passkeys, ({ rpId }) => rpId);
  const cards = [...sites].map(([site, list]) => element("article", { class: "card" }, element("h3", { class: "site" }, site), element("ul", {}, ...list.map(kept))));
  $("#passkeys").replaceChildren(...cards);
  $("#no-passkeys").hidden = passkeys.length > 0;
  $("#moving").hidden = passkeys.length === 0;
  orphans = passkeys.filter(({ state }) => state === "created");
  $("#orphans").hidden = orphans.length === 0;
  $("#prune-open").textContent = orphans.length === 1 ? "Look at it" : "Look at them";
  $("#orphans p").textContent = orphans.length === 1 ? "One passkey is possibly orphaned: saved here, but maybe unknown to its site." : `${orphans.length} passkeys are possibly orphaned: saved here, but maybe unknown to their sites.`;
}

let shown = "";

async function refresh() {
  const state = await ask("GET", "/api/state");
  showQuestions(state.questions);
  $("#locked").hidden = !state.locked;
  $("#kept").hidden = state.locked;
  $("#lock").hidden = state.locked;
  // Drawn anew only when it changed, so that nobody loses the button that the focus is on.
  const passkeys = JSON.stringify(state.passkeys);
  if (passkeys !== shown) showPasskeys(state.passkeys);
  shown = passkeys;
  document.body.dataset.ready = "yes";
}

$("#unlock").addEventListener("submit", (event) => {
  event.preventDefault();
  const form = event.target;
  attempt(form, form.querySelector(".problem"), () => ask("POST", "/api/unlock", { pin: form.elements.pin.value })).then((done) => { if (done) form.reset(); });
});
$("#prune-open").addEventListener("click", pruning);
$("#export-open").addEventListener("click", exporting);
$("#lock").addEventListener("click", () => ask("POST", "/api/lock").then(refresh));

follow(refresh);
