// The OpenAI client for Node: chat, responses, embeddings, models.

import OpenAI from "openai";

import { IMAGE, WEATHER_SCHEMA, equals, holds, marker, raises, run, says, settings, step, toldCut } from "../steps.mjs";

const client = new OpenAI({ baseURL: settings.api, apiKey: settings.key, maxRetries: 0 });
const stranger = new OpenAI({ baseURL: settings.api, apiKey: "wrong-key-0000000000", maxRetries: 0 });
const model = settings.model;
const imageUrl = `data:image/png;base64,${IMAGE}`;
const tool = (name) => ({ type: "function", function: { name, parameters: WEATHER_SCHEMA, strict: true } });
const flatTool = (name) => ({ type: "function", name, parameters: WEATHER_SCHEMA, strict: true });
const user = (content) => ({ role: "user", content });
const schema = {
  type: "object",
  properties: { name: { type: "string" }, population: { type: "integer" } },
  required: ["name", "population"],
  additionalProperties: false,
};

const askChat = async (text) =>
  (await client.chat.completions.create({ model, messages: [user(text)] })).choices[0].message.content;
const askResponses = async (text) => (await client.responses.create({ model, input: text })).output_text;

step("plain, with a system prompt", "chat", async () => {
  const messages = [{ role: "system", content: "Be brief." }, user("Hello Ünïcode 🦊")];
  const answer = await client.chat.completions.create({ model, messages });
  says(answer.choices[0].message.content, "heard: Hello Ünïcode 🦊", "system: Be brief.", "turns: 1");
  holds(answer._request_id, "no request id");
});

step("stream with usage", "chat", async () => {
  const chunks = [];
  const asked = { model, messages: [user("Hello 🦊")], stream: true, stream_options: { include_usage: true } };
  for await (const chunk of await client.chat.completions.create(asked)) chunks.push(chunk);
  equals(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join(""), await askChat("Hello 🦊"));
  equals(chunks.at(-1).choices, []);
  holds(chunks.at(-1).usage.completion_tokens > 0, "no usage");
});

step("parallel tools in a stream, and their results", "chat", async () => {
  const tools = [tool("get_weather"), tool("get_time")];
  const messages = [user("Use get_weather and get_time for Oslo.")];
  const { message } = (await client.chat.completions.stream({ model, messages, tools }).finalChatCompletion()).choices[0];
  equals(message.tool_calls.map((call) => call.function.name), ["get_weather", "get_time"]);
  equals(message.tool_calls.map((call) => JSON.parse(call.function.arguments)), [{ city: "Oslo" }, { city: "Oslo" }]);
  const results = message.tool_calls.map((call) => ({
    role: "tool",
    tool_call_id: call.id,
    content: `by ${call.function.name}`,
  }));
  const calls = message.tool_calls.map(({ id, type, function: { name, arguments: given } }) => ({
    id,
    type,
    function: { name, arguments: given },
  }));
  const history = [...messages, { role: "assistant", content: null, tool_calls: calls }, ...results];
  const answer = await client.chat.completions.create({ model, messages: history, tools });
  says(answer.choices[0].message.content, "results: by get_weather; by get_time");
});

step("one tool, run by the client", "chat", async () => {
  const runner = client.chat.completions.runTools({
    model,
    messages: [user("Use get_weather for Paris.")],
    tools: [
      {
        type: "function",
        function: {
          name: "get_weather",
          parameters: WEATHER_SCHEMA,
          parse: JSON.parse,
          function: ({ city }) => `18 degrees in ${city}`,
        },
      },
    ],
  });
  says(await runner.finalContent(), "results: 18 degrees in Paris");
});

step("structured output", "chat", async () => {
  const response_format = { type: "json_schema", json_schema: { name: "city", schema, strict: true } };
  const messages = [user("Describe the city for Oslo.")];
  const answer = await client.chat.completions.parse({ model, messages, response_format });
  equals(JSON.parse(answer.choices[0].message.content), { name: "Oslo", population: 7 });
});

step("image", "chat", async () => {
  const parts = [
    { type: "text", text: "What is this?" },
    { type: "image_url", image_url: { url: imageUrl } },
  ];
  const answer = await client.chat.completions.create({ model, messages: [user(parts)] });
  says(answer.choices[0].message.content, "heard: What is this?", "images: 1");
});

step("multi-turn", "chat", async () => {
  const messages = [user("First"), { role: "assistant", content: "Middle words" }, user("Last")];
  const answer = await client.chat.completions.create({ model, messages });
  says(answer.choices[0].message.content, "heard: Last", "turns: 2", "previous: Middle words");
});

step("reasoning", "chat", async () => {
  const asked = { model, messages: [user("Think about rain.")], reasoning_effort: "low" };
  const answer = await client.chat.completions.create(asked);
  holds(answer.usage.completion_tokens_details.reasoning_tokens > 0, "no reasoning counted");
});

