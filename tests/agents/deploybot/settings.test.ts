import { expect, it } from "vitest";
import { parseSettings } from "../../../agents/deploybot/settings.ts";

const good = {
  services: { backend: { repository: "../backend" } },
  environments: {
    staging: { command: ["./deploy", "{service}", "{tag}"], approval: null },
    production: {
      command: ["./deploy", "{service}", "{tag}"],
      rollback: ["./undo", "{commit}"],
      approval: "ops",
    },
  },
};

it("takes relative repositories from the folder of parley.yaml", () => {
  const settings = parseSettings(good, "/etc/parley");

  expect(settings.services.backend?.repository).toBe("/etc/backend");
  expect(settings).toMatchObject({ timeoutMs: 600_000, commandsHonourKey: false });
});

it("lists every problem in one go, each with its place", () => {
  const section = {
    services: { "Back End": { repository: "x" } },
    environments: {
      staging: { command: "deploy.sh backend" },
      production: { command: ["{service}"], approval: "ops" },
      test: { command: ["deploy", "--tag={tag}", "{branch}"], approval: null },
    },
    timeoutMs: 5,
    shell: true,
  };

  let message = "";
  try {
    parseSettings(section, "/");
  } catch (error) {
    message = (error as Error).message;
  }

  const lines = message.split("\n");
  expect(lines).toEqual(
    expect.arrayContaining([
      expect.stringMatching(/^agents\.settings\.deploybot\.services\.Back End: /),
      expect.stringMatching(/environments\.staging\.command: must be a list/),
      expect.stringMatching(/environments\.staging\.approval: must be a policy's name, or null/),
      expect.stringMatching(/environments\.production\.command: must begin with a program/),
      expect.stringMatching(
        /environments\.test\.command\[1\]: "--tag=\{tag\}" mixes a placeholder with text/,
      ),
      expect.stringMatching(/environments\.test\.command\[2\]: \{branch\} is not a placeholder/),
      expect.stringMatching(/timeoutMs/),
      expect.stringMatching(/shell/),
    ]),
  );
});
