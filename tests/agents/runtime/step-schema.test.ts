import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { type Agent, defineAgent, defineTool, type Tool } from "../../../agents/agent.ts";
import { readStep, stepForm } from "../../../agents/runtime/step-schema.ts";
import type { JsonObject } from "../../../core/json.ts";
import { stepSchema } from "../../../core/step.ts";

const tool = (name: string, effect: Tool["effect"], input: z.ZodObject): Tool =>
  defineTool({
    name,
    description: `Does ${name}.`,
    input,
    effect,
    approval: null,
    timeoutMs: 1_000,
    run: async () => null,
  });

const tags = tool("list_tags", "read", z.object({ repository: z.string().min(1) }));
const status = tool("status", "read", z.object({ environment: z.string().optional() }));
const deploy = tool(
  "deploy",
  "once",
  z.object({
    tag: z.string().regex(/^v\d+$/),
    environment: z.enum(["staging", "production"]).default("staging"),
    note: z.string().max(20).nullable().optional(),
    replicas: z.int().min(1).max(9).optional(),
    target: z
      .discriminatedUnion("kind", [
        z.object({ kind: z.literal("host"), host: z.string(), port: z.number().optional() }),
        z.object({ kind: z.literal("all"), except: z.array(z.object({ name: z.string().optional() })) }),
      ])
      .optional(),
  }),
);

async function agentWith(tools: Tool[], handoffTo: string[] = []): Promise<Agent> {
  const definition = defineAgent("deploy bot", () => ({ description: "d", tools, handoffTo }));
  const query = async () => [];
  return definition.load({ settings: {}, folder: "/", configFolder: "/", commandEnv: {}, query });
}

const agent = await agentWith([tags, status, deploy], ["support", "person"]);
const lone = await agentWith([tags]);

const head = { reasoning: "because", confidence: 0.9 };
const read = (step: object, of = agent) => readStep(of, { step: { ...head, ...step } });
const choice = (step: object, of = agent) => {
  const result = read(step, of);
  if (!result.ok) throw new Error(result.problem);
  return result.choice;
};
const problem = (step: object, of = agent): string => {
  const result = read(step, of);
  if (result.ok) throw new Error(`read as ${JSON.stringify(result.choice)}`);
  return result.problem;
};

/** Every schema below a schema, itself included. */
function* nodes(node: unknown): Generator<JsonObject> {
  if (Array.isArray(node)) for (const item of node) yield* nodes(item);
  else if (typeof node === "object" && node !== null) {
    yield node as JsonObject;
    for (const member of Object.values(node)) yield* nodes(member);
  }
}

const variants = (of: Agent) =>
  (stepForm(of).schema as { properties: { step: { anyOf: { properties: Record<string, JsonObject> }[] } } })
    .properties.step.anyOf;
const intentNames = (of: Agent) => variants(of).flatMap(({ properties }) => properties.intent!.enum);