step("unknown model and wrong key", "chat", async () => {
  const messages = [user("Hi")];
  await raises(
    (error) => error instanceof OpenAI.NotFoundError && error.code === "model_not_found",
    () => client.chat.completions.create({ model: "no-such-model", messages }),
  );
  await raises(
    (error) => error instanceof OpenAI.AuthenticationError,
    () => stranger.chat.completions.create({ model, messages }),
  );
});

step("leaving a stream stops the upstream", "chat", async () => {
  const name = marker();
  const asked = { model, messages: [user(`Go slowly, ${name}.`)], stream: true };
  for await (const chunk of await client.chat.completions.create(asked)) {
    if (chunk.choices[0]?.delta.content) break;
  }
  await toldCut(name, askChat);
});

step("list and retrieve", "models", async () => {
  const names = [];
  for await (const one of client.models.list()) names.push(one.id);
  holds(names.includes(model), `${model} is not in ${names}`);
  equals((await client.models.retrieve(model)).id, model);
});

step("plain, with instructions", "responses", async () => {
  const answer = await client.responses.create({ model, input: "Hello 🦊", instructions: "Be brief." });
  says(answer.output_text, "heard: Hello 🦊", "system: Be brief.", "turns: 1");
});

step("stream", "responses", async () => {
  const stream = client.responses.stream({ model, input: "Hello" });
  let text = "";
  const kinds = [];
  for await (const event of stream) {
    kinds.push(event.type);
    if (event.type === "response.output_text.delta") text += event.delta;
  }
  equals((await stream.finalResponse()).output_text, text);
  equals([kinds[0], kinds.at(-1)], ["response.created", "response.completed"]);
});

step("parallel tools, results through previous_response_id", "responses", async () => {
  const tools = [flatTool("get_weather"), flatTool("get_time")];
  const first = await client.responses.create({ model, input: "Use get_weather and get_time for Oslo.", tools });
  const calls = first.output.filter((item) => item.type === "function_call");
  equals(calls.map((call) => JSON.parse(call.arguments)), [{ city: "Oslo" }, { city: "Oslo" }]);
  const input = calls.map((call) => ({
    type: "function_call_output",
    call_id: call.call_id,
    output: `by ${call.name}`,
  }));
  const answer = await client.responses.create({ model, input, tools, previous_response_id: first.id });
  says(answer.output_text, "results: by get_weather; by get_time");
});

step("structured output", "responses", async () => {
  const text = { format: { type: "json_schema", name: "city", schema, strict: true } };
  const answer = await client.responses.parse({ model, input: "Describe the city for Oslo.", text });
  equals(JSON.parse(answer.output_text), { name: "Oslo", population: 7 });
});

step("image", "responses", async () => {
  const content = [
    { type: "input_text", text: "What is this?" },
    { type: "input_image", image_url: imageUrl, detail: "auto" },
  ];
  const answer = await client.responses.create({ model, input: [user(content)] });
  says(answer.output_text, "heard: What is this?", "images: 1");
});

step("reasoning", "responses", async () => {
  const reasoning = { effort: "low", summary: "auto" };
  const answer = await client.responses.create({ model, input: "Think about rain.", reasoning });
  equals(answer.output[0].summary[0].text, "I consider: rain");
});

step("retrieve and delete", "responses", async () => {
  const made = await client.responses.create({ model, input: "Keep this" });
  equals((await client.responses.retrieve(made.id)).output_text, made.output_text);
  await client.responses.delete(made.id);
  await raises(
    (error) => error instanceof OpenAI.NotFoundError,
    () => client.responses.retrieve(made.id),
  );
});

step("unknown model, wrong key, unknown previous response", "responses", async () => {
  await raises(
    (error) => error instanceof OpenAI.NotFoundError,
    () => client.responses.create({ model: "no-such-model", input: "Hi" }),
  );
  await raises(
    (error) => error instanceof OpenAI.AuthenticationError,
    () => stranger.responses.create({ model, input: "Hi" }),
  );
  await raises(
    (error) => error instanceof OpenAI.BadRequestError && error.code === "previous_response_not_found",
    () => client.responses.create({ model, input: "Hi", previous_response_id: "resp_0123456789abcdef" }),
  );
});

step("leaving a stream stops the upstream", "responses", async () => {
  const name = marker();
  for await (const event of await client.responses.create({ model, input: `Go slowly, ${name}.`, stream: true })) {
    if (event.type === "response.output_text.delta") break;
  }
  await toldCut(name, askResponses);
});

step("base64 by default, floats on demand", "embeddings", async () => {
  const asked = { model: settings.embeddingsModel, input: ["hello", "world"] };
  const rows = (await client.embeddings.create(asked)).data;
  equals(rows.map((row) => row.embedding.length), [8, 8]);
  const floats = (await client.embeddings.create({ ...asked, encoding_format: "float" })).data;
  holds(floats[0].embedding.every((value, at) => Math.abs(value - rows[0].embedding[at]) < 1e-6), "not the same");
});

await run();
