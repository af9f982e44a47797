/**
 * A small encrypted store that survives a reload: AES-GCM with a key that scripts can use and
 * nobody can read out, both in IndexedDB. Destroying the database destroys the key.
 */

const RECORDS = "records";
const KEYS = "keys";
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Opens the store of that name; without IndexedDB or Web Crypto it holds in memory only. */
export async function openVault(name) {
  if (!globalThis.indexedDB || !globalThis.crypto?.subtle) return new MemoryVault();
  try {
    const database = await openDatabase(name);
    return new Vault(database, await obtainKey(database));
  } catch {
    return new MemoryVault();
  }
}

class Vault {
  durable = true;
  #database;
  #key;
  #tail = Promise.resolve();

  constructor(database, key) {
    this.#database = database;
    this.#key = key;
  }

  put(id, value) {
    const plain = encoder.encode(JSON.stringify(value));
    return this.#inTurn(async () => {
      const iv = crypto.getRandomValues(new Uint8Array(12));
      const data = await crypto.subtle.encrypt(sealing(iv, id), this.#key, plain);
      const transaction = this.#database.transaction(RECORDS, "readwrite", { durability: "strict" });
      transaction.objectStore(RECORDS).put({ iv, data }, id);
      await committed(transaction);
    });
  }

  remove(id) {
    return this.#inTurn(async () => {
      const transaction = this.#database.transaction(RECORDS, "readwrite");
      transaction.objectStore(RECORDS).delete(id);
      await committed(transaction);
    });
  }

  /** Every readable record as [id, value], in the order of their ids. */
  async all() {
    const records = this.#database.transaction(RECORDS).objectStore(RECORDS);
    const [ids, sealed] = await Promise.all([settled(records.getAllKeys()), settled(records.getAll())]);
    const opened = await Promise.all(ids.map((id, place) => this.#open(id, sealed[place])));
    return opened.filter((entry) => entry !== null);
  }

  async destroy() {
    await this.#tail;
    this.#database.close();
    await settled(indexedDB.deleteDatabase(this.#database.name));
  }

  // Encryption takes unequal times: without turns an older value could overwrite a newer one. A disk
  // that refuses must not stop an answer on its way to the server, so failing is only noted.
  #inTurn(write) {
    this.#tail = this.#tail.then(write).catch(() => void (this.durable = false));
    return this.#tail;
  }

  async #open(id, { iv, data }) {
    try {
      const plain = await crypto.subtle.decrypt(sealing(iv, id), this.#key, data);
      return [id, JSON.parse(decoder.decode(plain))];
    } catch {
      return null; // written under a key that is gone; nothing can bring it back
    }
  }
}

class MemoryVault {
  durable = false;
  #records = new Map();
  put = async (id, value) => void this.#records.set(id, value);
  remove = async (id) => void this.#records.delete(id);
  all = async () => [...this.#records];
  destroy = async () => this.#records.clear();
}

// The record's id is authenticated with it, so that no record can be passed off as another.
const sealing = (iv, id) => ({ name: "AES-GCM", iv, additionalData: encoder.encode(String(id)) });

async function openDatabase(name) {
  const request = indexedDB.open(name, 1);
  request.onupgradeneeded = () => {
    request.result.createObjectStore(RECORDS);
    request.result.createObjectStore(KEYS);
  };
  return settled(request);
}

async function obtainKey(database) {
  const stored = await settled(database.transaction(KEYS).objectStore(KEYS).get("aes"));
  if (stored) return stored;
  const uses = ["encrypt", "decrypt"];
  const key = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, uses);
  const transaction = database.transaction(KEYS, "readwrite", { durability: "strict" });
  transaction.objectStore(KEYS).put(key, "aes");
  await committed(transaction);
  return key;
}

const settled = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

const committed = (transaction) =>
  new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error);
  });
