// What both pages need. All texts go in as text, never as markup: they come from other devices, programs
// and web sites.
export const $ = (selector) => document.querySelector(selector);

export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "on") made.addEventListener("click", value);
    else if (value !== false && value !== null) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

// Asks the program; `problem` makes words of an answer that is none.
export const asker = (problem) => async (method, path, body) => {
  const options = { method, headers: {} };
  if (method !== "GET") {
    options.headers["content-type"] = "application/json";
    options.body = JSON.stringify(body ?? {});
  }
  const response = await fetch(path, options);
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw Object.assign(new Error(problem(answer)), { cause: answer.cause });
  return answer;
};

export const when = (seconds) => (seconds ? new Date(seconds * 1000).toLocaleString([], { dateStyle: "medium", timeStyle: "short" }) : "never");

// Refreshes now and whenever the program has a word, and says so when it does not answer.
export function follow(refresh) {
  const news = new EventSource("/api/news");
  news.onmessage = () => refresh().catch(() => {});
  news.onopen = () => { $("#offline").hidden = true; refresh().catch(() => {}); };
  news.onerror = () => { $("#offline").hidden = false; };
  refresh().catch(() => { $("#offline").hidden = false; });
}
