// Client of `cabled testbed run`, for Playwright and any other runner on Node 20 or later.
//
//   const testbed = Testbed.fromEnvironment();
//   const phone = await testbed.phone();
//   const ceremony = await phone.scan();            // finds the code on the display
//   equal((await ceremony.wait()).outcome, "registered");
//
// Run the tests with `cabled testbed run --browser chromium -- npm test`. The schema is in docs/testbed.md.

export { launch } from "./browser.js";

/** How long the test bed may take for an answer, in milliseconds. */
const PATIENCE = 90_000;

export type Side = "laptop" | "phone";
export type Point =
  | "before-advert" | "after-advert" | "after-handshake" | "before-consent" | "after-consent" | "after-answer";

/** What the person says to a question. */
export type Answer = { do: "approve" | "decline" | "wrong-pin"; account?: string; delayMs?: number };

/** What goes wrong at the relay. Frames are counted from 1 in each direction; the first is the handshake. */
export type Fault =
  | { from: Side; do: "refuse"; status: number }
  | { from: Side; do: "drop" | "corrupt" | "close"; frame: number }
  | { from: Side; do: "delay"; frame: number; delayMs: number };

export interface Script {
  answers?: Answer[];
  walkAway?: Point;
  relay?: Fault[];
}

export interface PhoneSetup {
  name?: string;
  pin?: string;
  aaguid?: string;
  /** Its answers do not say that the user was verified. */
  unverified?: boolean;
  adverts?: "heard" | "lost" | "late" | "replayed";
  delayMs?: number;
}

/** What happened in a ceremony; `event` tells what, and which of the others are there. */
export interface Event {
  event: string;
  at: number;
  [field: string]: unknown;
}

/** A CTAP request as the phone received it. */
export interface Request {
  command: string;
  rpId: string | null;
  account: string | null;
  algorithms: number[];
  allowList: number;
  excludeList: number;
  options: { rk: boolean | null; up: boolean | null; uv: boolean | null };
  extensions: string[];
  malformed: boolean;
}

export interface Traffic {
  connections: number;
  frames: number;
}

export interface Told {
  id: number;
  phone: string;
  over: boolean;
  outcome: string | null;
  asScripted: boolean | null;
  walkedAway: boolean;
  problem: string | null;
  events: Event[];
  requests: Request[];
  relay: { laptop: Traffic; phone: Traffic; faults: (Fault & { hits: number })[] };
}

export interface Passkey {
  id: string;
  rpId: string;
  userId: string;
  userName: string | null;
  userDisplayName: string | null;
  discoverable: boolean;
  state: "created" | "delivered" | "used";
  createdAt: number;
  deliveredAt: number | null;
  lastUsedAt: number | null;
}

export interface NewPasskey {
  rpId: string;
  /** Base64url. */
  userId: string;
  userName?: string;
  userDisplayName?: string;
  discoverable?: boolean;
  state?: Passkey["state"];
}

/** What a site has to know of a passkey that a phone was given; all base64url. */
export interface Planted {
  id: string;
  publicKey: string;
  cosePublicKey: string;
}

/** The test bed did not do it. */
export class Refused extends Error {
  constructor(readonly status: number, readonly reason: string, message: string) {
    super(`${message} (${status}, ${reason})`);
    this.name = "Refused";
  }
}

export const approve = (account?: string, delayMs = 0): Answer =>
  account === undefined ? { do: "approve", delayMs } : { do: "approve", account, delayMs };
export const decline = (delayMs = 0): Answer => ({ do: "decline", delayMs });
export const wrongPin = (delayMs = 0): Answer => ({ do: "wrong-pin", delayMs });

/** The test bed around this program. */
export class Testbed {
  #phones = 0;

  constructor(private readonly url: string, private readonly token: string) {}

  /** The one that `cabled testbed run` has put around this program. */
  static fromEnvironment(): Testbed {
    const { CABLED_TESTBED_URL: url, CABLED_TESTBED_TOKEN: token } = process.env;
    if (!url || !token) throw new Error("no test bed here; run it as: cabled testbed run -- npm test");
    return new Testbed(url, token);
  }