describe("the form of a step", () => {
  it("has one variant for each tool and for each thing that every agent can do", () => {
    expect(intentNames(agent)).toEqual([
      ...["list_tags", "status", "deploy", "gather"],
      ...["reply", "ask_human", "wait", "handoff", "finish"],
    ]);
    expect(stepForm(agent).name).toBe("deploy_bot_step");
  });

  it("offers neither gathering with one read tool nor a handoff to nobody", () => {
    expect(intentNames(lone)).toEqual(["list_tags", "reply", "ask_human", "wait", "finish"]);
  });

  it("keeps to the strict subset: all members required, nothing additional, no reference, no odd keyword", () => {
    const allowed = new Set([
      ...["type", "properties", "required", "additionalProperties", "items", "anyOf", "enum", "description"],
    ]);
    for (const node of nodes(stepForm(agent).schema)) {
      if (node.type !== "object" || typeof node.properties !== "object") continue;
      expect(node.additionalProperties).toBe(false);
      expect(node.required).toEqual(Object.keys(node.properties as object));
      for (const member of Object.values(node.properties as Record<string, JsonObject>)) {
        expect(Object.keys(member).filter((keyword) => !allowed.has(keyword))).toEqual([]);
      }
    }
    expect(JSON.stringify(stepForm(agent).schema)).not.toContain("$ref");
  });

  it("puts the intent first and the text last, so that a reply can be shown while it grows", () => {
    const reply = variants(agent).find(({ properties }) => properties.text && !properties.reason)!;
    expect(Object.keys(reply.properties)).toEqual(["intent", "reasoning", "confidence", "text"]);
  });

  it("lets optional members be null and tells limits in words", () => {
    const args = variants(agent)[2]!.properties.args!.properties as Record<string, JsonObject>;
    expect(args.tag).toEqual({ type: "string", description: "(matches ^v\\d+$)" });
    expect(args.environment).toEqual({
      anyOf: [{ type: "string", enum: ["staging", "production"] }, { type: "null" }],
    });
    expect(args.replicas!.anyOf).toEqual([
      { type: "integer", description: "(at least 1, at most 9)" },
      { type: "null" },
    ]);
    expect(args.note!.anyOf).toHaveLength(2);
  });

  it("writes out a schema that has an id of its own", async () => {
    const place = z.object({ city: z.string() }).meta({ id: "place-with-id" });
    const travel = await agentWith([tool("travel", "once", z.object({ from: place, to: place }))]);
    expect(JSON.stringify(stepForm(travel).schema)).not.toContain("$ref");
    expect(
      choice({ intent: "travel", args: { from: { city: "a" }, to: { city: "b" } } }, travel),
    ).toMatchObject({
      calls: [{ args: { from: { city: "a" }, to: { city: "b" } } }],
    });
  });

  const tree: z.ZodObject = z.object({
    get children() {
      return z.array(tree);
    },
  });
  it.each([
    ["a free-form object", z.object({ labels: z.record(z.string(), z.string()) })],
    ["anything at all", z.object({ value: z.unknown() })],
    ["a tuple", z.object({ pair: z.tuple([z.string(), z.number()]) })],
    ["a tree", z.object({ tree })],
    ["a date", z.object({ at: z.date() })],
    ["a transform", z.object({ at: z.string().transform((text) => new Date(text)) })],
  ])("cannot be built with a tool that takes %s, and says which tool", async (_, input) => {
    const odd = await agentWith([tool("odd", "read", input)]);
    expect(() => stepForm(odd)).toThrow(/deploy bot: odd/);
    expect(readStep(odd, { intent: "reply" })).toMatchObject({ ok: false });
  });

  it.each([[["status", "status"]], [["handoff"]], [["gather"]]])("refuses tools called %j", async (names) => {
    const odd = await agentWith(names.map((name) => tool(name, "once", z.object({}))));
    expect(() => stepForm(odd)).toThrow("two intents");
  });
});

