// What every journey for Node has in common: its settings, its steps, and the lines it prints.

import { randomUUID } from "node:crypto";

export const IMAGE =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

export const WEATHER_SCHEMA = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
  additionalProperties: false,
};

const origin = process.env.INTEROP_URL.replace(/\/$/, "");
const wanted = (process.env.INTEROP_ROUTES ?? "").split(",").filter(Boolean);
const steps = [];

export const settings = {
  origin,
  api: `${origin}/v1`,
  key: process.env.INTEROP_KEY,
  model: process.env.INTEROP_MODEL,
  upstream: process.env.INTEROP_UPSTREAM ?? "",
  embeddingsModel: process.env.INTEROP_EMBEDDINGS_MODEL ?? "",
};

/** Add a step, unless INTEROP_ROUTES or the upstream leaves its route out. */
export function step(name, route, body) {
  const offered = settings.embeddingsModel || !["embeddings", "completions"].includes(route);
  if (offered && (!wanted.length || wanted.includes(route))) steps.push([`${route}: ${name}`, body]);
}

/** Run every step, print a JSON line for each; exit 1 when one failed. */
export async function run() {
  let failures = 0;
  for (const [name, body] of steps) {
    let detail = "";
    try {
      await body();
    } catch (error) {
      const line = /journey\.mjs:(\d+)/.exec(error?.stack ?? "")?.[1];
      detail = `${line ? `line ${line}: ` : ""}${error?.name}: ${error?.message}`.slice(0, 1500);
      failures += 1;
    }
    console.log(JSON.stringify({ step: name, ok: !detail, detail }));
  }
  process.exit(failures ? 1 : 0);
}

/** Fail unless an answer contains every part. */
export function says(answer, ...parts) {
  for (const part of parts) {
    if (!answer?.includes(part)) throw new Error(`${JSON.stringify(part)} is not in ${JSON.stringify(answer)}`);
  }
}

/** Fail with both values unless they are equal as JSON. */
export function equals(found, expected) {
  const [left, right] = [JSON.stringify(found), JSON.stringify(expected)];
  if (left !== right) throw new Error(`${left} is not ${right}`);
}

/** Fail unless it holds. */
export function holds(condition, what) {
  if (!condition) throw new Error(what);
}

/** Return the error that a call ends in, once `fits` has said that it is the right one. */
export async function raises(fits, call) {
  let result;
  try {
    result = await call();
  } catch (error) {
    if (fits(error)) return error;
    throw new Error(`the wrong error: ${error?.name} ${error?.statusCode ?? error?.status} ${error?.message}`);
  }
  throw new Error(`no error but ${JSON.stringify(result)}`);
}

/** Return a word that the upstream knows a stream by. */
export const marker = () => `marker-${randomUUID().replaceAll("-", "").slice(0, 12)}`;

/** Fail unless the upstream says within three seconds that the stream of that marker lost its reader. */
export async function toldCut(name, ask) {
  const until = performance.now() + 3000;
  for (;;) {
    const answer = await ask(`Was it ${performance.now()}, and was ${name} cut?`);
    if (answer.includes("cut: yes")) return;
    holds(performance.now() < until, `the upstream was not told: ${answer}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
