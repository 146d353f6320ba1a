// The site under test, examples/relying_party, and its page in the browser.

import { spawn, type ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";

import type { BrowserContext, Page } from "playwright-core";

export class Site {
  private constructor(private readonly program: ChildProcess, readonly origin: string) {}

  static async start(): Promise<Site> {
    const file = process.env.RELYING_PARTY ?? "target/debug/examples/relying_party";
    const bug = process.env.RELYING_PARTY_BUG;
    const program = spawn(file, ["--port", "0", ...(bug ? ["--bug", bug] : [])], { stdio: ["ignore", "pipe", "inherit"] });
    for await (const line of createInterface({ input: program.stdout! })) {
      return new Site(program, line.split(" ").at(-1)!.replace(/\/$/, ""));
    }
    throw new Error("the site did not start");
  }

  stop(): void {
    this.program.kill("SIGKILL");
  }
}

/** How a ceremony ended in the page: the site's answer, or the name of what went wrong. */
export type Ended = { answer?: { account?: string; method: { id: string; make: string } }; error?: string };

/** A person at the site, in a tab of its own with a session of its own. */
export class Visitor {
  private constructor(readonly page: Page) {}

  static async at(browser: BrowserContext, site: Site): Promise<Visitor> {
    await browser.clearCookies();
    const page = await browser.newPage();
    await page.goto(site.origin);
    await page.bringToFront();
    return new Visitor(page);
  }

  /** Opens an account and registers; the code comes up on the display meanwhile. */
  async register(name: string): Promise<Running> {
    await this.page.evaluate(async (name) => {
      const body = JSON.stringify({ name });
      const answer = await fetch("/api/enter", { method: "POST", headers: { "content-type": "application/json" }, body });
      if (!answer.ok) throw new Error(`the site opens no account: ${await answer.text()}`);
    }, name);
    return this.again();
  }

  /** Registers once more for the account that is signed in. */
  async again(): Promise<Running> {
    return new Running(this.page, this.ceremony("register"));
  }

  async signIn(): Promise<Running> {
    return new Running(this.page, this.ceremony("sign-in"));
  }

  /** Sign-in methods that the site knows of the account. */
  async methods(): Promise<number> {
    return this.page.evaluate(async () => (await (await fetch("/api/state")).json()).methods.length);
  }

  async leave(): Promise<void> {
    await this.page.close();
  }

  private ceremony(kind: "register" | "sign-in"): Promise<Ended> {
    return this.page.evaluate(async (kind): Promise<Ended> => {
      const ask = async (path: string, body: object) => {
        const headers = { "content-type": "application/json" };
        const answer = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
        if (!answer.ok) throw Object.assign(new Error(), { name: "RefusedBySite" });
        return answer.json();
      };
      const aborter = new AbortController();
      Object.assign(window, { giveUp: () => aborter.abort() });
      const signal = aborter.signal;
      // Younger than TypeScript's own list of what browsers have.
      const read = PublicKeyCredential as unknown as Record<string, (json: unknown) => never>;
      try {
        const { ceremony, publicKey } = await ask(`/api/${kind}/begin`, {});
        const credential = (kind === "register"
          ? await navigator.credentials.create({ publicKey: read.parseCreationOptionsFromJSON!(publicKey), signal })
          : await navigator.credentials.get({ publicKey: read.parseRequestOptionsFromJSON!(publicKey), signal }));
        const json = (credential as unknown as { toJSON(): unknown }).toJSON();
        return { answer: await ask(`/api/${kind}/finish`, { ceremony, credential: json }) };
      } catch (error) {
        return { error: (error as Error).name };
      }
    }, kind);
  }
}

/** A ceremony in the page that goes on. */
export class Running {
  constructor(private readonly page: Page, private readonly ended: Promise<Ended>) {}

  /** Waits for its end. */
  end(): Promise<Ended> {
    return this.ended;
  }

  /** The person gives up: a browser goes on waiting for a phone that is gone. */
  async giveUp(): Promise<Ended> {
    await this.page.evaluate(() => (window as unknown as { giveUp: () => void }).giveUp());
    return this.ended;
  }
}
