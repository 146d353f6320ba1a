// What is asked and how far it is, in words.
export const who = (card) => card.phone ?? "your phone";

// In parts, of which `site` is the name of a site.
export function headline(card, site) {
  const account = card.userName ? `, account ${card.userName}` : "";
  switch (card.what) {
    case "register": return ["A program wants to save a passkey for ", site, `${account}.`];
    case "sign-in": return ["A program wants to sign in to ", site, `${account}.`];
    default: return ["A program asks which security key is meant."];
  }
}

export function subject(card) {
  const account = card.userName ? `, ${card.userName}` : "";
  switch (card.what) {
    case "register": return `New passkey for ${card.rpId}${account}`;
    case "sign-in": return `Sign-in to ${card.rpId}${account}`;
    default: return "Which security key is meant";
  }
}

const over = (card) => (card.via === "bluetooth" ? "over Bluetooth" : "over the internet");

export function status(card) {
  switch (card.stage) {
    case "listening": return "Scan this code with your phone’s camera.";
    case "ringing": return `Ringing ${who(card)}. Follow the steps there.`;
    case "advert-seen": return "Your phone is near. Connecting to it…";
    case "falling-back": return "Bluetooth alone does not do; trying over the internet…";
    case "trying-again": return "That did not do; trying Bluetooth once more…";
    case "connected": return `Connected to your phone, ${over(card)}.`;
    case "waiting-for-user": return "Follow the steps on your phone.";
    case "answered": return "Your phone has answered.";
    case "done": return card.what === "select" ? "The program knows now." : "Done.";
    case "failed": return `It came to nothing: ${card.failure.text}.`;
    default: return card.what === "select" ? "If it is your phone, say so here." : "Starting…";
  }
}

export const needs = (card) => (card.offersBluetooth
  ? "Both devices need Bluetooth, and internet if the phone cannot do without."
  : "Both devices need Bluetooth and internet.");

// What being heard proves, where it is not that the phone is near this machine.
export const elsewhere = (card) => (card.proximity === "shared" && ["listening", "ringing"].includes(card.stage)
  ? "The radio of another machine listens: your phone has to be near that one, not near this one."
  : null);

// The way that a request takes, and how many steps of it are behind.
export function steps(card) {
  const first = card.stage === "ringing" ? `Ringing ${who(card)}` : "Scan the code";
  const connected = card.via ? `Connected ${over(card)}` : "Connected";
  const names = [first, "Phone near", connected, "You decide there"];
  const at = { begun: 0, listening: 0, ringing: 0, "advert-seen": 2, "falling-back": 2, "trying-again": 2, connected: 3, "waiting-for-user": 3, answered: 4 };
  return { names, behind: at[card.stage] ?? 0 };
}
