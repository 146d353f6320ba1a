// An unmodified Chromium as the laptop of the test bed, driven by Playwright.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { chromium, type BrowserContext } from "playwright-core";

/**
 * Starts the browser that `cabled testbed run --browser chromium` names, with a window on the test bed's display:
 * codes are native dialogs, which a headless browser does not draw. Close the context when the tests are over.
 */
export async function launch(): Promise<BrowserContext> {
  const { CABLED_BROWSER: executablePath, CABLED_BROWSER_ARGUMENTS: given } = process.env;
  if (!executablePath || !given) throw new Error("no browser here: cabled testbed run --browser chromium -- npm test");
  const profile = await mkdtemp(join(tmpdir(), "cabled-browser-"));
  // Playwright names the profile itself.
  const args = (JSON.parse(given) as string[]).filter((word) => !word.startsWith("--user-data-dir="));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath,
    headless: false,
    viewport: null,
    args: [...args, "--disable-gpu", "--disable-quic", "--window-position=0,0", "--window-size=1200,900"],
    env: { ...process.env, HOME: profile, DBUS_SESSION_BUS_ADDRESS: "disabled:" } as Record<string, string>,
  });
  context.on("close", () => void rm(profile, { recursive: true, force: true }).catch(() => {}));
  return context;
}
