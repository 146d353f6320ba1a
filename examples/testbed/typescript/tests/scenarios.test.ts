// Scenarios of cross-device sign-in in a real Chromium, against examples/relying_party: every action of the person
// and every fault of the way at least once. CABLED_TESTBED_LOOPS=N runs them N times.

import { deepEqual, equal, ok } from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { after, before, test } from "node:test";

import type { BrowserContext } from "playwright-core";

import { approve, decline, launch, Refused, Testbed, wrongPin } from "../src/index.js";
import type { Ceremony, Fault, Phone, PhoneSetup, Point, Script } from "../src/index.js";
import { Site, Visitor } from "./site.js";

const testbed = Testbed.fromEnvironment();
const loops = Number(process.env.CABLED_TESTBED_LOOPS ?? "1");
const times: number[] = [];
let browser: BrowserContext;
let site: Site;

before(async () => {
  [site, browser] = await Promise.all([Site.start(), launch()]);
});

after(async () => {
  await browser?.close();
  site?.stop();
  const sorted = times.sort((a, b) => a - b);
  console.log(`scenarios: ${sorted.length} runs, median ${sorted[sorted.length >> 1]} ms, longest ${sorted.at(-1)} ms`);
});

interface Scene {
  phone: Phone;
  visitor: Visitor;
  /** Accounts of one scenario are no other's. */
  name: string;
}

let scenes = 0;
/** The site takes a thousand accounts and as many sessions, of which each scene has one. */
const SCENES_OF_A_SITE = 500;

async function siteWithRoom(): Promise<Site> {
  if (scenes > 0 && scenes % SCENES_OF_A_SITE === 0) {
    site.stop();
    site = await Site.start();
  }
  scenes += 1;
  return site;
}

const all: ((loop: number) => void)[] = [];

/** A scenario with a phone and a tab of its own; a picture of the display is kept if it fails. */
function scenario(title: string, run: (scene: Scene) => Promise<void>, setup: PhoneSetup = {}): void {
  all.push((loop) => {
    test(loops > 1 ? `${title} (${loop})` : title, { timeout: 300_000 }, async () => {
      const began = Date.now();
      const phone = await testbed.phone(setup);
      const visitor = await Visitor.at(browser, await siteWithRoom());
      try {
        await run({ phone, visitor, name: `anna-${scenes}` });
        times.push(Date.now() - began);
      } catch (error) {
        const folder = process.env.CABLED_TESTBED_PICTURES;
        if (folder) await writeFile(`${folder}/${title.replaceAll(/\W+/g, "-")}-${loop}.png`, await testbed.screenshot());
        throw error;
      } finally {
        await phone.remove();
        await visitor.leave();
      }
    });
  });
}

async function registered({ phone, visitor, name }: Scene, script: Script = {}): Promise<Ceremony> {
  const running = await visitor.register(name);
  const ceremony = await phone.scan(script);
  const { answer, error } = await running.end();
  equal(error, undefined);
  equal((await ceremony.wait()).outcome, "registered");
  ok(ceremony.asScripted);
  equal((await phone.passkeys())[0]?.id, answer?.method.id);
  return ceremony;
}

/** A registration that comes to nothing; `left` is how many passkeys stay on the phone. */
async function fails({ phone, visitor, name }: Scene, script: Script, done: (c: Ceremony) => Promise<unknown>, left = 0) {
  const running = await visitor.register(name);
  const ceremony = await phone.scan(script);
  await done(ceremony);
  const { error } = await running.giveUp();
  ok(error === "AbortError" || error === "NotAllowedError" || error === "UnknownError", error);
  equal(await visitor.methods(), 0);
  equal((await phone.passkeys()).length, left);
  return ceremony;
}

