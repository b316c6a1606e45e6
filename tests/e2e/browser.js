// SPDX-License-Identifier: MIT
// browser.js -- a page in headless Chromium, worked by lines of JSON: [method, arguments...] in,
// {"value": …} or {"error": …} out. TINY_PLAYWRIGHT is the folder of playwright-core.
"use strict";
const readline = require("readline");
const { chromium } = require(process.env.TINY_PLAYWRIGHT);

const ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"];
const POLL_MS = 50;

// What the page's methods do not have by themselves.
function methods(page, log) {
  return {
    log: () => log.splice(0),
    aria: (selector) => page.locator(selector).ariaSnapshot(),
    wait: async (expression, timeout) => {
      for (const end = Date.now() + timeout; Date.now() < end; await page.waitForTimeout(POLL_MS)) {
        const value = await page.evaluate(expression);
        if (value) return value;
      }
      throw new Error(`in vain: ${expression}\n${await page.evaluate("document.body.innerText")}`);
    },
  };
}

async function open(browser, log) {
  const page = await browser.newPage();
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && log.push(message.text()));
  page.on("pageerror", (error) => log.push(String(error)));
  page.on("request", (request) => log.push(`asks ${request.url()}`));
  return page;
}

// "keyboard.press" is page.keyboard.press.
function call(page, more, [name, ...args]) {
  if (more[name]) return more[name](...args);
  const path = name.split(".");
  const owner = path.slice(0, -1).reduce((object, key) => object[key], page);
  return owner[path[path.length - 1]](...args);
}

async function answer(page, more, line) {
  try {
    const value = await call(page, more, JSON.parse(line));
    return { value: ["object", "function"].includes(typeof value) && !Array.isArray(value) ? null : value };
  } catch (error) {
    return { error: String(error) };
  }
}

async function main() {
  const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ARGUMENTS });
  const log = [];
  const page = await open(browser, log);
  const more = methods(page, log);
  for await (const line of readline.createInterface({ input: process.stdin })) {
    console.log(JSON.stringify(await answer(page, more, line)));
  }
  await browser.close();
}

main();
