/**
 * One tab at a time: tabs of one participant share the queue, and two senders would confuse it.
 */

const PATIENCE_MS = 1500; // a tab that is just being reloaded lets go by then

/**
 * Holds the lease of that name until the page goes away; answers false when another tab has it.
 * With `steal` it is taken from that tab, which then hears `onLost`.
 */
export function holdLease(name, { steal = false, onLost }) {
  if (!navigator.locks) return Promise.resolve(true);
  return new Promise((resolve) => {
    const options = steal ? { steal } : { signal: AbortSignal.timeout(PATIENCE_MS) };
    let held = false;
    const hold = () => {
      held = true;
      resolve(true);
      return new Promise(() => {});
    };
    navigator.locks.request(name, options, hold).catch(() => (held ? onLost() : resolve(false)));
  });
}
