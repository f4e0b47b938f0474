import { ParleyError } from "../../core/errors.ts";

/** The embedded Postgres could not be created, started or reached. The message says what to do about it. */
export class EmbeddedPostgresError extends ParleyError {
  constructor(message: string, options: { operation: string; cause?: unknown }) {
    super(message, { ...options, publicText: "The database is not available.", retryable: false });
  }
}

/** Another live instance works on this folder. */
export class FolderHeldError extends ParleyError {
  readonly folder: string;
  readonly pid: number;

  constructor(folder: string, pid: number) {
    super(
      `${folder} is in use by another Parley (pid ${pid}). Stop that one, or give this one a folder of its own ` +
        "with PARLEY_DATA_DIR. Several Parleys share their work through DATABASE_URL, not through a folder.",
      { operation: "hold folder", publicText: "Parley is already running.", retryable: false },
    );
    this.folder = folder;
    this.pid = pid;
  }
}
