/** How a command ends. Scripts rely on these codes; docs/cli.md lists them. */
export const exitCodes = {
  ok: 0,
  /** It was tried and did not work. */
  failed: 1,
  /** The command line or the configuration is wrong. */
  usage: 2,
  /** No Parley answers at the address. */
  unreachable: 3,
  /** Parley answered and refused: not found, not allowed, already decided. */
  refused: 4,
} as const;
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** Ends the command with a code and a sentence for the terminal. */
export class CommandError extends Error {
  readonly code: ExitCode;

  constructor(code: ExitCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