scenario("register and sign in", async (scene) => {
  const { phone, visitor, name } = scene;
  const ceremony = await registered(scene);
  const [request] = ceremony.told.requests;
  equal(request?.command, "makeCredential");
  deepEqual([request?.rpId, request?.account, request?.excludeList], ["localhost", name, 0]);
  deepEqual([request?.options.rk, request?.options.uv], [true, true]);
  ok(request?.extensions.includes("credProtect"));
  const running = await visitor.signIn();
  const signIn = await phone.scan();
  equal((await running.end()).answer?.account, name);
  equal((await signIn.wait()).outcome, "signed-in");
  equal((await phone.passkeys())[0]?.state, "used");
});

for (const [title, answer] of [["declines", decline()], ["mistypes the PIN", wrongPin()]] as const) {
  scenario(`the person ${title}`, async ({ phone, visitor, name }) => {
    const running = await visitor.register(name);
    const ceremony = await phone.scan({ answers: [answer] });
    equal((await running.end()).error, "NotAllowedError");
    equal((await ceremony.wait()).outcome, "refused");
    ok(ceremony.asScripted);
    deepEqual(await phone.passkeys(), []);
  });
}

scenario("the person thinks first, on a phone with a PIN of its own", async (scene) => {
  const began = Date.now();
  await registered(scene, { answers: [approve(undefined, 400)] });
  ok(Date.now() - began >= 400);
}, { pin: "246810" });

scenario("one of several accounts", async (scene) => {
  const { phone, visitor, name } = scene;
  await registered(scene);
  await phone.plant({ rpId: "localhost", userId: "YmVu", userName: "ben" });
  const running = await visitor.signIn();
  const ceremony = await phone.scan({ answers: [approve(name)] });
  equal((await running.end()).answer?.account, name);
  const offered = (await ceremony.wait()).events("asked")[0]?.accounts as string[];
  deepEqual(offered.sort(), [name, "ben"]);
});

scenario("a passkey that the site does not know", async ({ phone, visitor }) => {
  const planted = await phone.plant({ rpId: "localhost", userId: "YmVu", userName: "ben" });
  ok(planted.publicKey.length > 100 && planted.cosePublicKey.length > 100);
  const running = await visitor.signIn();
  const ceremony = await phone.scan();
  equal((await running.end()).error, "RefusedBySite");
  equal((await ceremony.wait()).outcome, "signed-in", "the phone cannot know");
});

scenario("the passkey was deleted on the phone", async (scene) => {
  const { phone, visitor } = scene;
  await registered(scene);
  await phone.delete((await phone.passkeys())[0]!.id);
  const running = await visitor.signIn();
  // There is nothing to approve.
  const ceremony = await phone.scan({ answers: [decline()] });
  await ceremony.wait();
  equal(ceremony.events("asked")[0]?.question, "nothing-found");
  const { error } = await running.giveUp();
  ok(error === "NotAllowedError" || error === "AbortError", error);
});

scenario("the phone is registered already", async (scene) => {
  const { phone, visitor } = scene;
  await registered(scene);
  const running = await visitor.again();
  const ceremony = await phone.scan();
  equal((await running.end()).error, "InvalidStateError");
  ok((await ceremony.wait()).asScripted);
  equal((await ceremony.refresh()).told.requests[0]?.excludeList, 1);
  equal(await visitor.methods(), 1);
});

const gone: Point[] = ["before-advert", "after-advert", "after-handshake", "before-consent", "after-consent"];
for (const walkAway of gone) {
  scenario(`the phone is gone ${walkAway}`, async (scene) => {
    const ceremony = await fails(scene, { walkAway }, (ceremony) => ceremony.wait());
    equal(ceremony.outcome, "walked-away");
  });
}

scenario("the phone is gone after-answer", async ({ phone, visitor, name }) => {
  const running = await visitor.register(name);
  const ceremony = await phone.scan({ walkAway: "after-answer" });
  equal((await running.end()).error, undefined);
  equal((await ceremony.wait()).outcome, "walked-away");
  equal((await phone.passkeys())[0]?.state, "created", "it does not know that its answer arrived");
});

