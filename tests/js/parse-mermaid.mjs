// Parses mermaid diagrams with mermaid itself. Standard input: a JSON list of diagrams; standard output: a JSON list
// with one object per diagram, in order: {ok, type, tasks: [{section, label, start, end}], error}.
import { readFileSync } from "node:fs";
import { JSDOM } from "jsdom";

const { window } = new JSDOM("<!doctype html><body></body>", { pretendToBeVisual: true });
globalThis.window = window;
globalThis.document = window.document;

const { default: mermaid } = await import("mermaid");
mermaid.initialize({ startOnLoad: false, maxTextSize: 50000, securityLevel: "strict" });

const answers = [];
for (const text of JSON.parse(readFileSync(0, "utf8"))) {
  try {
    if (text.length > 50000) throw new Error("over the 50,000 characters that GitHub allows");
    const diagram = await mermaid.mermaidAPI.getDiagramFromText(text);
    const tasks = diagram.db.getTasks ? diagram.db.getTasks() : [];
    answers.push({
      ok: true,
      type: diagram.type,
      tasks: tasks.map((t) => ({ section: t.section, label: t.task, start: +t.startTime, end: +t.endTime })),
    });
  } catch (error) {
    answers.push({ ok: false, error: String(error?.message ?? error) });
  }
}
process.stdout.write(JSON.stringify(answers));
