/** The demo repositories' past, as a stream for `git fast-import`: the same commits with the same ids on every machine. */

export const demoServices = ["backend", "frontend"] as const;

const author = "Robin Example <robin@example.com>";
const firstCommitAt = Date.UTC(2026, 0, 12, 9, 30) / 1000;
const secondsBetween = 9 * 24 * 60 * 60;

const releases: Record<string, readonly [tag: string, subject: string][]> = {
  backend: [
    ["v1.2.0", "Accept orders by e-mail"],
    ["v1.3.0", "Keep carts for thirty days"],
    ["v1.3.1", "Round taxes the way the tax office does"],
    ["v1.4.0", "Ship to more countries"],
    ["v1.4.1", "Answer health checks while migrating"],
    ["v1.4.2", "Retry payments that time out"],
  ],
  frontend: [
    ["v1.2.0", "Show delivery times"],
    ["v1.3.0", "Let people sort by price"],
    ["v1.3.1", "Fix the menu on narrow screens"],
    ["v1.4.0", "Add a dark theme"],
    ["v1.4.1", "Load pictures only when they show"],
    ["v1.4.2", "Say why a card was declined"],
  ],
};

export function demoHistory(service: string): string {
  const commits = (releases[service] ?? []).map(([tag, subject], index) => {
    const at = `${firstCommitAt + index * secondsBetween} +0000`;
    return [
      "commit refs/heads/main",
      `mark :${index + 1}`,
      `author ${author} ${at}`,
      `committer ${author} ${at}`,
      block(`${subject}\n`),
      "M 100644 inline VERSION",
      block(`${tag}\n`),
      "M 100644 inline README.md",
      block(`# ${service}\n\nA make-believe service for trying out Parley.\n\nNewest change: ${subject}.\n`),
      `tag ${tag}`,
      `from :${index + 1}`,
      `tagger ${author} ${at}`,
      block(`${subject}\n`),
    ].join("\n");
  });
  return `${commits.join("\n")}\n`;
}

const block = (text: string): string => `data ${Buffer.byteLength(text)}\n${text}`;
