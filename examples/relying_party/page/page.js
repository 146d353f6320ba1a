// The page's part of each ceremony: asks the server for options, hands them to the browser, gives the answer
// back, and says in words how it went. Every rule that matters is checked by the server.

const $ = (id) => document.getElementById(id);

/** What `prf` is asked of: any value will do, as long as it stays the same. */
const PRF_INPUT = new TextEncoder().encode("cabled relying party example");

class Refused extends Error {
  constructor(explanation) {
    super(explanation.title);
    this.explanation = explanation;
  }
}

async function ask(path, body) {
  const request = body === undefined
    ? {}
    : { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  const response = await fetch(path, request);
  const answer = await response.json();
  if (!response.ok) throw new Refused(answer);
  return answer;
}

// ---- words ----

function tell({ title, text, steps = [], cause = "", bad = false }) {
  $("message").classList.toggle("bad", bad);
  $("message-title").textContent = title;
  $("message-text").textContent = text;
  $("message-steps").replaceChildren(...steps.map(step));
  $("message-steps").hidden = steps.length === 0;
  $("message-cause").textContent = cause;
  $("message-details").hidden = cause === "";
  $("message-details").open = false;
  $("message").hidden = false;
  $("message").focus();
}

/** A step is words, and a command to copy if it has one. */
function step({ text, command }) {
  const item = document.createElement("li");
  item.textContent = text;
  if (command) {
    const code = document.createElement("pre");
    code.append(Object.assign(document.createElement("code"), { textContent: command }));
    item.append(code);
  }
  return item;
}

const LIST = "cabled phone passkeys list";
const PRUNE = "cabled phone passkeys prune";

/** What the browser's own errors mean to the person in front of it. */
function explain(error, registering) {
  const cause = `${error.name}: ${error.message}`;
  if (error instanceof Refused) return { ...error.explanation, bad: true };
  if (error.name === "InvalidStateError" && registering) {
    return {
      bad: true, cause,
      title: "This phone already has a passkey for this account",
      text: "Nothing was added: one passkey on each phone is enough for an account.",
      steps: [
        { text: "Sign in with the passkey that is there; it is among the sign-in methods below." },
        { text: "To replace it, delete it here and on the phone, and register again.", command: LIST },
      ],
    };
  }
  if (error.name === "NotAllowedError" && registering) {
    return {
      bad: true, cause,
      title: "No passkey was registered",
      text: "It was declined, cancelled, or the connection to the phone was lost. Browsers do not tell which.",
      steps: [
        { text: "If you declined it yourself, that is all." },
        { text: "If the phone says that it saved a passkey, this site does not know it: it is an orphan. Clear it, "
          + "and try again.", command: PRUNE },
        { text: "If nothing happened on the phone, see that Bluetooth is on and that both devices are on the "
          + "internet: cable.ua5v.com and cable.auth.com have to be reachable from both." },
      ],
    };
  }
  if (error.name === "NotAllowedError") {
    return {
      bad: true, cause,
      title: "You are not signed in",
      text: "It was declined, cancelled, timed out, or there is no passkey for this site on that phone.",
      steps: [
        { text: "See which passkeys the phone has.", command: LIST },
        { text: "If nothing happened on the phone, see that Bluetooth is on and that both devices are on the internet." },
      ],
    };
  }
  return { bad: true, cause, title: "That did not work", text: "The browser or the connection failed; try again." };
}

// ---- what is shown ----

const when = (seconds) => new Date(seconds * 1000).toLocaleString();

function facts(method) {
  const used = method.usedAt ? `, last used ${when(method.usedAt)}` : ", not used yet";
  return `Passkey, added ${when(method.createdAt)}${used}`;
}

function row(method) {
  const item = $("method").content.cloneNode(true);
  const set = (part, text) => { item.querySelector(part).textContent = text; };
  set(".name", method.name);
  set(".facts", facts(method));
  set(".make", method.make);
  const name = (button, verb) => {
    item.querySelector(button).setAttribute("aria-label", `${verb} ${method.name}`);
    return item.querySelector(button);
  };
  name(".rename", "Rename").addEventListener("click", () => rename(method));
  name(".delete", "Delete").addEventListener("click", () => confirmDeletion(method));
  item.querySelector("li").dataset.id = method.id;
  return item;
}

function show(state) {
  const known = state.account !== null;
  $("signed-in").hidden = !known;
  $("signed-out").hidden = known;
  $("who").hidden = !known;
  $("account").textContent = state.account ?? "";
  $("methods").replaceChildren(...state.methods.map(row));
  $("no-methods").hidden = state.methods.length > 0;
  $("attestation").checked = state.policy.requireAttestation;
  $("makes-only").checked = state.policy.makes !== null;
  if (state.policy.makes !== null) $("makes").value = state.policy.makes.join("\n");
}

const refresh = async () => show(await ask("/api/state"));

// ---- ceremonies ----

let cancel = null;

/** Shows the waiting dialog while the browser has the word. */
async function withBrowser(work) {
  cancel = new AbortController();
  $("waiting").showModal();
  try {
    return await work(cancel.signal);
  } finally {
    $("waiting").close();
  }
}

/** The prf output stays here; the rest goes to the server. */
function split(credential) {
  const json = credential.toJSON();
  const prf = credential.getClientExtensionResults().prf;
  delete json.clientExtensionResults.prf;
  return { json, prf };
}

const hex = (buffer) => Array.from(new Uint8Array(buffer), (byte) => byte.toString(16).padStart(2, "0")).join("");

function prfWords(prf) {
  if (!$("prf").checked) return "";
  if (prf?.results?.first) return ` Its prf output is ${hex(prf.results.first)}.`;
  return prf?.enabled ? " It can make prf outputs, when signing in." : " It has no prf.";
}

const withPrf = (publicKey) => {
  if ($("prf").checked) publicKey.extensions = { ...publicKey.extensions, prf: { eval: { first: PRF_INPUT } } };
  return publicKey;
};

async function register() {
  $("adding").close();
  const { ceremony, publicKey } = await ask("/api/register/begin", {});
  const options = withPrf(PublicKeyCredential.parseCreationOptionsFromJSON(publicKey));
  const credential = await withBrowser((signal) => navigator.credentials.create({ publicKey: options, signal }));
  const { json, prf } = split(credential);
  const { method } = await ask("/api/register/finish", { ceremony, credential: json });
  await refresh();
  tell({ title: "Passkey saved", text: `Your phone can sign you in from now on.${prfWords(prf)}` });
  await rename(method);
}

async function signIn(name) {
  const { ceremony, publicKey } = await ask("/api/sign-in/begin", { name });
  const options = withPrf(PublicKeyCredential.parseRequestOptionsFromJSON(publicKey));
  const credential = await withBrowser((signal) => navigator.credentials.get({ publicKey: options, signal }));
  const { json, prf } = split(credential);
  const { account, method } = await ask("/api/sign-in/finish", { ceremony, credential: json });
  await refresh();
  tell({ title: "You are signed in", text: `${account}, with the passkey "${method.name}".${prfWords(prf)}` });
}

async function rename(method) {
  $("method-name").value = method.name;
  $("naming").returnValue = "";
  $("naming").showModal();
  $("method-name").select();
  await new Promise((closed) => $("naming").addEventListener("close", closed, { once: true }));
  const name = $("method-name").value.trim();
  if (name && name !== method.name) await ask("/api/methods/rename", { id: method.id, name });
  await refresh();
}

let doomed = null;

function confirmDeletion(method) {
  doomed = method;
  $("deleting-name").textContent = method.name;
  $("deleting-command").textContent = method.command;
  $("deleting").showModal();
}

async function remove() {
  $("deleting").close();
  await ask("/api/methods/delete", { id: doomed.id });
  await refresh();
  tell({
    title: "Deleted here",
    text: "The phone still has the passkey: one without the other leaves a dead entry.",
    steps: [{ text: "Delete it on the phone too.", command: doomed.command }],
  });
}

async function savePolicy() {
  const makes = $("makes").value.split(/\s+/).filter(Boolean);
  await ask("/api/policy", {
    requireAttestation: $("attestation").checked,
    makes: $("makes-only").checked ? makes : null,
  });
  $("policy-saved").textContent = "Saved.";
  await refresh();
}

// ---- buttons ----

const name = () => $("name").value.trim();

/** Runs one thing at a time, and says what went wrong. */
function whenDone(work, registering = false) {
  return async (event) => {
    event.preventDefault();
    $("message").hidden = true;
    try {
      await work();
    } catch (error) {
      await refresh().catch(() => {});
      tell(explain(error, registering));
    }
  };
}

const onClick = (id, work, registering) => $(id).addEventListener("click", whenDone(work, registering));
const onSubmit = (id, work) => $(id).addEventListener("submit", whenDone(work));

onClick("sign-in", () => signIn(null));
onSubmit("named", () => signIn(name()));
onClick("enter", async () => {
  if ($("named").reportValidity()) {
    await ask("/api/enter", { name: name() });
    await refresh();
  }
});
onClick("leave", async () => {
  await ask("/api/leave", {});
  await refresh();
});
onClick("create", register, true);
onClick("delete", remove);
onSubmit("policy", savePolicy);
$("add").addEventListener("click", () => $("adding").showModal());
$("adding-cancel").addEventListener("click", () => $("adding").close());
$("deleting-cancel").addEventListener("click", () => $("deleting").close());
$("message-close").addEventListener("click", () => { $("message").hidden = true; });
$("policy").addEventListener("input", () => { $("policy-saved").textContent = ""; });
// Closing it by Escape is giving up too.
$("waiting").addEventListener("cancel", () => cancel?.abort());
$("waiting-cancel").addEventListener("click", () => cancel?.abort());

if (window.PublicKeyCredential?.parseCreationOptionsFromJSON) {
  await refresh();
} else {
  tell({ bad: true, title: "This browser is too old", text: "It does not know passkeys in their present form." });
}