describe("a tool call", () => {
  it("gets its defaults where the model wrote null, and keeps a null that the tool itself permits", () => {
    const args = { tag: "v1", environment: null, note: null, replicas: null, target: null };
    expect(choice({ intent: "deploy", args })).toEqual({
      type: "call",
      calls: [{ tool: deploy, args: { tag: "v1", environment: "staging", note: null } }],
    });
  });

  it("drops nulls inside unions and lists", () => {
    const args = (target: object) => ({ intent: "deploy", args: { tag: "v1", target } });
    expect(choice(args({ kind: "host", host: "a", port: null }))).toMatchObject({
      calls: [{ args: { target: { kind: "host", host: "a" } } }],
    });
    expect(choice(args({ kind: "all", except: [{ name: null }, { name: "b" }] }))).toMatchObject({
      calls: [{ args: { target: { kind: "all", except: [{}, { name: "b" }] } } }],
    });
  });

  it("keeps a null where a value is required, and says where", () => {
    expect(problem({ intent: "deploy", args: { tag: null } })).toMatch(
      /^wrong arguments for deploy: args\.tag: /,
    );
  });

  it("is refused with the path of each wrong argument, in one line", () => {
    const line = problem({ intent: "deploy", args: { tag: "latest", environment: "moon" } });
    expect(line).toContain("args.tag: ");
    expect(line).toContain("args.environment: ");
    expect(line).not.toContain("\n");
    expect(problem({ intent: "deploy" })).toContain("args: ");
  });

  it("may gather several reads, each with arguments of its own", () => {
    const calls = [
      { tool: "list_tags", args: { repository: "backend" } },
      { tool: "status", args: { environment: null } },
    ];
    expect(choice({ intent: "gather", calls })).toEqual({
      type: "call",
      calls: [
        { tool: tags, args: { repository: "backend" } },
        { tool: status, args: {} },
      ],
    });
  });

  it("may not gather a tool with an effect, nothing at all, or more than four", () => {
    const call = { tool: "status", args: {} };
    expect(problem({ intent: "gather", calls: [call, { tool: "deploy", args: { tag: "v1" } }] })).toContain(
      "calls.1.tool",
    );
    expect(problem({ intent: "gather", calls: [] })).toContain("calls");
    expect(problem({ intent: "gather", calls: [call, call, call, call, call] })).toContain("calls");
  });

  it("becomes a problem when the tool's own check throws", async () => {
    const check = () => {
      throw new Error("the check is broken");
    };
    const odd = await agentWith([tool("odd", "read", z.object({ a: z.string().refine(check) }))]);
    expect(problem({ intent: "odd", args: { a: "x" } }, odd)).toBe("the check is broken");
  });
});

describe("the other intents", () => {
  it("are read into choices", () => {
    expect(choice({ intent: "reply", text: "Hi" })).toEqual({ type: "reply", text: "Hi" });
    expect(choice({ intent: "finish", text: null })).toEqual({ type: "finish", text: null });
    expect(choice({ intent: "finish", text: " " })).toEqual({ type: "finish", text: null });
    expect(choice({ intent: "wait", minutes: 1.2, reason: "r" })).toEqual({
      type: "wait",
      minutes: 2,
      reason: "r",
    });
    expect(choice({ intent: "handoff", to: "person", reason: "r", text: "t" })).toMatchObject({
      to: "person",
    });
  });

  it("ask with a format, and choices only where they belong", () => {
    const ask = { intent: "ask_human", question: "Which?", urgency: "high" };
    expect(choice({ ...ask, format: "yes_no", choices: ["a"] })).toEqual({
      type: "ask",
      text: "Which?",
      format: { kind: "yes_no" },
      urgency: "high",
    });
    expect(choice({ ...ask, format: "choices", choices: ["a", "b"] })).toMatchObject({
      format: { kind: "choices", choices: ["a", "b"] },
    });
    expect(problem({ ...ask, format: "choices", choices: null })).toContain("choices: must be two to ten");
  });

  it.each([
    [{ intent: "reply", text: "  " }, "text: must not be empty"],
    [{ intent: "reply", text: "x".repeat(40_001) }, "text: "],
    [{ intent: "wait", minutes: 0, reason: "r" }, "minutes: "],
    [{ intent: "wait", minutes: 10_081, reason: "r" }, "minutes: "],
    [{ intent: "handoff", to: "stranger", reason: "r", text: "" }, "to: "],
    [{ intent: "ask_human", question: "x".repeat(10_001), format: "yes_no", urgency: "low" }, "question: "],
  ])("are refused beyond their bounds: %#", (step, expected) => {
    expect(problem(step)).toContain(expected);
  });

  it("are not there for an agent that has nobody to hand over to", () => {
    const line = problem({ intent: "handoff", to: "person", reason: "r", text: "t" }, lone);
    expect(line).toContain('no intent "handoff"');
    expect(line).toContain("list_tags, reply, ask_human, wait, finish");
  });
});

