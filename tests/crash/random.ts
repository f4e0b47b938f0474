/** Randomness that a seed repeats exactly: mulberry32, good enough for picking stories. */
export interface Random {
  /** 0 to below `below`. */
  pick(below: number): number;
  /** True in `percent` of 100 cases. */
  chance(percent: number): boolean;
  of<T>(list: readonly T[]): T;
}

export function random(seed: number): Random {
  let state = (seed * 2_654_435_761) >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
  const pick = (below: number): number => Math.floor(next() * below);
  return {
    pick,
    chance: (percent) => pick(100) < percent,
    of<T>(list: readonly T[]): T {
      const one = list[pick(list.length)];
      if (one === undefined) throw new Error("nothing to pick from");
      return one;
    },
  };
}
