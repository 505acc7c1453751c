/** Time is injected, so that tests, the demo and renewals can set it. */
export interface Clock {
  now(): Date;
}

export const systemClock: Clock = { now: () => new Date() };
export const fixedClock = (time: string | Date): Clock => ({ now: () => new Date(time) });