describe("reading", () => {
  it("takes a bare step, and one without reasoning", () => {
    expect(readStep(agent, { intent: "reply", confidence: 1, text: "Hi", extra: 1 })).toEqual({
      ok: true,
      intent: "reply",
      reasoning: "",
      confidence: 1,
      choice: { type: "reply", text: "Hi" },
    });
  });

  it.each([
    ["text", "not an object"],
    [null, "not an object"],
    [[{ intent: "reply" }], "not an object"],
    [{ step: "reply" }, "no intent"],
    [{ step: { intent: "reply", text: "Hi" } }, "confidence"],
    [{ step: { intent: "reply", text: "Hi", confidence: 1.5 } }, "confidence"],
    [{ step: { intent: "reply", text: "Hi", confidence: "high" } }, "confidence"],
    [{ step: { intent: "fly", confidence: 1 } }, 'no intent "fly"'],
    [{ step: { intent: "__proto__", confidence: 1 } }, "no intent"],
  ])("explains %j in one line", (output, expected) => {
    const result = readStep(agent, output);
    expect(result).toMatchObject({ ok: false });
    expect((result as { problem: string }).problem).toContain(expected);
  });

  it("cuts long reasoning and drops what the database cannot hold", () => {
    const result = readStep(agent, {
      intent: "reply",
      reasoning: `${"r".repeat(3_999)}😀`,
      confidence: 1,
      text: "a\u0000b\ud800c",
    });
    expect(result).toMatchObject({ ok: true, choice: { text: "ab\ufffdc" } });
    expect((result as { reasoning: string }).reasoning).toHaveLength(4_000);
    expect((result as { reasoning: string }).reasoning.isWellFormed()).toBe(true);
  });

  const member = fc.oneof(fc.jsonValue(), fc.string(), fc.constant(null));
  const almost = fc.record(
    {
      intent: fc.constantFrom(
        "list_tags",
        "deploy",
        "gather",
        "reply",
        "ask_human",
        "wait",
        "handoff",
        "finish",
      ),
      confidence: fc.oneof(fc.constant(0.5), member),
      reasoning: member,
      args: fc.oneof(fc.record({ tag: fc.constant("v1"), target: member, note: member }), member),
      calls: fc.array(fc.record({ tool: fc.constantFrom("status", "deploy"), args: member })),
      text: member,
      question: member,
      format: fc.constantFrom("choices", "yes_no"),
      choices: member,
      urgency: fc.constantFrom("low", "sky"),
      minutes: member,
      reason: member,
      to: fc.constantFrom("person", "toString"),
    },
    { requiredKeys: ["intent"] },
  );
  it("never throws, and what it accepts fits into the log", () => {
    const accepted = new Set<string>();
    fc.assert(
      fc.property(fc.oneof(fc.jsonValue(), almost, fc.record({ step: almost })), (output) => {
        const result = readStep(agent, output);
        if (!result.ok) {
          expect(result.problem).toMatch(/^.{1,600}$/u);
          return;
        }
        accepted.add(result.choice.type);
        const { reasoning, confidence } = stepSchema
          .pick({ reasoning: true, confidence: true })
          .parse(result);
        expect(reasoning.length).toBeLessThanOrEqual(4_000);
        expect(confidence).toBe(result.confidence);
        expect(JSON.stringify(result.choice)).not.toContain("\\u0000");
      }),
      { numRuns: 3_000, seed: 7 },
    );
    expect(accepted).toContain("reply");
    expect(accepted).toContain("finish");
    expect(accepted).toContain("call");
  });

  it("does not fall over an answer that is nested a hundred thousand deep", () => {
    const deep = JSON.parse(`${"[".repeat(100_000)}${"]".repeat(100_000)}`);
    const result = readStep(agent, { intent: "reply", confidence: 1, text: "Hi", deep });
    expect(result).toMatchObject({ ok: false });
  });
});

it("takes a nullable scalar without limits, which zod writes as a list of types", async () => {
  const input = z.object({ name: z.string().nullish(), count: z.number().nullable() });
  const namer = await agentWith([tool("name_it", "read", input)]);
  expect(JSON.stringify(stepForm(namer).schema)).toContain('"anyOf":[{"type":"string"},{"type":"null"}]');
  expect(choice({ intent: "name_it", args: { name: null, count: null } }, namer)).toMatchObject({
    calls: [{ args: { count: null } }],
  });
});