  /** One request of the control API. */
  async send(method: string, path: string, body?: unknown): Promise<Response> {
    const answer = await fetch(this.url + path, {
      method,
      headers: { authorization: `Bearer ${this.token}` },
      signal: AbortSignal.timeout(PATIENCE),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (answer.ok) return answer;
    const text = await answer.text();
    let said: { cause?: string; error?: string } = {};
    try {
      said = JSON.parse(text);
    } catch {
      said = { cause: "http", error: text };
    }
    throw new Refused(answer.status, said.cause ?? "http", said.error ?? text);
  }

  async request<T>(method: string, path: string, body?: unknown): Promise<T> {
    return (await this.send(method, path, body)).json() as Promise<T>;
  }

  /** A new phone without passkeys; `remove` it when the test is over, because there may be 32. */
  async phone(setup: PhoneSetup = {}): Promise<Phone> {
    this.#phones += 1;
    const name = setup.name ?? `phone ${process.pid}-${this.#phones}`;
    await this.request("POST", "/v1/phones", { ...setup, name });
    return new Phone(this, name);
  }

  async ceremonies(): Promise<Ceremony[]> {
    const { ceremonies } = await this.request<{ ceremonies: Told[] }>("GET", "/v1/ceremonies");
    return ceremonies.map((told) => new Ceremony(this, told));
  }

  /** Lets strangers' phones be heard by the browser's Bluetooth. */
  async crowd(perSecond: number, senders: number): Promise<void> {
    await this.request("PUT", "/v1/crowd", { perSecond, senders });
  }

  async disperse(): Promise<void> {
    await this.request("DELETE", "/v1/crowd");
  }

  /** Switches the browser's Bluetooth on or off. */
  async bluetooth(powered: boolean): Promise<void> {
    await this.request("PUT", "/v1/bluetooth", { powered });
  }

  /** The whole display, native dialogs included, as PNG; a page's own screenshot has none of them. */
  async screenshot(): Promise<Buffer> {
    return Buffer.from(await (await this.send("GET", "/v1/screenshot")).arrayBuffer());
  }
}

/** A phone whose person follows a script. */
export class Phone {
  constructor(private readonly testbed: Testbed, readonly name: string) {}

  get #path(): string {
    return `/v1/phones/${encodeURIComponent(this.name)}`;
  }

  /** Shows it the text of a code. */
  async submit(qr: string, script: Script = {}): Promise<Ceremony> {
    const asked = { phone: this.name, qr, script };
    return new Ceremony(this.testbed, await this.testbed.request<Told>("POST", "/v1/ceremonies", asked));
  }

  /** Shows it the code that comes up on the display. */
  async scan(script: Script = {}, waitMs = 60_000): Promise<Ceremony> {
    const asked = { phone: this.name, script, waitMs };
    return new Ceremony(this.testbed, await this.testbed.request<Told>("POST", "/v1/scan", asked));
  }

  async passkeys(): Promise<Passkey[]> {
    return (await this.testbed.request<{ passkeys: Passkey[] }>("GET", `${this.#path}/passkeys`)).passkeys;
  }

  /** Gives it a passkey that it has not made in a ceremony. */
  async plant(passkey: NewPasskey): Promise<Planted> {
    return this.testbed.request<Planted>("POST", `${this.#path}/passkeys`, passkey);
  }

  /** Its owner deletes a passkey. */
  async delete(id: string): Promise<void> {
    await this.testbed.request("DELETE", `${this.#path}/passkeys/${id}`);
  }

  /** Takes the phone away, whatever it does. */
  async remove(): Promise<void> {
    await this.testbed.request("DELETE", this.#path);
  }
}

/** One code that a phone was shown, and what came of it. */
export class Ceremony {
  constructor(private readonly testbed: Testbed, public told: Told) {}

  get outcome(): string | null {
    return this.told.outcome;
  }

  get asScripted(): boolean | null {
    return this.told.asScripted;
  }

  /** What happened, all or those of a name. */
  events(name?: string): Event[] {
    return this.told.events.filter((event) => name === undefined || event.event === name);
  }

  async refresh(waitMs = 0): Promise<this> {
    this.told = await this.testbed.request<Told>("GET", `/v1/ceremonies/${this.told.id}?waitMs=${waitMs}`);
    return this;
  }

  /** Waits until it is over. */
  async wait(patience = 60_000): Promise<this> {
    const deadline = Date.now() + patience;
    while (!this.told.over) {
      const left = deadline - Date.now();
      if (left <= 0) throw new Error(`the ceremony is not over: ${JSON.stringify(this.told)}`);
      await this.refresh(Math.min(left, 60_000));
    }
    return this;
  }

  /** Waits until each fault of the relay has struck. */
  async untilStruck(patience = 60_000): Promise<this> {
    return this.until(() => this.told.relay.faults.every((fault) => fault.hits > 0), patience);
  }

  /** Waits until what is known of it is as wanted. */
  async until(wanted: (told: Told) => boolean, patience = 60_000): Promise<this> {
    const deadline = Date.now() + patience;
    while (!wanted((await this.refresh()).told)) {
      if (Date.now() > deadline) throw new Error(`that did not happen: ${JSON.stringify(this.told)}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return this;
  }
}