scenario("the phone is taken away while it asks", async (scene) => {
  const slow: Script = { answers: [approve(undefined, 60_000)] };
  const running = await scene.visitor.register(scene.name);
  const ceremony = await scene.phone.scan(slow);
  await ceremony.until((told) => told.events.some((event) => event.event === "asked"));
  await scene.phone.remove();
  equal((await ceremony.wait()).outcome, "walked-away");
  ok((await running.giveUp()).error);
  // For the end of the scenario.
  await testbed.phone({ name: scene.phone.name });
});

const harmful: [string, Fault, number][] = [
  ["the relay refuses the laptop", { from: "laptop", do: "refuse", status: 404 }, 0],
  ["the relay refuses the phone", { from: "phone", do: "refuse", status: 503 }, 0],
  ["the relay loses the answer", { from: "phone", do: "drop", frame: 3 }, 1],
  ["the relay spoils the handshake", { from: "laptop", do: "corrupt", frame: 1 }, 0],
  ["the relay spoils the answer", { from: "phone", do: "corrupt", frame: 3 }, 1],
  ["the relay breaks before the question", { from: "phone", do: "close", frame: 1 }, 0],
];
for (const [title, fault, left] of harmful) {
  scenario(title, async (scene) => {
    await fails(scene, { relay: [fault] }, async (ceremony) => {
      await ceremony.untilStruck();
      equal(ceremony.told.relay.faults[0]?.hits, 1);
      // Before the person gives up: a browser then says goodbye, which phones take for having the answer.
      if (left) equal((await scene.phone.passkeys())[0]?.state, "created", "an orphan, and the phone says so");
    }, left);
  });
}

scenario("the relay is slow", async (scene) => {
  const relay: Fault[] = [{ from: "laptop", do: "delay", frame: 2, delayMs: 300 }];
  const ceremony = await registered(scene, { relay });
  equal(ceremony.told.relay.faults[0]?.hits, 1);
});

scenario("no advert is heard", async (scene) => {
  await fails(scene, {}, (c) => c.until((told) => told.events.some(({ event }) => event === "advertising")));
}, { adverts: "lost" });

scenario("adverts are heard late", async (scene) => {
  await registered(scene);
}, { adverts: "late", delayMs: 400 });

scenario("somebody replays adverts", async (scene) => {
  await registered(scene);
  const running = await scene.visitor.signIn();
  await scene.phone.scan();
  equal((await running.end()).answer?.account, scene.name);
}, { adverts: "replayed" });

scenario("strangers' phones all around", async (scene) => {
  await testbed.crowd(500, 50);
  try {
    await registered(scene);
  } finally {
    await testbed.disperse();
  }
});

scenario("Bluetooth was off and is on again", async (scene) => {
  await testbed.bluetooth(false);
  await testbed.bluetooth(true);
  await registered(scene);
});

scenario("a phone that does not say that it verified", async ({ phone, visitor, name }) => {
  const running = await visitor.register(name);
  const ceremony = await phone.scan();
  await ceremony.until((told) => told.events.some(({ event }) => event === "answered"));
  const { error } = await running.giveUp();
  ok(error, "neither the browser nor the site may take it");
  equal(await visitor.methods(), 0);
}, { unverified: true });

const AAGUID = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0";
scenario("a make of its own", async ({ phone, visitor, name }) => {
  const running = await visitor.register(name);
  await phone.scan();
  equal((await running.end()).answer?.method.make, AAGUID);
}, { aaguid: AAGUID });

scenario("a picture of the display, and what cannot be done", async ({ phone }) => {
  const png = await testbed.screenshot();
  equal(png.subarray(1, 4).toString(), "PNG");
  const refused = await phone.submit("https://example.com/").then(() => undefined, (error: unknown) => error);
  ok(refused instanceof Refused && refused.reason === "no-code");
});

for (let loop = 1; loop <= loops; loop += 1) all.forEach((begin) => begin(loop));
