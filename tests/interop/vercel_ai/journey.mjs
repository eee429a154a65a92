// The AI SDK for Node with its providers: responses and chat by @ai-sdk/openai, chat by
// @ai-sdk/openai-compatible, messages by @ai-sdk/anthropic.

import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { embedMany, generateText, Output, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

import { IMAGE, equals, holds, marker, raises, run, says, settings, step, toldCut } from "../steps.mjs";

globalThis.AI_SDK_LOG_WARNINGS = false;

const options = (apiKey) => ({ baseURL: settings.api, apiKey });
const compatible = (apiKey) =>
  createOpenAICompatible({
    name: "compatible",
    ...options(apiKey),
    includeUsage: true,
    supportsStructuredOutputs: true,
  });
const reasoningOf = {
  chat: { openai: { reasoningEffort: "low" } },
  compatible: { compatible: { reasoningEffort: "low" } },
  responses: { openai: { reasoningEffort: "low", reasoningSummary: "auto", forceReasoning: true } },
  messages: { anthropic: { thinking: { type: "enabled", budgetTokens: 1024 } } },
};
const ways = {
  chat: (key, name) => createOpenAI(options(key)).chat(name),
  compatible: (key, name) => compatible(key)(name),
  responses: (key, name) => createOpenAI(options(key))(name),
  messages: (key, name) => createAnthropic(options(key))(name),
};
const described = (name) =>
  tool({
    description: `Answers ${name}.`,
    inputSchema: z.object({ city: z.string() }),
    execute: async ({ city }) => `${name} of ${city}`,
  });
const tools = { get_weather: described("get_weather"), get_time: described("get_time") };
const city = z.object({ name: z.string(), population: z.number().int() });

for (const [way, make] of Object.entries(ways)) {
  const route = way === "compatible" ? "chat" : way;
  const given = { model: make(settings.key, settings.model), maxRetries: 0 };
  const named = (name) => (way === "compatible" ? `${name} (compatible)` : name);
  const ask = async (prompt) => (await generateText({ ...given, prompt })).text;

  step(named("plain, with a system prompt"), route, async () => {
    const answer = await generateText({ ...given, instructions: "Be brief.", prompt: "Hello Ünïcode 🦊" });
    says(answer.text, "heard: Hello Ünïcode 🦊", "system: Be brief.", "turns: 1");
    equals(answer.finishReason, "stop");
    holds(answer.usage.inputTokens > 0 && answer.usage.outputTokens > 0, "no usage");
  });

  step(named("stream"), route, async () => {
    const result = streamText({ ...given, prompt: "Hello 🦊" });
    const pieces = [];
    for await (const piece of result.textStream) pieces.push(piece);
    holds(pieces.length > 2, `only ${pieces.length} pieces`);
    equals(pieces.join(""), await ask("Hello 🦊"));
    holds((await result.usage).outputTokens > 0, "no usage");
  });

  step(named("parallel tools and their results"), route, async () => {
    const prompt = "Use get_weather and get_time for Oslo.";
    const answer = await generateText({ ...given, tools, prompt, stopWhen: stepCountIs(3) });
    says(answer.text, "results: get_weather of Oslo; get_time of Oslo");
    equals(answer.steps[0].toolCalls.map((call) => [call.toolName, call.input.city]), [
      ["get_weather", "Oslo"],
      ["get_time", "Oslo"],
    ]);
  });

  step(named("one tool in a stream, and its result"), route, async () => {
    const result = streamText({ ...given, tools, prompt: "Use get_weather for Paris.", stopWhen: stepCountIs(3) });
    says(await result.text, "results: get_weather of Paris");
  });

  step(named("structured output"), route, async () => {
    const output = Output.object({ schema: city });
    const answer = await generateText({ ...given, output, prompt: "Describe the city for Oslo." });
    equals(answer.output, { name: "Oslo", population: 7 });
  });

  step(named("image"), route, async () => {
    const content = [
      { type: "text", text: "What is this?" },
      { type: "file", data: IMAGE, mediaType: "image/png" },
    ];
    const answer = await generateText({ ...given, messages: [{ role: "user", content }] });
    says(answer.text, "heard: What is this?", "images: 1");
  });

  step(named("multi-turn"), route, async () => {
    const messages = [
      { role: "user", content: "First" },
      { role: "assistant", content: "Middle words" },
      { role: "user", content: "Last" },
    ];
    const answer = await generateText({ ...given, messages });
    says(answer.text, "heard: Last", "turns: 2", "previous: Middle words");
  });

  step(named("reasoning with a tool, sent back"), route, async () => {
    const prompt = "Think, then use get_weather for Rome.";
    const more = { providerOptions: reasoningOf[way], maxOutputTokens: 2000, stopWhen: stepCountIs(3) };
    const answer = await generateText({ ...given, tools, prompt, ...more });
    says(answer.text, "results: get_weather of Rome");
    // @ai-sdk/openai does not read the reasoning beside a chat answer.
    const shown = way === "responses" || (settings.upstream !== "full" && way !== "chat");
    if (shown) equals(answer.steps[0].reasoningText, "I consider: Rome");
  });

  step(named("unknown model and wrong key"), route, async () => {
    await raises(
      (error) => error.statusCode === 404,
      () => generateText({ ...given, model: make(settings.key, "no-such-model"), prompt: "Hi" }),
    );
    await raises(
      (error) => error.statusCode === 401,
      () => generateText({ ...given, model: make("wrong-key-0000000000", settings.model), prompt: "Hi" }),
    );
  });

  step(named("leaving a stream stops the upstream"), route, async () => {
    const name = marker();
    const leaving = new AbortController();
    const result = streamText({ ...given, prompt: `Go slowly, ${name}.`, abortSignal: leaving.signal });
    for await (const _ of result.textStream) {
      leaving.abort();
      break;
    }
    await toldCut(name, ask);
  });
}

step("several values", "embeddings", async () => {
  const model = createOpenAI(options(settings.key)).embedding(settings.embeddingsModel);
  const { embeddings } = await embedMany({ model, values: ["hello", "world"], maxRetries: 0 });
  equals(embeddings.map((row) => row.length), [8, 8]);
});

await run();
